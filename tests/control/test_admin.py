"""What `hum admin` and `hum call` ask of control."""

import asyncio
from uuid import UUID

import grpc
import pytest
from grpc import aio

from control.livecall import stream
from hum import ids
from hum.clock import now
from hum.v1 import calls_pb2, runtime_pb2, runtime_pb2_grpc
from tests.control.conftest import Plane
from tests.control.numbers.desk import Desk
from tests.control.test_flows import reason
from tests.control.test_hang_up import ringing


@pytest.fixture
def admin(plane: Plane) -> "runtime_pb2_grpc.AdminServiceAsyncStub":
    return runtime_pb2_grpc.AdminServiceStub(plane.channel)


async def test_organizations_are_listed_a_page_at_a_time(
    plane: Plane, admin: "runtime_pb2_grpc.AdminServiceAsyncStub"
) -> None:
    who = plane.node("admin")
    for name in ("One", "Two", "Three"):
        await admin.CreateOrganization(
            runtime_pb2.CreateOrganizationRequest(name=name, owner_email="a@b.example"), metadata=who
        )
    seen: list[list[str]] = []
    request = runtime_pb2.ListOrganizationsRequest(limit=2)
    while True:
        page = await admin.ListOrganizations(request, metadata=who)
        seen.append([each.name for each in page.organizations])
        assert all(each.id.startswith("org_") and each.created_at.seconds for each in page.organizations)
        if not page.HasField("next_cursor"):
            break
        request.cursor = page.next_cursor
    assert sorted(name for names in seen for name in names) == ["One", "Three", "Two"]
    assert [len(names) for names in seen] == [2, 1]
    for bad in (runtime_pb2.ListOrganizationsRequest(limit=201), runtime_pb2.ListOrganizationsRequest(cursor="x")):
        with pytest.raises(aio.AioRpcError) as refused:
            await admin.ListOrganizations(bad, metadata=who)
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    for stranger in (plane.node("gateway"), await plane.tenant()):
        with pytest.raises(aio.AioRpcError) as refused:
            await admin.ListOrganizations(request, metadata=stranger)
        assert reason(refused.value) == "FORBIDDEN"


async def test_a_name_is_given_twice_only_on_purpose(
    plane: Plane, admin: "runtime_pb2_grpc.AdminServiceAsyncStub"
) -> None:
    who = plane.node("admin")
    request = runtime_pb2.CreateOrganizationRequest(name="Clinic", owner_email="a@b.example")
    first = await admin.CreateOrganization(request, metadata=who)
    request.name = " Clinic "
    with pytest.raises(aio.AioRpcError) as refused:
        await admin.CreateOrganization(request, metadata=who)
    assert reason(refused.value) == "ALREADY_EXISTS" and first.id in str(refused.value.details())
    request.same_name = True
    second = await admin.CreateOrganization(request, metadata=who)
    assert second.id != first.id


async def test_an_operator_follows_a_call_and_its_audit_log_says_so(
    plane: Plane, admin: "runtime_pb2_grpc.AdminServiceAsyncStub"
) -> None:
    desk = Desk(plane, await plane.tenant())
    id = await ringing(desk)
    request = runtime_pb2.FollowCallRequest(call_id=ids.show(ids.Kind.CALL, id))
    await tell(plane, id, turn=calls_pb2.Turn(seq=1, role=calls_pb2.SPEAKER_CALLER, text="Hello?"))
    following = admin.FollowCall(request, metadata=plane.node("admin"), timeout=60)
    seen: list[str | None] = []

    async def follow() -> None:
        async for each in following:
            seen.append(each.event.WhichOneof("event"))

    reading = asyncio.create_task(follow())
    while not seen:
        await asyncio.sleep(0.01)
    await tell(plane, id, ended=calls_pb2.CallEnded(status=calls_pb2.CALL_STATUS_COMPLETED))
    await reading
    assert seen == ["turn", "ended"]
    assert await desk.audited("followCall") == 1
    for stranger in (plane.node("media"), desk.who):
        with pytest.raises(aio.AioRpcError) as refused:
            await admin.FollowCall(request, metadata=stranger).read()
        assert reason(refused.value) == "FORBIDDEN"
    nobody = runtime_pb2.FollowCallRequest(call_id=ids.show(ids.Kind.CALL, ids.new()))
    with pytest.raises(aio.AioRpcError) as refused:
        await admin.FollowCall(nobody, metadata=plane.node("admin")).read()
    assert refused.value.code() == grpc.StatusCode.NOT_FOUND


async def tell(plane: Plane, id: UUID, **event: object) -> None:
    async with plane.control.db.system() as tx:
        await tx.fetchval("SELECT id FROM calls WHERE id = $1 FOR NO KEY UPDATE", id)
        await stream.tell(tx, id, now(), **event)
