"""A call's own event stream for clients, numbered without a gap.

It is not the outbox (`storage.events`): these events are never read across calls.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from storage.db import Tx, notify

#: NOTIFY carries the id of a call that has a new event.
CHANNEL = "hum_calls"

APPEND = """
    WITH call AS (UPDATE calls SET event_seq = event_seq + 1 WHERE id = $1 RETURNING org_id, event_seq)
    INSERT INTO call_events (org_id, call_id, seq, type, data, created_at)
    SELECT org_id, $1, event_seq, $2, $3, coalesce($4, now()) FROM call
    RETURNING seq
"""
AFTER = """
    SELECT seq, type, data, created_at AS at FROM call_events WHERE call_id = $1 AND seq > $2 ORDER BY seq LIMIT $3
"""


@dataclass(frozen=True, slots=True)
class CallEventRow:
    """An event of a call's stream; `data` is JSON."""

    seq: int
    type: str
    data: str
    at: datetime


async def append(tx: Tx, call: UUID, type: str, data: str, at: datetime | None = None) -> int:
    """Append to the stream of a locked call, and wake its listeners; return the event's sequence."""
    seq: int | None = await tx.fetchval(APPEND, call, type, data, at)
    assert seq is not None, "a call is locked before it is changed"
    await notify(tx, CHANNEL, str(call))
    return seq


async def notify_listeners(tx: Tx, call: UUID) -> None:
    """Wake the listeners of a call without a new event, because a media process has it now."""
    await notify(tx, CHANNEL, str(call))


async def after(tx: Tx, call: UUID, seq: int, limit: int = 500) -> list[CallEventRow]:
    """Return a call's events after a sequence, in order."""
    return [CallEventRow(**row) for row in await tx.fetch(AFTER, call, seq, limit)]
