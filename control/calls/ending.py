"""The end of calls, which the first report of it determines."""

from datetime import datetime
from uuid import UUID

from control import jobs
from control.base.wire import value
from control.calls import outbox, rules, under_way
from control.clients.twilio import Carrier
from control.livecall.rules import AFTER_CALL, LIVE
from control.livecall.stream import tell
from control.rows import each_row
from control.transfers import record
from control.usage import record as usage
from control.voicemail.rules import KEEP
from hum.clock import now
from hum.v1 import calls_pb2
from storage import calls, voicemails
from storage.calls import CallState
from storage.db import Db, Tx


async def finish(tx: Tx, state: CallState, status: str, at: datetime, reason: str, detail: str | None = None) -> None:
    """Close a locked call, unless it is closed, and enqueue its after-call job."""
    if state.ended_at is not None:
        return
    await under_way.settle(tx, state.org_id, state.id, state.streams_opened, at)
    await record.break_off(tx, state, at)
    await calls.finish(tx, state.id, status, at, reason, detail)
    await usage.ended(tx, state, at)
    duration_seconds = int((at - state.answered_at).total_seconds()) if state.answered_at else None
    ended = calls_pb2.CallEnded(
        status=value(calls_pb2.CallStatus, status), reason=reason, duration_seconds=duration_seconds
    )
    await tell(tx, state.id, at, ended=ended)
    await outbox.completed(tx, state, status, at, reason, duration_seconds)
    if await voicemails.has_parts(tx, state.id):
        await jobs.enqueue(tx, KEEP, state.org_id, state.id)
    await jobs.enqueue(tx, AFTER_CALL, state.org_id, state.id)


async def over_at_carrier(tx: Tx, state: CallState, at: datetime) -> None:
    """Record the carrier's end of a call that had a stream, and close it unless the stream's end is still due."""
    if state.owed_due and state.node is None:
        reason = await record.reason(tx, state.id)
        await finish(tx, state, "completed", at, reason)
    elif state.node is None and state.carrier_ended_at is not None:
        # The media process reported that it lost the stream.
        await finish(tx, state, "completed", at, "stream_lost")
    else:
        await calls.carrier_ended(tx, state.id)


async def hang_up(db: Db, carrier: Carrier, state: CallState) -> None:
    """End a call that no media process has: at the carrier, if it has an id there, and here.  Raises CarrierError."""
    was_going_on = state.call_sid is None or await carrier.end_call(state.call_sid, state.carrier_account)
    async with db.system() as tx:
        state = await calls.lock(tx, state.id)
        if state.status in LIVE:
            is_outbound = state.direction == "outbound"
            status, reason = rules.hung_up(
                joined=state.streams_opened > 0, was_going_on=was_going_on, placed=is_outbound
            )
            await finish(tx, state, status, now(), reason)


async def sweep(db: Db, lost_seconds: float) -> int:
    """Close calls that the carrier ended `lost_seconds` ago and that lack their stream's end; return how many."""

    async def close(id: UUID) -> bool:
        async with db.system() as tx:
            state = await calls.lock_if_stale(tx, id, lost_seconds)
            if state is None:
                return False
            await finish(tx, state, "completed", state.carrier_ended_at or now(), "stream_lost")
        return True

    async with db.system() as tx:
        stale = await calls.stale(tx, lost_seconds)
    return await each_row("calls", stale, close)
