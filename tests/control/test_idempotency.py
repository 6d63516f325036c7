"""Several requests with one idempotency key that act outside the database, as the carrier sees them."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import asyncpg
import grpc
import pytest
from google.protobuf.message import Message
from grpc import aio
from starlette.requests import Request
from starlette.responses import Response

from control.app import build
from control.boundary.context import ActionContext
from control.boundary.idempotency import Idempotency, hash_of
from control.boundary.incoming import IncomingRequest
from control.boundary.method import Method
from control.clients.twilio import Twilio
from hum import ids, rpc
from hum.clock import monotonic_ms
from hum.contract.errors import IdempotencyInProgress, Unavailable
from hum.contract.principal import Principal
from hum.settings import ControlSettings
from hum.v1 import identity_pb2, identity_pb2_grpc, numbers_pb2, numbers_pb2_grpc
from sandbox.twilio import Carrier
from sandbox.twilio.rest import Rest
from storage import idempotency
from tests.control.conftest import FakeCarrier, Plane, fake_clients
from tests.control.numbers.desk import Desk
from tests.control.test_flows import reason

ACCOUNT, TOKEN, NUMBER = "AC" + "3" * 32, "token", "+13175550100"
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
ABORTED = grpc.StatusCode.ABORTED
Metadata = tuple[tuple[str, str], ...]


class Gate:
    """The sandbox's list of numbers, which waits until it may answer and counts its requests."""

    def __init__(self) -> None:
        self.lists = 0
        self.arrived, self.may_answer = asyncio.Event(), asyncio.Event()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    found, shared = Rest._list_numbers, Gate()

    async def counted(self: Rest, request: Request) -> Response:
        shared.lists += 1
        shared.arrived.set()
        await shared.may_answer.wait()
        return await found(self, request)

    monkeypatch.setattr(Rest, "_list_numbers", counted)
    return shared


@dataclass
class House:
    """Control with the sandbox's carrier, over HTTP."""

    stub: "numbers_pb2_grpc.NumbersServiceAsyncStub"
    who: Metadata
    gate: Gate

    async def sync(self, key: str) -> tuple[numbers_pb2.SyncNumbersResponse, bool]:
        call = self.stub.SyncNumbers(numbers_pb2.SyncNumbersRequest(), metadata=(*self.who, ("idempotency-key", key)))
        answer = await call
        return answer, (rpc.REPLAYED, "true") in tuple(await call.trailing_metadata())


@pytest.fixture
async def house(database_url: str, tmp_path: Path, gate: Gate) -> AsyncIterator[House]:
    async with Carrier.serve(account_sid=ACCOUNT, auth_token=TOKEN, numbers=[NUMBER]) as carrier:
        settings = ControlSettings(
            home=tmp_path,
            control_listen="127.0.0.1:0",
            drain_seconds=0.2,
            twilio_account_sid=ACCOUNT,
            twilio_auth_token=TOKEN,
            twilio_api_base_url=carrier.url,
        )
        client = Twilio(settings, 5)
        async with build(settings, database_url, fake_clients(cast("FakeCarrier", client))) as control:
            async with aio.insecure_channel(f"127.0.0.1:{control.port}") as channel:
                plane = Plane(control, cast("FakeCarrier", client), settings, channel)
                yield House(numbers_pb2_grpc.NumbersServiceStub(channel), await plane.tenant(), gate)
                gate.may_answer.set()  # so that no waiting request delays the end
        await client.close()


