"""Control as a gRPC server: health, reflection, request ids, drain, and access."""

import asyncio
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import asyncpg
import grpc
import httpx
import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from control.app import build, composed
from hum.settings import ControlSettings
from hum.v1 import (
    flows_pb2,
    flows_pb2_grpc,
    identity_pb2,
    identity_pb2_grpc,
    options_pb2,
    runtime_pb2,
    runtime_pb2_grpc,
)
from tests.control.conftest import FakeCarrier, Plane, bearer, fake_clients
from tests.control.test_flows import reason
from tests.support.databases import blocked
from tests.support.examples import examples
from tests.support.relay import relayed
from tests.support.waits import patience, until


async def test_health_and_reflection(plane: Plane) -> None:
    health: Any = health_pb2_grpc.HealthStub(plane.channel)
    for service in ("", "hum.v1.CallsService", "hum.v1.MediaService"):
        answer = await health.Check(health_pb2.HealthCheckRequest(service=service))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(cast("Any", plane.channel))
    asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    async for answer in stub.ServerReflectionInfo(asked):
        names = {service.name for service in answer.list_services_response.service}
    assert {"hum.v1.FlowsService", "hum.v1.CallsService", "grpc.health.v1.Health"} <= names


async def test_planes_and_tenants_have_different_doors(plane: Plane) -> None:
    me = await plane.tenant()
    admin = runtime_pb2_grpc.AdminServiceStub(plane.channel)
    for stranger in (None, me, (("authorization", "Node x.y.z"),), plane.node("gateway"), plane.node("media")):
        with pytest.raises(aio.AioRpcError) as refused:
            await admin.CreateOrganization(
                runtime_pb2.CreateOrganizationRequest(name="X", owner_email="a@b.example"), metadata=stranger
            )
        assert (refused.value.code(), reason(refused.value)) == (grpc.StatusCode.PERMISSION_DENIED, "FORBIDDEN")
    made = await admin.CreateOrganization(
        runtime_pb2.CreateOrganizationRequest(name="X", owner_email="a@b.example"), metadata=plane.node("admin")
    )
    for bad in (
        runtime_pb2.IssueApiKeyRequest(organization_id=made.id),
        runtime_pb2.IssueApiKeyRequest(organization_id="org_x", role=options_pb2.ROLE_ADMIN),
    ):
        with pytest.raises(aio.AioRpcError):
            await admin.IssueApiKey(bad, metadata=plane.node("admin"))
    key = await admin.IssueApiKey(
        runtime_pb2.IssueApiKeyRequest(organization_id=made.id, role=options_pb2.ROLE_VIEWER),
        metadata=plane.node("admin"),
    )
    who = await identity_pb2_grpc.IdentityServiceStub(plane.channel).GetMe(
        identity_pb2.GetMeRequest(), metadata=bearer(key.key)
    )
    assert (who.organization.id, who.role) == (made.id, 1)
    for name, email in (("", "a@b.example"), ("X", "nobody")):
        with pytest.raises(aio.AioRpcError) as refused:
            await admin.CreateOrganization(
                runtime_pb2.CreateOrganizationRequest(name=name, owner_email=email), metadata=plane.node("admin")
            )
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_an_organizations_own_grpc_client_has_idempotency_too(plane: Plane) -> None:
    stub, me = flows_pb2_grpc.FlowsServiceStub(plane.channel), await plane.tenant()
    keyed = (*me, ("idempotency-key", "k1"))
    request = flows_pb2.CreateFlowRequest(flow=flows_pb2.Flow(name="F"))
    made = await stub.CreateFlow(request, metadata=keyed)
    call = stub.CreateFlow(request, metadata=keyed)
    assert (await call).flow == made.flow
    assert ("idempotent-replayed", "true") in tuple(await call.trailing_metadata())
    bad = flows_pb2.CreateFlowRequest(flow=flows_pb2.Flow())
    for _ in range(2):  # what was refused was not remembered
        with pytest.raises(aio.AioRpcError) as refused:
            await stub.CreateFlow(bad, metadata=(*me, ("idempotency-key", "k2")))
        assert reason(refused.value) == "INVALID_REQUEST"
    assert (await stub.CreateFlow(request, metadata=(*me, ("idempotency-key", "k2")))).flow.id != made.flow.id


@pytest.mark.sampled
async def test_of_many_twins_one_has_an_effect(plane: Plane) -> None:
    stub, me = flows_pb2_grpc.FlowsServiceStub(plane.channel), await plane.tenant()
    request = flows_pb2.CreateFlowRequest(flow=flows_pb2.Flow(name="F"))
    answers = await asyncio.gather(
        *(stub.CreateFlow(request, metadata=(*me, ("idempotency-key", "same"))) for _ in range(examples(100, 30))),
        return_exceptions=True,
    )
    made = {answer.flow.id for answer in answers if isinstance(answer, flows_pb2.CreateFlowResponse)}
    refused = {reason(answer) for answer in answers if isinstance(answer, aio.AioRpcError)}
    assert len(made) == 1
    assert refused <= {"IDEMPOTENCY_IN_PROGRESS"}
    assert len((await stub.ListFlows(flows_pb2.ListFlowsRequest(), metadata=me)).flows) == 1


