"""Exports end when the right to them is lost, also by the recheck alone: what is changed here notifies nobody."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import grpc
import pytest
from grpc import aio

from control.audit import usecases
from control.contacts import servicer
from control.identity import usecases as identity
from control.numbers.feature import CARRIER_BUDGET
from hum.v1 import (
    audit_pb2,
    audit_pb2_grpc,
    contacts_pb2,
    contacts_pb2_grpc,
    flows_pb2,
    flows_pb2_grpc,
    numbers_pb2,
    numbers_pb2_grpc,
    runtime_pb2,
    runtime_pb2_grpc,
)
from storage import audit, contacts
from tests.control.conftest import Plane, bearer
from tests.control.numbers.desk import Desk, principal_of
from tests.support.waits import patience, until

PAGES, EXPORTS = 3, 12
MANY_EXPORTS, MANY_SYNCS = 40, 24


def interrupted(read: Callable[..., Any], plane: Plane, statement: str, *, is_lost: bool) -> Callable[..., Any]:
    """Read a page; execute the statement before the second.  If rights are lost, that page never comes: a check has to end the export."""
    pages = 0

    async def reading(*values: Any) -> Any:
        nonlocal pages
        pages += 1
        if pages == 2:
            async with plane.control.db.system() as tx:
                await tx.execute(statement)
            await (asyncio.Event().wait() if is_lost else asyncio.sleep(plane.settings.recheck_seconds * 2))
        return await read(*values)

    return reading


@pytest.fixture
def limits(limits: dict[str, float]) -> dict[str, float]:
    """Whoever waits for a turn gets it, however busy the machine is."""
    return {**limits, "organization_wait_seconds": 60.0}


@pytest.fixture
async def who(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> tuple[tuple[str, str], ...]:
    """An organization with pages of contacts, and of a sealed audit log."""
    made = await plane.tenant()
    stub = contacts_pb2_grpc.ContactsServiceStub(plane.channel)
    for n in range(PAGES):
        contact = contacts_pb2.Contact(phone_e164=f"+1317555010{n}")
        await stub.CreateContact(contacts_pb2.CreateContactRequest(contact=contact), metadata=made)
    await usecases.seal(plane.control.db)
    monkeypatch.setattr(servicer, "EXPORT_ROWS", 1)
    monkeypatch.setattr(audit, "EXPORT_ROWS", 1)
    return made


def exporting(plane: Plane, what: str, who: tuple[tuple[str, str], ...]) -> Any:
    if what == "contacts":
        stub = contacts_pb2_grpc.ContactsServiceStub(plane.channel)
        dialect = contacts_pb2.EXPORT_DIALECT_JSON_LINES
        return stub.ExportContacts(contacts_pb2.ExportContactsRequest(dialect=dialect), metadata=who)
    return audit_pb2_grpc.AuditServiceStub(plane.channel).ExportAuditLog(
        audit_pb2.ExportAuditLogRequest(), metadata=who
    )


@pytest.mark.parametrize(
    ("what", "module", "page"), [("contacts", contacts, "by_number"), ("audit", audit, "sealed_after")]
)
@pytest.mark.parametrize(
    ("statement", "lost"),
    [
        ("UPDATE api_keys SET revoked_at = now()", grpc.StatusCode.UNAUTHENTICATED),
        ("UPDATE api_keys SET scopes = '{calls:read}'", grpc.StatusCode.PERMISSION_DENIED),
        ("SELECT 1", None),
    ],
)
async def test_an_export_ends_when_the_right_to_it_is_lost(
    plane: Plane,
    who: tuple[tuple[str, str], ...],
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    module: Any,
    page: str,
    statement: str,
    lost: grpc.StatusCode | None,
) -> None:
    monkeypatch.setattr(module, page, interrupted(getattr(module, page), plane, statement, is_lost=lost is not None))
    got, refusal = b"", None
    try:
        async with patience():
            async for body in exporting(plane, what, who):
                got += body.data
    except aio.AioRpcError as error:
        refusal = error.code()
    if lost is not None:
        assert (got.count(b"\n"), refusal) == (1, lost)
    else:
        assert (got.count(b"\n") >= PAGES, refusal) == (True, None)


@pytest.mark.parametrize(
    ("what", "module", "page"), [("contacts", contacts, "by_number"), ("audit", audit, "sealed_after")]
)
async def test_exports_of_one_organization_are_read_as_few_at_once_as_its_requests(
    plane: Plane,
    who: tuple[tuple[str, str], ...],
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    module: Any,
    page: str,
) -> None:
    read, under_way, most = getattr(module, page), 0, 0

    async def reading(*values: Any) -> Any:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.01)
        try:
            return await read(*values)
        finally:
            under_way -= 1

    async def lines() -> int:
        return sum([body.data.count(b"\n") async for body in exporting(plane, what, who)])

    monkeypatch.setattr(module, page, reading)
    async with patience():
        got = await asyncio.gather(*(lines() for _ in range(EXPORTS)))
    assert most <= plane.settings.organization_requests and min(got) >= PAGES


async def answer(desk: Desk, e164: str) -> None:
    """Have an agent answer a number of the organization."""
    await desk.be_assigned(e164)
    flows = flows_pb2_grpc.FlowsServiceStub(desk.plane.channel)
    made = await flows.CreateFlow(
        flows_pb2.CreateFlowRequest(flow=flows_pb2.Flow(name="F", greeting="Hi")), metadata=desk.who
    )
    (listed,) = (await desk.stub.ListNumbers(numbers_pb2.ListNumbersRequest(), metadata=desk.who)).numbers
    change = numbers_pb2.UpdateNumberRequest(id=listed.id, number=numbers_pb2.Number(flow_id=made.flow.id))
    change.update_mask.paths.append("flow_id")
    await desk.stub.UpdateNumber(change, metadata=desk.who)


async def test_exports_and_synchronizations_of_one_organization_leave_anothers_calls_alone(
    plane: Plane, who: tuple[tuple[str, str], ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that one may do at once is under way and held, each export with its connection to the database; then others are called."""
    other, let, held = Desk(plane, await plane.tenant("Other")), asyncio.Event(), {"pages": 0, "carrier": 0}
    await answer(other, "+13175550100")

    def holding(kind: str, real: Callable[..., Any]) -> Callable[..., Any]:
        async def step(*values: Any) -> Any:
            held[kind] += 1
            await let.wait()
            return await real(*values)

        return step

    monkeypatch.setattr(contacts, "by_number", holding("pages", contacts.by_number))
    monkeypatch.setattr(plane.carrier, "list_numbers", holding("carrier", plane.carrier.list_numbers))

    # One credential has so many streams.
    org = (await principal_of(Desk(plane, who))).org_id
    keys = [bearer((await identity.issue_key(plane.control.db, org, "k", "admin", []))[1]) for _ in range(5)]

    async def export(key: tuple[tuple[str, str], ...]) -> int:
        return sum([body.data.count(b"\n") async for body in exporting(plane, "contacts", key)])

    async def sync() -> None:
        with suppress(aio.AioRpcError):  # too many at once
            await numbers_pb2_grpc.NumbersServiceStub(plane.channel).SyncNumbers(
                numbers_pb2.SyncNumbersRequest(), metadata=who
            )

    syncs = [asyncio.ensure_future(sync()) for _ in range(MANY_SYNCS)]
    await until(lambda: held["carrier"] == CARRIER_BUDGET.in_flight)
    exports = [asyncio.ensure_future(export(keys[n % len(keys)])) for n in range(MANY_EXPORTS)]
    most = {"pages": int(plane.settings.organization_requests), "carrier": CARRIER_BUDGET.in_flight}
    ingress = runtime_pb2_grpc.IngressServiceStub(plane.channel)
    await until(lambda: held == most)
    for n in range(10):
        ring = runtime_pb2.RouteCallRequest(call_sid=f"CA{n}", from_e164=f"+1317555020{n}", to_e164="+13175550100")
        routed = await ingress.RouteCall(ring, metadata=plane.node("gateway"), timeout=30)
        assert routed.step.WhichOneof("step") == "connect"
    assert await other.numbers() == ["+13175550100"]
    assert held == most, "no more than these, however many wait"
    let.set()
    async with patience():
        done = await asyncio.gather(*exports)
        await asyncio.gather(*syncs)
    assert min(done) >= PAGES
