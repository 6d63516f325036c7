"""Placing calls: each attempt once, whatever dies between its three moments; the carrier's pace; whose turn it is."""

import asyncio
import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from grpc import StatusCode, aio

from control.clients.twilio import CarrierCall
from control.outbound.dialler import CallDialler
from hum.clock import now
from hum.contract.errors import CarrierBusy, CarrierError
from hum.v1 import calls_pb2
from hum.v1 import outbound_pb2 as pb
from storage import call_events
from storage.migrate import migrate
from tests.control.conftest import Plane
from tests.control.outbound.desk import CALLEE, Desk, at, call_id
from tests.support.endings import ends_are_told
from tests.support.waits import patience

__all__ = ["ends_are_told"]
pytestmark = pytest.mark.usefixtures("ends_are_told")


class Killed(BaseException):
    """The process dies here: no code of its own runs any more."""


@pytest.fixture
async def desk(plane: Plane) -> Desk:
    desk = Desk(plane)
    await desk.set_up()
    return desk


async def run(dialler: CallDialler) -> None:
    await dialler.place_due()


async def test_a_call_is_placed_once_with_what_the_carrier_needs(desk: Desk) -> None:
    call = await desk.order(ring_seconds=20)
    assert (call.status, call.waits_for, call.from_e164) == (
        calls_pb2.CALL_STATUS_QUEUED, pb.WAITS_FOR_TURN, "+13175550100",
    )  # fmt: skip
    await run(desk.dialler())
    await run(desk.dialler())
    ((sid, placement),) = desk.carrier.placed.items()
    assert (placement.from_e164, placement.to_e164, placement.ring_seconds) == ("+13175550100", CALLEE, 20)
    assert placement.longest_seconds > 1800 and placement.amd_url is None
    assert await desk.state(call) == ("queued", "", ["under_way"])
    await desk.says(sid, "initiated")
    await desk.says(sid, "ringing")
    assert (await desk.state(call))[0] == "ringing"
    step = await desk.answers(sid)
    assert step.connect.call_id == call.id and step.connect.token
    # Asked again, the answer is the same.
    assert (await desk.answers(sid)).connect.call_id == call.id
    async with desk.db.system() as tx:
        told = [event.type for event in await call_events.after(tx, call_id(call), 0, 100)]
    assert told == ["call.state", "call.state"]


@pytest.mark.parametrize(
    ("said", "ends"),
    [
        ("busy", ("busy", "busy", ["busy"])),
        ("no-answer", ("no_answer", "no_answer", ["no_answer"])),
        ("failed", ("failed", "carrier", ["failed"])),
        ("canceled", ("canceled", "hang_up", ["canceled"])),
        ("completed", ("completed", "caller", ["completed"])),
    ],
)
async def test_every_ending_arrives_in_any_order_and_once(
    desk: Desk, said: str, ends: tuple[str, str, list[str]]
) -> None:
    call = await desk.order()
    await run(desk.dialler())
    (sid,) = desk.carrier.placed
    await desk.says(sid, said, carrier_code="486")
    for late in ("initiated", said, "ringing", "busy", "completed"):
        await desk.says(sid, late)
    assert await desk.state(call) == ends
    assert (await desk.get(call)).attempts[0].carrier_code == "486"
    assert not (await desk.answers(sid)).HasField("connect")
    await run(desk.dialler())
    assert len(desk.carrier.placed) == 1


async def test_a_webhook_that_does_not_fit_changes_nothing(desk: Desk) -> None:
    call = await desk.order()
    await run(desk.dialler())
    (sid,) = desk.carrier.placed
    for fields in ({"to_e164": "+13175550111"}, {"attempt_id": "attempt_" + "0" * 26}, {"attempt_id": call.id}):
        for ask in (desk.answers(sid, **fields), desk.says(sid, "busy", **fields)):
            with pytest.raises(aio.AioRpcError) as refused:
                await ask
            assert refused.value.code() is StatusCode.NOT_FOUND
    desk.carrier.placed["CAother"] = desk.carrier.placed[sid]
    with pytest.raises(aio.AioRpcError):
        await desk.says("CAother", "busy")
    assert await desk.state(call) == ("queued", "", ["under_way"])


# --- retries ------------------------------------------------------------------------------------------------------


