"""Hanging up a call that no media process has: the carrier ends it, and no lock is held meanwhile."""

import asyncio
from uuid import UUID

import grpc
import pytest
from grpc import aio

from hum import ids
from hum.contract.errors import CarrierError
from hum.v1 import calls_pb2, calls_pb2_grpc, numbers_pb2
from tests.control.conftest import Plane
from tests.control.numbers.desk import Desk
from tests.control.test_flows import reason


@pytest.fixture
async def desk(plane: Plane) -> Desk:
    return Desk(plane, await plane.tenant())


async def ringing(desk: Desk) -> UUID:
    """A ringing call."""
    id, number = ids.new(), numbers_pb2.Number(e164="+13175550100")
    await desk.stub.RegisterNumber(numbers_pb2.RegisterNumberRequest(number=number), metadata=desk.who)
    async with desk.plane.control.db.system() as tx:
        await tx.execute(
            "INSERT INTO calls (id, org_id, call_sid, direction, status, from_e164, to_e164, number_id)"
            " SELECT $1, org_id, 'CA1', 'inbound', 'ringing', '+13175550199', e164, id FROM numbers",
            id,
        )
    return id


async def hang_up(desk: Desk, id: UUID, key: str = "") -> calls_pb2.CallDetail:
    metadata = (*desk.who, *((("idempotency-key", key),) if key else ()))
    stub = calls_pb2_grpc.CallsServiceStub(desk.plane.channel)
    answer = await stub.HangUpCall(
        calls_pb2.HangUpCallRequest(id=ids.show(ids.Kind.CALL, id)), metadata=metadata, timeout=60
    )
    call: calls_pb2.CallDetail = answer.call
    return call


async def test_the_carriers_own_webhook_is_not_kept_waiting(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The carrier reports the end before it answers us; that report needs the call's row."""
    id = await ringing(desk)

    async def ended(*_: str) -> bool:
        async with desk.plane.control.db.system() as tx:
            await tx.fetchval("SELECT id FROM calls WHERE id = $1 FOR UPDATE NOWAIT", id)
            await tx.execute("UPDATE calls SET status = 'completed', ended_at = now() WHERE id = $1", id)
        return True

    monkeypatch.setattr(desk.carrier, "end_call", ended)
    assert (await hang_up(desk, id)).status == calls_pb2.CALL_STATUS_COMPLETED
    assert await desk.audited("hangUpCall") == 1
    with pytest.raises(aio.AioRpcError) as over:
        await hang_up(desk, id)
    assert reason(over.value) == "INVALID_STATE"
    assert await desk.audited("hangUpCall") == 1


async def test_of_three_twins_one_asks_the_carrier(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    id, may_answer = await ringing(desk), asyncio.Event()

    async def slow(call_sid: str, _account: str) -> bool:
        desk.carrier.ended.append(call_sid)
        return await may_answer.wait()

    monkeypatch.setattr(desk.carrier, "end_call", slow)
    at_work, refused = {asyncio.create_task(hang_up(desk, id, "k")) for _ in range(3)}, []
    while len(at_work) > 1:
        done, at_work = await asyncio.wait(at_work, timeout=60, return_when=asyncio.FIRST_COMPLETED)
        assert done, "two are at work"
        refused += [task.exception() for task in done]
    assert [reason(each) for each in refused if isinstance(each, aio.AioRpcError)] == ["IDEMPOTENCY_IN_PROGRESS"] * 2
    may_answer.set()
    answer = await at_work.pop()
    assert (await hang_up(desk, id, "k"), desk.carrier.ended) == (answer, ["CA1"])


async def test_a_carrier_that_does_not_answer_leaves_the_call_as_it_is(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = await ringing(desk)

    async def silent(*_: str) -> bool:
        raise CarrierError("the carrier did not answer: TimeoutError")

    monkeypatch.setattr(desk.carrier, "end_call", silent)
    with pytest.raises(aio.AioRpcError) as refused:
        await hang_up(desk, id, "k")
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    monkeypatch.undo()
    over = await hang_up(desk, id, "k")
    assert (over.status, over.end_reason, desk.carrier.ended) == (calls_pb2.CALL_STATUS_CANCELED, "hang_up", ["CA1"])


async def test_a_call_whose_media_process_is_gone_is_ended_at_the_carrier(desk: Desk) -> None:
    """Nobody would read a command."""
    id = await ringing(desk)
    async with desk.plane.control.db.system() as tx:
        await tx.execute(
            "UPDATE calls SET status = 'in_progress', node = 'media-gone', streams_opened = 1, answered_at = now()"
        )
    over = await hang_up(desk, id)
    assert (over.status, over.end_reason, desk.carrier.ended) == (calls_pb2.CALL_STATUS_COMPLETED, "hang_up", ["CA1"])


async def test_a_call_that_was_over_at_the_carrier_is_over_here(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    id = await ringing(desk)

    async def over_already(*_: str) -> bool:
        return False

    monkeypatch.setattr(desk.carrier, "end_call", over_already)
    over = await hang_up(desk, id)
    assert (over.status, over.end_reason) == (calls_pb2.CALL_STATUS_CANCELED, "caller")


async def test_a_call_that_was_not_placed_yet_is_canceled(desk: Desk) -> None:
    id = await ringing(desk)
    async with desk.plane.control.db.system() as tx:
        await tx.execute("UPDATE calls SET status = 'queued', direction = 'outbound', call_sid = NULL")
    over = await hang_up(desk, id)
    assert (over.status, over.end_reason, desk.carrier.ended) == (calls_pb2.CALL_STATUS_CANCELED, "hang_up", [])
