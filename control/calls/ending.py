"""The end of calls: each event leads downwards to `end_call`, which closes a call once, whatever comes first.

| event | function | next |
| --- | --- | --- |
| the media process reports the stream's end | `stream_ended` | the pending step, or the carrier's report, or `end_call` |
| the carrier requests the next step | `carriersteps.next_step`, `carriersteps.after_dial` | a dial, or another stream, or `end_call` |
| the carrier reports the call's end | `carriersteps.carrier_status`, `outbound.attempts.ended`, `over_at_carrier` | the stream's end, or `end_call` |
| a person hangs up a call that no media process has | `hangups`, `hang_up` | `end_call` |
| a browser's caller has lost the right to call, and no media process has the call | `browsercallers`, `hangups`, `hang_up` | `end_call` |
| the gateway reports that it apologized and hung up, without control | `ended_by_gateway` | the stream's end, or `end_call` |
| a call can't be connected | `carriersteps.route_inbound`, `carriersteps.offer`, `browser.end_unjoined` | `end_call` |
| the stream's end is not reported in time | `close_stale_calls` | `end_call` |
| neither a media process nor the carrier has the call | `orphans.close_orphaned_calls` | `end_call` |
| the call is finished | `jobs.after_call` | its summary |

For example: the caller hangs up.  The media process reports that the stream ended with `caller`, and `stream_ended`
finishes the call.  The carrier's report, which comes later, finds it closed.

A call that was closed as lost stays closed.  If its media process, or the gateway, reports later what ended it, that
replaces the assumed end.
"""

from datetime import datetime
from uuid import UUID

from control import jobs
from control.base.wire import value
from control.calls import callendings, outbox, unfinished
from control.clients.twilio import CarrierClient
from control.livecall.callstatus import AFTER_CALL, AWAY_REASON, LIVE
from control.livecall.nextsteps import LEAVES, Transfer, decode
from control.livecall.stream import append_event
from control.livecall.turns import without_nul
from control.rows import each_row
from control.transfers import record
from control.transfers.transfertargets import TRANSFERRED
from control.usage import callentries as usage
from control.voicemail.messageparts import KEEP
from hum.clock import now
from hum.v1 import calls_pb2, runtime_pb2
from storage import calls, missed_calls, unfinished_turns, voicemails
from storage.calls import CallStateRow
from storage.db import Db, Tx


async def stream_ended(tx: Tx, state: CallStateRow, number: int, ended: runtime_pb2.StreamEnded, at: datetime) -> None:
    """Close or continue a locked call after a stream has ended, by the reason and by what the carrier has reported."""
    # All turns of the stream are final now.
    await unfinished_turns.clear(tx, state.id, number)
    await usage.record_stream_end(tx, state, number, at)
    if ended.untranscribed_ms:
        await missed_calls.add_untranscribed(tx, state.id, ended.untranscribed_ms)
    # The call was closed without what this stream has reported since.
    if state.ended_at is not None:
        await _correct_end(tx, state, number, ended)
        await jobs.enqueue(tx, AFTER_CALL, state.org_id, state.id)
        return
    # The call continues in another stream.
    if number < state.streams_opened:
        return
    # A late report: the carrier has requested the next step already.
    if state.node is None and state.next_step_due:
        return
    if _continues(state, ended.reason):
        if state.carrier_ended_at is None:
            await calls.leave_stream(tx, state.id)
        elif state.heard_apology:
            await end_call(tx, state, "failed", at, AWAY_REASON)
        else:
            await end_call(tx, state, "completed", at, "caller")
        return
    detail = _detail(ended)
    if (status := callendings.ENDINGS.get(ended.reason)) is not None:
        await end_call(tx, state, status, at, ended.reason, detail)
    elif state.carrier_ended_at is not None:
        await end_call(tx, state, "completed", at, "stream_lost")
    else:
        # The carrier requests the next step, or reports that the call is over.
        await calls.lose_stream(tx, state.id)


async def _correct_end(tx: Tx, state: CallStateRow, number: int, ended: runtime_pb2.StreamEnded) -> None:
    """Replace the end that control assumed when it closed a call by the one that the last stream reports."""
    status = callendings.ENDINGS.get(ended.reason)
    is_last = number == state.streams_opened and not _continues(state, ended.reason)
    if state.end_reason in callendings.BEFORE_REPORT and is_last and status is not None:
        await _replace_end(tx, state, status, ended.reason, _detail(ended))


async def _replace_end(tx: Tx, state: CallStateRow, status: str, reason: str, detail: str | None = None) -> None:
    await calls.correct_end(tx, state.id, status, reason, detail)
    await outbox.corrected(tx, state, status, reason)