async def test_a_number_that_is_busy_is_called_again_as_often_as_asked(desk: Desk) -> None:
    call = await desk.order(max_attempts=3, retry_after_seconds=60)
    for number, said in enumerate(("busy", "no-answer", "busy"), 1):
        await run(desk.dialler())
        assert len(desk.carrier.placed) == number
        sid = list(desk.carrier.placed)[-1]
        await desk.says(sid, "ringing")
        await desk.says(sid, said)
        await desk.says(sid, said)
        if number < 3:
            found = await desk.get(call)
            assert (found.status, found.waits_for) == (calls_pb2.CALL_STATUS_QUEUED, pb.WAITS_FOR_RETRY)
            assert 50 < (found.due_at.ToDatetime(UTC) - now()).total_seconds() <= 60
            await run(desk.dialler())
            assert len(desk.carrier.placed) == number, "not before its time"
            await desk.later(call, 60)
    assert await desk.state(call) == ("busy", "busy", ["busy", "no_answer", "busy"])
    # The first attempt's late words are of no interest to the last.
    await desk.says(next(iter(desk.carrier.placed)), "completed")
    assert (await desk.state(call))[0] == "busy"


async def test_who_answers_at_last_is_not_called_again(desk: Desk) -> None:
    call = await desk.order(max_attempts=3, retry_after_seconds=10)
    await run(desk.dialler())
    await desk.says(next(iter(desk.carrier.placed)), "busy")
    await desk.later(call, 10)
    await run(desk.dialler())
    first, second = desk.carrier.placed
    assert (await desk.answers(second)).HasField("connect")
    assert not (await desk.answers(first)).HasField("connect"), "that one is over"
    await desk.says(second, "completed")
    assert await desk.state(call) == ("completed", "caller", ["busy", "completed"])


# --- crashes ------------------------------------------------------------------------------------------------------


async def test_killed_before_the_carrier_was_asked(desk: Desk) -> None:
    """The attempt is committed, and nothing came of it: after two looks the number is called, once."""
    call = await desk.order()
    dialler = desk.dialler()
    _, claimed = await dialler._claim("")  # and here it dies
    assert claimed is not None
    await run(desk.dialler())
    assert not desk.carrier.placed, "whether it was placed is unknown"
    for _ in range(2):
        assert (await desk.state(call))[2] == ["dialling"]
        await desk.later(call, 3)
        await desk.dialler().look_up_unconfirmed_attempts()
    assert (await desk.state(call))[2] == ["not_placed"]
    assert desk.carrier.asked == [CALLEE, CALLEE]
    await desk.paces()
    await run(desk.dialler())
    assert len(desk.carrier.placed) == 1
    assert await desk.state(call) == ("queued", "", ["not_placed", "under_way"])
    # The process was not dead but stood still: it wakes up, and does not dial.
    await dialler.dial(replace(claimed, began_ms=claimed.began_ms - 2_001))
    assert len(desk.carrier.placed) == 1


@pytest.mark.parametrize("webhook_first", [False, True])
async def test_killed_after_the_carrier_was_asked(desk: Desk, *, webhook_first: bool) -> None:
    """The carrier has the call, and nobody recorded it: a look or a webhook tells, and it is never dialled again."""
    call = await desk.order()
    desk.carrier.lose_calls = [Killed()]
    dialler = desk.dialler()
    _, claimed = await dialler._claim("")
    assert claimed is not None
    with pytest.raises(Killed):
        await dialler.dial(claimed)
    assert (await desk.state(call))[2] == ["dialling"]
    (sid,) = desk.carrier.placed
    if webhook_first:
        await desk.says(sid, "ringing")
    else:
        await run(desk.dialler())
        await desk.later(call, 3)
        await desk.dialler().look_up_unconfirmed_attempts()
    assert (await desk.state(call))[2] == ["under_way"]
    await desk.later(call, 3)
    await desk.dialler().look_up_unconfirmed_attempts()
    await run(desk.dialler())
    assert list(desk.carrier.placed) == [sid]
    assert (await desk.answers(sid)).connect.call_id == call.id


async def test_a_lost_answer_is_looked_up_at_once(desk: Desk) -> None:
    call = await desk.order()
    desk.carrier.lose_calls = [CarrierError("The carrier did not respond: TimeoutError.")]
    await run(desk.dialler())
    assert len(desk.carrier.placed) == 1
    assert (await desk.state(call))[2] == ["under_way"]


async def test_an_answer_is_lost_and_so_is_the_look(desk: Desk) -> None:
    call = await desk.order()
    desk.carrier.lose_calls = [CarrierError("", carrier_status="503")]
    desk.carrier.fail = CarrierError("The carrier did not respond.")
    await run(desk.dialler())
    assert (await desk.state(call))[2] == ["dialling"]
    await desk.later(call, 3)
    await desk.dialler().look_up_unconfirmed_attempts()  # it is still away
    assert (await desk.state(call))[2] == ["dialling"]
    desk.carrier.fail = None
    await desk.dialler().look_up_unconfirmed_attempts()
    assert (await desk.state(call))[2] == ["under_way"]
    assert len(desk.carrier.placed) == 1