async def test_of_three_twins_at_once_one_asks_the_carrier(house: House) -> None:
    at_work = {asyncio.create_task(house.sync("k")) for _ in range(3)}
    refused: list[aio.AioRpcError] = []
    while len(at_work) > 1:  # the owner's request waits at the carrier
        done, at_work = await asyncio.wait(at_work, timeout=60, return_when=asyncio.FIRST_COMPLETED)
        assert done, "two are at work"
        refused += [cast("aio.AioRpcError", task.exception()) for task in done]
    assert [(reason(each), each.code(), each.details()) for each in refused] == [
        ("IDEMPOTENCY_IN_PROGRESS", ABORTED, "A request with this Idempotency-Key is in progress; try again later.")
    ] * 2
    await house.gate.arrived.wait()
    house.gate.may_answer.set()
    answer, replayed = await at_work.pop()
    assert (answer.added, replayed, house.gate.lists) == (1, False, 1)
    assert await house.sync("k") == (answer, True)
    assert house.gate.lists == 1
    with pytest.raises(aio.AioRpcError) as another:
        await house.stub.BuyNumber(
            numbers_pb2.BuyNumberRequest(e164="+14155550123"), metadata=(*house.who, ("idempotency-key", "k"))
        )
    assert reason(another.value) == "IDEMPOTENCY_MISMATCH"


async def test_a_failure_releases_the_key(plane: Plane) -> None:
    desk = Desk(plane, await plane.tenant())
    keyed = (*desk.who, ("idempotency-key", "k"))
    plane.carrier.list_numbers, works = _fails, plane.carrier.list_numbers  # type: ignore[method-assign]
    with pytest.raises(aio.AioRpcError) as failed:
        await desk.stub.SyncNumbers(numbers_pb2.SyncNumbersRequest(), metadata=keyed)
    assert failed.value.code() is grpc.StatusCode.INTERNAL
    plane.carrier.list_numbers = works  # type: ignore[method-assign]
    assert (await desk.stub.SyncNumbers(numbers_pb2.SyncNumbersRequest(), metadata=keyed)).added == 10


async def _fails() -> list[Any]:
    raise RuntimeError("a bug")


# --- owners that die ----------------------------------------------------------------------------------------------


class Killed(BaseException):
    """The process has died: nothing that it would have done afterwards is done."""


class Keyed:
    """Requests under one key, through `Idempotency` as the boundary calls it."""

    def __init__(
        self, desk: Desk, principal: Principal, name: str, request: Message, lease: timedelta = MINUTE
    ) -> None:
        self.desk, self.principal, self.request = desk, principal, request
        descriptor = numbers_pb2.DESCRIPTOR.services_by_name["NumbersService"].methods_by_name[name]
        self.method = Method.of(descriptor, desk.stub)
        self.idempotency = Idempotency(desk.plane.control.db, HOUR, lease)
        self.acts = 0

    async def send(self, act: Any) -> Message:
        incoming = IncomingRequest(self.method, cast("Any", None), {rpc.IDEMPOTENCY_KEY: "k"}, "req_1", monotonic_ms, 0)
        ctx = ActionContext(incoming, b"", self.principal, self.principal.org_id, "k", hash_of(self.request))

        async def counted() -> Message:
            self.acts += 1
            answer: Message = await act(ctx)
            return answer

        return await self.idempotency.outside(ctx, counted)

    async def end_lease(self) -> None:
        async with self.desk.plane.control.db.system() as tx:
            moved = await tx.execute("UPDATE idempotency_keys SET leased_until = now() WHERE answer IS NULL")
        assert moved == "UPDATE 1"


@pytest.fixture
async def desk(plane: Plane) -> Desk:
    return Desk(plane, await plane.tenant())


async def owner(desk: Desk) -> Principal:
    me = await identity_pb2_grpc.IdentityServiceStub(desk.plane.channel).GetMe(
        identity_pb2.GetMeRequest(), metadata=desk.who
    )
    org = ids.require(ids.Kind.ORGANIZATION, me.organization.id)
    return Principal(org, "admin", ("*",), ids.new(), None, None, "test")


async def die(_: ActionContext) -> Message:
    raise Killed