def _detail(ended: runtime_pb2.StreamEnded) -> str | None:
    return without_nul(ended.detail) if ended.HasField("detail") else None


def _continues(state: CallStateRow, reason: str) -> bool:
    """Tell whether a call continues without the stream that ended with this reason.

    It does if the stream was left for a pending step, or if the carrier was told to redirect the call for a transfer.
    """
    step = decode(state.next_step)
    if reason in LEAVES:
        return step is not None
    return reason == "caller" and state.next_step_due and isinstance(step, Transfer)


async def over_at_carrier(tx: Tx, state: CallStateRow, at: datetime) -> None:
    """Record the carrier's end of a call that had a stream, and close it unless the stream's end is still due."""
    if state.node is not None:
        await calls.set_carrier_ended(tx, state.id)
        return
    if state.next_step_due:
        reason = await record.reason(tx, state.id)
    else:
        # The media process reported that it lost the stream; or the caller did not wait for the next stream.
        reason = "caller" if state.carrier_ended_at is None else "stream_lost"
    if state.heard_apology and reason != TRANSFERRED:
        await end_call(tx, state, "failed", at, AWAY_REASON)
    else:
        await end_call(tx, state, "completed", at, reason)


async def ended_by_gateway(tx: Tx, state: CallStateRow, at: datetime) -> None:
    """Record that the gateway apologized and hung up at this time, since control was unavailable; idempotent.

    While a media process may still report how the last stream ended, that decides.
    """
    # The carrier did not get the apology: it has requested again, and got an answer.
    if await calls.is_continued_since(tx, state.id, at):
        return
    if state.ended_at is not None:
        if callendings.is_assumed(state.end_reason, state.ended_at, at):
            await _replace_end(tx, state, "failed", AWAY_REASON)
    elif state.node is None:
        await end_call(tx, state, "failed", at, AWAY_REASON)
    else:
        await calls.set_apologized(tx, state.id, at)


async def hang_up(db: Db, carrier: CarrierClient, state: CallStateRow) -> bool:
    """End a call that no media process has: at the carrier, if it has an id there, and here.  Raises CarrierError.

    Return False for a call without an id at the carrier that a media process got meanwhile.
    """
    node = state.node
    was_going_on = state.call_sid is None or await carrier.end_call(state.call_sid, state.carrier_account)
    async with db.system() as tx:
        state = await calls.lock(tx, state.id)
        if state.status not in LIVE:
            return True
        if state.call_sid is None and state.node not in {None, node}:
            return False
        is_outbound = state.direction == "outbound"
        status, reason = callendings.hung_up(
            joined=state.streams_opened > 0, was_going_on=was_going_on, placed=is_outbound
        )
        await end_call(tx, state, status, now(), reason)
    return True


async def close_stale_calls(db: Db, lost_seconds: float) -> int:
    """Close calls that the carrier ended `lost_seconds` ago and that lack their stream's end; return how many."""

    async def close(id: UUID) -> bool:
        async with db.system() as tx:
            state = await calls.lock_if_stale(tx, id, lost_seconds)
            if state is None:
                return False
            await end_call(tx, state, "completed", state.carrier_ended_at or now(), "stream_lost")
        return True

    async with db.system() as tx:
        stale = await calls.stale(tx, lost_seconds)
    return await each_row("calls", stale, close)


async def end_call(
    tx: Tx, state: CallStateRow, status: str, at: datetime, reason: str, detail: str | None = None
) -> None:
    """Close a locked call, unless it is closed, and enqueue its after-call job.

    If the caller heard the gateway's apology, that ended the call, and not a loss.
    """
    if state.ended_at is not None:
        return
    if reason == callendings.UNREPORTED and state.heard_apology:
        status, reason = "failed", AWAY_REASON
    await unfinished.finalize(tx, state.org_id, state.id, state.streams_opened, at)
    await record.break_off(tx, state, at)
    await calls.end(tx, state.id, status, at, reason, detail)
    await usage.record_call_end(tx, state, at)
    duration_seconds = int((at - state.answered_at).total_seconds()) if state.answered_at else None
    ended = calls_pb2.CallEnded(
        status=value(calls_pb2.CallStatus, status), reason=reason, duration_seconds=duration_seconds
    )
    await append_event(tx, state.id, at, ended=ended)
    await outbox.completed(tx, state, status, at, reason, duration_seconds)
    if await voicemails.has_parts(tx, state.id):
        await jobs.enqueue(tx, KEEP, state.org_id, state.id)
    else:
        await record.mark_untaken(tx, state)
    await jobs.enqueue(tx, AFTER_CALL, state.org_id, state.id)