async def test_a_call_that_the_carrier_has_after_all_reaches_nobody(desk: Desk) -> None:
    """It said twice that it has none, and rings then: whoever answers it is hung up on, and the carrier is told to stop."""
    call = await desk.order()
    _, claimed = await desk.dialler()._claim("")
    assert claimed is not None
    for _ in range(2):
        await desk.later(call, 3)
        await desk.dialler().look_up_unconfirmed_attempts()
    desk.carrier.placed["CAghost"] = claimed.placement
    await desk.says("CAghost", "ringing")
    assert desk.carrier.ended == ["CAghost"]
    assert not (await desk.answers("CAghost")).HasField("connect")


async def test_an_older_call_between_the_numbers_is_not_taken_for_the_lost_one(desk: Desk) -> None:
    first = await desk.order()
    await run(desk.dialler())
    (old,) = desk.carrier.placed
    await desk.says(old, "completed")
    second = await desk.order()
    await desk.paces()
    assert (await desk.dialler()._claim(""))[1] is not None
    for _ in range(2):
        await desk.later(second, 3)
        await desk.dialler().look_up_unconfirmed_attempts()
    assert (await desk.state(second))[2] == ["not_placed"]
    assert (await desk.state(first))[2] == ["completed"]


async def test_a_call_that_was_placed_since_the_backup_is_not_placed_again(desk: Desk, database_url: str) -> None:
    """The database was restored: an order that it has may have been carried out, which the carrier tells."""
    call, other = await desk.order(), await desk.order(to="+13175550198")
    await run(desk.dialler())
    assert len(desk.carrier.placed) == 2
    async with desk.db.system() as tx:
        await tx.execute("DELETE FROM outbound_attempts")
        await tx.execute("UPDATE outbound_calls SET due_at = now(), waits_for = 'turn'")
        await tx.execute("UPDATE calls SET status = 'queued', call_sid = NULL")
    desk.carrier.placed = {sid: each for sid, each in desk.carrier.placed.items() if each.to_e164 == CALLEE}
    (sid,) = desk.carrier.placed
    await migrate(database_url, restored=True)
    desk.carrier.fail = CarrierError("The carrier did not respond.")
    await desk.paces()
    await run(desk.dialler(retry_seconds=60))
    assert list(desk.carrier.placed) == [sid], "unasked, nobody is called"
    desk.carrier.fail = None
    await desk.paces()
    await desk.later(call, 60)
    await desk.later(other, 60)
    await run(desk.dialler())
    await desk.dialler().look_up_unconfirmed_attempts()
    assert sorted(each.to_e164 for each in desk.carrier.placed.values()) == sorted([CALLEE, "+13175550198"])
    assert (await desk.state(call))[2][-1] == (await desk.state(other))[2][-1] == "under_way"


async def test_the_last_word_on_a_call_is_lost(desk: Desk) -> None:
    call = await desk.order(ring_seconds=5)
    await run(desk.dialler())
    (sid,) = desk.carrier.placed
    await desk.says(sid, "ringing")
    desk.carrier.calls[sid] = CarrierCall("ringing", None, sid)
    await desk.later(call, 7)
    await desk.dialler().look_up_unconfirmed_attempts()
    assert (await desk.state(call))[0] == "ringing", "the carrier says so"
    desk.carrier.calls[sid] = CarrierCall("no-answer", now(), sid)
    await desk.later(call, 7)
    await desk.dialler().look_up_unconfirmed_attempts()
    assert await desk.state(call) == ("no_answer", "no_answer", ["no_answer"])


# --- refusals and the pace ----------------------------------------------------------------------------------------


async def test_a_refusal_ends_the_call_with_the_carriers_code(desk: Desk) -> None:
    call = await desk.order(max_attempts=5)
    desk.carrier.refuse_calls = [CarrierError("The carrier refused", carrier_code="21211", carrier_status="400")]
    await run(desk.dialler())
    assert await desk.state(call) == ("failed", "carrier", ["failed"])
    assert (await desk.get(call)).attempts[0].carrier_code == "21211"