async def test_a_lost_database_is_unavailable_and_comes_back(plane: Plane, database_url: str) -> None:
    stub, me = flows_pb2_grpc.FlowsServiceStub(plane.channel), await plane.tenant()
    others = "datname = current_database() AND pid <> pg_backend_pid()"
    superuser = await asyncpg.connect(database_url)
    await superuser.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")
    await superuser.close()
    answers = [
        await asyncio.gather(stub.ListFlows(flows_pb2.ListFlowsRequest(), metadata=me), return_exceptions=True)
        for _ in range(6)
    ]
    codes = [answer.code().name if isinstance(answer, aio.AioRpcError) else "OK" for (answer,) in answers]
    assert set(codes) <= {"OK", "UNAVAILABLE"}, codes
    assert codes[-1] == "OK"


async def test_a_database_that_accepts_connections_and_never_answers_is_not_ready(
    database_url: str, tmp_path: Path
) -> None:
    """The operator's socket says so in its time, again and again, until the database goes on."""
    place = urlsplit(database_url)
    async with relayed(place.hostname or "", place.port or 5432) as relay:
        through = database_url.replace(place.netloc, place.netloc.replace(f":{place.port}", f":{relay.port}"))
        settings = ControlSettings(
            home=tmp_path, control_listen="127.0.0.1:0", drain_seconds=0.1, ready_seconds=0.2, ready_cache_seconds=0
        )
        async with (
            build(settings, through, fake_clients(FakeCarrier())) as control,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{control.metrics_port}", timeout=60, trust_env=False) as http,
        ):

            async def is_ready() -> bool:
                return (await http.get("/readyz")).status_code == 200

            await until(is_ready)
            relay.hold()
            for _ in range(3):
                answer = await http.get("/readyz")
                assert (answer.status_code, answer.text) == (503, "what it needs did not answer within 0.2 s\n")
                assert (await http.get("/healthz")).status_code == 200
            relay.release()
            await until(is_ready)


async def test_a_drain_lets_the_running_end_and_takes_nothing_new(database_url: str, tmp_path: Path) -> None:
    settings = ControlSettings(home=tmp_path, control_listen="127.0.0.1:0", drain_seconds=3)
    async with build(settings, database_url, fake_clients(FakeCarrier())) as control:
        plane = Plane(control, FakeCarrier(), settings, aio.insecure_channel(f"127.0.0.1:{control.port}"))
        me = await plane.tenant()
        stub = flows_pb2_grpc.FlowsServiceStub(plane.channel)
        await stub.ListFlows(flows_pb2.ListFlowsRequest(), metadata=me)
        async with control.db.system() as tx:
            await tx.execute("LOCK TABLE flows IN ACCESS EXCLUSIVE MODE")
            running = asyncio.ensure_future(stub.ListFlows(flows_pb2.ListFlowsRequest(), metadata=me))
            await until(lambda: blocked(tx))
            draining = asyncio.create_task(control.server.drain(60))
            await asyncio.sleep(0.1)
        assert (await running).flows == []
        await draining
        with pytest.raises(aio.AioRpcError):
            await stub.ListFlows(flows_pb2.ListFlowsRequest(), metadata=me, timeout=1)  # refused, or meant to run out
        await plane.channel.close()


async def test_a_drain_does_not_wait_for_a_media_link(database_url: str, tmp_path: Path) -> None:
    settings = ControlSettings(home=tmp_path, control_listen="127.0.0.1:0", drain_seconds=600)
    async with patience():
        async with build(settings, database_url, fake_clients(FakeCarrier())) as control:
            channel = aio.insecure_channel(f"127.0.0.1:{control.port}")
            plane = Plane(control, FakeCarrier(), settings, channel)
            link = runtime_pb2_grpc.MediaServiceStub(channel).Link(metadata=plane.node())
            await link.write(runtime_pb2.LinkUp(hello=runtime_pb2.LinkHello()))
            assert cast("runtime_pb2.LinkDown", await link.read()).WhichOneof("down") == "acknowledged_seq"
        assert await link.read() is aio.EOF, "the media process is released, and links to another"
        await channel.close()


@pytest.mark.parametrize("opened", [1, 2, 3])
async def test_a_database_that_leaves_during_the_start_leaves_no_connection(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: int
) -> None:
    pools, create_pool = list[Any](), asyncpg.create_pool

    async def pool(*arguments: Any, **options: Any) -> Any:
        if len(pools) == opened:
            raise ConnectionRefusedError
        pools.append(await create_pool(*arguments, **options))
        return pools[-1]

    monkeypatch.setattr(asyncpg, "create_pool", pool)
    with pytest.raises(ConnectionRefusedError):
        async with composed(ControlSettings(home=tmp_path), database_url):
            pass
    assert [each.is_closing() for each in pools] == [True] * opened
