"""Ending calls: each ends once, by whoever reports it first."""

from datetime import datetime
from uuid import UUID

from control import jobs
from control.base.wire import value
from control.calls import outbox, rules
from control.calls.stream import tell
from control.clients.twilio import Carrier
from control.rows import each_row
from hum.clock import now
from hum.errors import InvalidState
from hum.v1 import calls_pb2
from storage import calls
from storage.calls import CallState
from storage.db import Db, Tx


async def finish(tx: Tx, state: CallState, status: str, at: datetime, reason: str, detail: str | None = None) -> None:
    """Close a call whose row is locked, once, and enqueue its after-call work."""
    if state.ended_at is not None:
        return
    await calls.finish(tx, state.id, status, at, reason, detail)
    lasted = int((at - state.answered_at).total_seconds()) if state.answered_at else None
    ended = calls_pb2.CallEnded(status=value(calls_pb2.CallStatus, status), reason=reason, duration_seconds=lasted)
    await tell(tx, state.id, at, ended=ended)
    await outbox.completed(tx, state, status, at, reason, lasted)
    await jobs.enqueue(tx, rules.AFTER_CALL, state.org_id, state.id)


async def require_live(tx: Tx, id: UUID) -> CallState:
    """Lock a live call.  Raises NotFound, InvalidState."""
    state = await calls.lock(tx, id)
    if state.status not in rules.LIVE:
        raise InvalidState(f"The call is {state.status.replace('_', ' ')}.")
    return state


async def hang_up(db: Db, carrier: Carrier, state: CallState) -> None:
    """End a call that no media process has: at the carrier, and here.  Raises CarrierError."""
    was_going_on = state.call_sid is not None and await carrier.end_call(state.call_sid)
    async with db.system() as tx:
        state = await calls.lock(tx, state.id)
        if state.status in rules.LIVE:
            status, reason = rules.hung_up(joined=state.streams_opened > 0, was_going_on=was_going_on)
            await finish(tx, state, status, now(), reason)


async def sweep(db: Db, lost_seconds: float) -> int:
    """Close the calls that the carrier ended `lost_seconds` ago and whose stream reported no end; return how many."""

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