@pytest.mark.parametrize(
    "error", [CarrierBusy(0.2), CarrierError("", not_sent="true"), CarrierError("", carrier_status="401")]
)
async def test_a_carrier_that_takes_no_call_is_asked_again_later(desk: Desk, error: CarrierError) -> None:
    call = await desk.order()
    desk.carrier.refuse_calls = [error]
    await run(desk.dialler(retry_seconds=0.2))
    assert not desk.carrier.placed
    found = await desk.get(call)
    assert (found.waits_for, len(found.attempts)) == (pb.WAITS_FOR_CARRIER, 0)
    async with patience():
        while not desk.carrier.placed:
            await run(desk.dialler())
            await asyncio.sleep(0.02)
    assert await desk.state(call) == ("queued", "", ["under_way"])


async def test_an_account_is_never_asked_faster_than_its_pace(desk: Desk) -> None:
    """Over any window, whichever process asks: here two diallers at once."""
    rate, calls = 20.0, 12
    for number in range(calls):
        await desk.order(f"+1317555{2000 + number}")
    async with patience():
        while len(desk.carrier.placed) < calls:
            await asyncio.gather(*(run(desk.dialler(calls_per_second=rate)) for _ in range(2)))
    # By the clock that keeps the pace, so that a busy machine changes nothing.
    async with desk.db.system() as tx:
        begun = [row["started_at"] for row in await tx.fetch("SELECT started_at FROM outbound_attempts ORDER BY 1")]
    steps = [(after - before).total_seconds() for before, after in itertools.pairwise(begun)]
    assert min(steps) >= 1 / rate - 0.005, steps


async def test_an_organization_with_many_calls_delays_no_other(plane: Plane, desk: Desk) -> None:
    for number in range(10):
        await desk.order(f"+1317555{2000 + number}")
    other = await plane.tenant("Other")
    flow, _ = await desk.line(other, "+13175550101")
    for number in range(3):
        await desk.order(f"+1317555{3000 + number}", metadata=other, flow_id=flow)
    await run(desk.dialler(width=1))  # one after the other
    callers = [each.from_e164[-1] for each in desk.carrier.placed.values()]
    assert len(callers) == 13
    assert sorted(callers[:6]) == ["0", "0", "0", "1", "1", "1"], callers


async def test_nobodys_phone_rings_twice_at_once(desk: Desk) -> None:
    first, second = await desk.order(), await desk.order()
    await run(desk.dialler())
    (sid,) = desk.carrier.placed
    assert (await desk.state(first))[2] == ["under_way"] and (await desk.state(second))[2] == []
    await desk.says(sid, "busy")
    await desk.paces()
    await run(desk.dialler())
    assert (await desk.state(second))[2] == ["under_way"]


# --- when ---------------------------------------------------------------------------------------------------------


async def test_nobody_is_called_while_no_media_process_takes_calls(desk: Desk) -> None:
    call = await desk.order()
    await desk.is_silent()
    await run(desk.dialler())
    assert not desk.carrier.placed and (await desk.state(call))[0] == "queued"


async def test_a_call_is_placed_at_its_time(desk: Desk) -> None:
    call = await desk.order(scheduled_at=at(now() + timedelta(hours=5)))
    assert call.waits_for == pb.WAITS_FOR_SCHEDULE
    await run(desk.dialler())
    assert not desk.carrier.placed
    await desk.later(call, 5 * 3600)
    await run(desk.dialler())  # another process, as after a restart
    assert len(desk.carrier.placed) == 1


async def test_a_call_that_is_far_too_late_is_not_placed(desk: Desk) -> None:
    call = await desk.order()
    async with desk.db.system() as tx:
        await tx.execute("UPDATE outbound_calls SET wanted_at = now() - interval '2 hours', due_at = now()")
    await run(desk.dialler())
    assert await desk.state(call) == ("failed", "too_late", [])


async def test_a_number_is_called_so_often_in_24_hours_whoever_ordered_it_when(desk: Desk) -> None:
    desk.limits = replace(desk.limits, a_day_to_one=3)
    call = await desk.order(max_attempts=10, retry_after_seconds=60)
    for _ in range(3):
        await run(desk.dialler())
        await desk.says(list(desk.carrier.placed)[-1], "no-answer")
        await desk.later(call, 60)
    await run(desk.dialler())
    assert len(desk.carrier.placed) == 3
    waiting = await desk.get(call)
    assert (waiting.status, waiting.waits_for) == (calls_pb2.CALL_STATUS_QUEUED, pb.WAITS_FOR_TURN)
    other, elsewhere = await desk.order(), await desk.order("+13175550188")
    await run(desk.dialler())
    assert (await desk.state(other), (await desk.state(elsewhere))[2]) == (("queued", "", []), ["under_way"])
    await desk.later(call, 24 * 3600)
    await run(desk.dialler())
    assert len((await desk.get(call)).attempts) == 4