async def test_the_key_of_a_dead_request_is_free_when_its_lease_is_over(desk: Desk) -> None:
    keyed = Keyed(desk, await owner(desk), "SyncNumbers", numbers_pb2.SyncNumbersRequest())

    async def answer(_: ActionContext) -> Message:
        return numbers_pb2.SyncNumbersResponse(added=7)

    with pytest.raises(Killed):
        await keyed.send(die)
    with pytest.raises(IdempotencyInProgress):
        await keyed.send(answer)
    await keyed.end_lease()
    assert await keyed.send(answer) == numbers_pb2.SyncNumbersResponse(added=7)
    assert await keyed.send(die) == numbers_pb2.SyncNumbersResponse(added=7)
    assert keyed.acts == 2


@pytest.mark.parametrize("refusals", [1, 2])
async def test_a_failure_releases_the_key_in_a_busy_database(
    desk: Desk, refusals: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another transaction is in the way of the release; if it stays there, the key is free when its lease is over."""
    keyed = Keyed(desk, await owner(desk), "SyncNumbers", numbers_pb2.SyncNumbersRequest())
    release, busy = idempotency.release, [asyncpg.LockNotAvailableError("lock timeout")] * refusals

    async def contended(*arguments: Any) -> None:
        if busy:
            raise busy.pop()
        await release(*arguments)

    async def fail(_: ActionContext) -> Message:
        raise RuntimeError("a bug")

    async def answer(_: ActionContext) -> Message:
        return numbers_pb2.SyncNumbersResponse(added=7)

    monkeypatch.setattr(idempotency, "release", contended)
    with pytest.raises(RuntimeError, match="a bug"):
        await keyed.send(fail)
    if refusals > 1:
        with pytest.raises(IdempotencyInProgress):
            await keyed.send(answer)
        await keyed.end_lease()
    assert await keyed.send(answer) == numbers_pb2.SyncNumbersResponse(added=7)


async def test_an_owner_stops_before_a_twin_takes_over(desk: Desk) -> None:
    keyed = Keyed(desk, await owner(desk), "SyncNumbers", numbers_pb2.SyncNumbersRequest(), timedelta(seconds=0.05))
    with pytest.raises(Unavailable):
        await keyed.send(lambda _: asyncio.Event().wait())


async def test_a_late_answer_does_not_replace_the_new_owners(desk: Desk) -> None:
    keyed = Keyed(desk, await owner(desk), "SyncNumbers", numbers_pb2.SyncNumbersRequest())

    async def overtaken(_: ActionContext) -> Message:
        await keyed.end_lease()
        with pytest.raises(Killed):
            await keyed.send(die)  # it holds the key now
        return numbers_pb2.SyncNumbersResponse(added=1)

    await keyed.send(overtaken)
    with pytest.raises(IdempotencyInProgress):
        await keyed.send(die)


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_an_order_whose_request_was_killed_is_looked_up_and_not_repeated(desk: Desk, moment: str) -> None:
    request = numbers_pb2.BuyNumberRequest(e164="+13175550200")
    keyed, buy = Keyed(desk, await owner(desk), "BuyNumber", request), desk.carrier.buy_number

    async def killed(e164: str, webhooks: Any) -> Any:
        if moment == "after":
            await buy(e164, webhooks)
        raise Killed

    async def act(ctx: ActionContext) -> Message:
        await desk.purchases.buy(ctx.principal, request, request_id="r", key=ctx.key, body_hash=ctx.body_hash)
        return numbers_pb2.BuyNumberResponse()

    desk.carrier.buy_number = killed  # type: ignore[method-assign]
    with pytest.raises(Killed):
        await keyed.send(act)
    desk.carrier.buy_number = buy  # type: ignore[method-assign]
    await keyed.end_lease()
    with pytest.raises(IdempotencyInProgress):  # its fate is not known yet
        await keyed.send(act)
    await desk.sweep()
    await keyed.send(act)
    assert (desk.carrier.bought, await desk.numbers()) == (["+13175550200"], ["+13175550200"])