async def test_who_is_blocked_meanwhile_is_not_called(desk: Desk) -> None:
    call = await desk.order()
    async with desk.db.system() as tx:
        await tx.execute(
            "INSERT INTO blocklist (org_id, phone_e164) SELECT org_id, $1 FROM calls WHERE id = $2",
            CALLEE,
            call_id(call),
        )
    await run(desk.dialler())
    assert await desk.state(call) == ("blocked", "blocked", [])


async def test_quiet_hours_that_began_meanwhile_are_kept(desk: Desk) -> None:
    call = await desk.order()
    closed = (datetime.now(UTC) + timedelta(days=2)).strftime("%a").lower()
    async with desk.db.system() as tx:
        await tx.execute(
            "UPDATE organizations SET voice_quiet_hours_enabled = true, business_hours_json = $1",
            f'{{"weekly": {{"{closed}": [["09:00", "17:00"]]}}}}',
        )
    await run(desk.dialler())
    found = await desk.get(call)
    assert (found.waits_for, len(found.attempts)) == (pb.WAITS_FOR_QUIET_HOURS, 0)
    assert found.due_at.ToDatetime(UTC) > now()


# --- canceling ----------------------------------------------------------------------------------------------------


async def test_a_call_that_waits_is_canceled(desk: Desk) -> None:
    call = await desk.order(scheduled_at=at(now() + timedelta(hours=5)))
    await desk.outbound.CancelOutboundCall(pb.CancelOutboundCallRequest(id=call.id), metadata=desk.who)
    assert await desk.state(call) == ("canceled", "hang_up", [])
    assert not (await desk.get(call)).HasField("due_at")
    await desk.later(call, 5 * 3600)
    await run(desk.dialler())
    assert not desk.carrier.placed and not desk.carrier.ended
    with pytest.raises(aio.AioRpcError) as again:
        await desk.outbound.CancelOutboundCall(pb.CancelOutboundCallRequest(id=call.id), metadata=desk.who)
    assert again.value.code() is StatusCode.FAILED_PRECONDITION


async def test_a_call_that_rings_is_hung_up(desk: Desk) -> None:
    call = await desk.order()
    await run(desk.dialler())
    (sid,) = desk.carrier.placed
    await desk.says(sid, "ringing")
    await desk.calls.HangUpCall(calls_pb2.HangUpCallRequest(id=call.id), metadata=desk.who)
    assert desk.carrier.ended == [sid]
    assert not (await desk.answers(sid)).HasField("connect")
    await desk.says(sid, "canceled")
    assert await desk.state(call) == ("canceled", "hang_up", ["canceled"])


async def test_a_call_from_a_sub_accounts_number_is_hung_up_at_the_sub_account(desk: Desk) -> None:
    async with desk.db.system() as tx:
        await tx.execute("UPDATE numbers SET account_sid = 'AC5'")
    call = await desk.order()
    await run(desk.dialler())
    ((sid, placement),) = desk.carrier.placed.items()
    await desk.says(sid, "ringing")
    await desk.calls.HangUpCall(calls_pb2.HangUpCallRequest(id=call.id), metadata=desk.who)
    assert (placement.account, desk.carrier.ended, desk.carrier.accounts) == ("AC5", [sid], ["AC5"])


async def test_a_call_that_is_canceled_while_the_carrier_is_asked_is_ended_there(desk: Desk) -> None:
    call = await desk.order()
    _, claimed = await desk.dialler()._claim("")
    assert claimed is not None
    await desk.outbound.CancelOutboundCall(pb.CancelOutboundCallRequest(id=call.id), metadata=desk.who)
    await desk.dialler().dial(claimed)
    (sid,) = desk.carrier.placed
    assert desk.carrier.ended == [sid]
    assert (await desk.state(call))[:2] == ("canceled", "hang_up")


async def test_calls_of_others_are_nobody_elses(plane: Plane, desk: Desk) -> None:
    call = await desk.order()
    other = await plane.tenant("Other")
    for ask in (
        desk.outbound.GetOutboundCall(pb.GetOutboundCallRequest(id=call.id), metadata=other),
        desk.outbound.CancelOutboundCall(pb.CancelOutboundCallRequest(id=call.id), metadata=other),
    ):
        with pytest.raises(aio.AioRpcError) as refused:
            await ask
        assert refused.value.code() is StatusCode.NOT_FOUND
    listed = await desk.outbound.ListOutboundCalls(pb.ListOutboundCallsRequest(), metadata=other)
    assert not listed.calls
