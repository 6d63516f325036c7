"""The outbox: each change of state appends one event in its own transaction.

Readers with cursors read below the transaction horizon, never by `id > last`: ids are assigned when rows are written,
not when they become visible, so an event that commits late would be skipped.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Any
from uuid import UUID

from google.protobuf.message import Message

from hum import eventtypes, ids, jsonwire
from storage.db import AWAY, BUSY, Tx

#: Errors that are not the events' fault: a retry will work later.
LATER = (*AWAY, *BUSY)


class Start(Enum):
    """Where a new reader starts."""

    #: At the current horizon; it may also see what transactions that are running at this moment wrote before.
    NOW = auto()
    BEGINNING = auto()


APPEND = """
    INSERT INTO events (public_id, org_id, type, version, subject_id, data, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, coalesce($7, now()))
"""
PLACE_OF = "SELECT xid::text AS xid, id FROM events WHERE public_id = $1"
# $1 and $2: the position of the last event that was seen; $3: types.
PAGE = """
    SELECT public_id, org_id, type, version, data, created_at
      FROM events
     WHERE org_id = (SELECT hum.org_id())
       AND (xid, id) > ($1::text::xid8, $2) AND xid < pg_snapshot_xmin(pg_current_snapshot())
       AND type = ANY ($3::text[])
     ORDER BY events.xid, events.id
     LIMIT $4
"""
# Where a new reader starts: after all that is below the horizon now, or before everything.
OPEN_NOW = """
    INSERT INTO event_cursors (reader, xid, id)
    VALUES ($1, pg_snapshot_xmin(pg_current_snapshot()), 0)
"""
OPEN_AT_BEGINNING = "INSERT INTO event_cursors (reader, xid, id) VALUES ($1, '0', 0)"
# Held to the end of the transaction, also while the reader's first row is not committed yet.
TRY_LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended('event reader ' || $1, 0))"
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('event reader ' || $1, 0))"
CURSOR = "SELECT xid::text AS xid, id FROM event_cursors WHERE reader = $1"
MOVE = "UPDATE event_cursors SET xid = $2::text::xid8, id = $3 WHERE reader = $1"
LAG = """
    SELECT coalesce(extract(epoch FROM now() - (SELECT e.created_at FROM events e
                                                 WHERE (e.xid, e.id) > (c.xid, c.id)
                                                 ORDER BY e.xid, e.id LIMIT 1)), 0)::float8
      FROM event_cursors c
     WHERE c.reader = $1
"""
SET_ASIDE = """
    INSERT INTO events_set_aside (reader, event_id, reason) VALUES ($1, $2, $3) ON CONFLICT (reader, event_id) DO NOTHING
"""
BEHIND_HORIZON = """
    SELECT id, xid::text AS xid, org_id, type, subject_id, data, created_at
      FROM events
     WHERE (xid, id) > ($1::text::xid8, $2) AND xid < pg_snapshot_xmin(pg_current_snapshot())
     ORDER BY events.xid, events.id  -- the columns: an output named xid would be sorted as text
     LIMIT $3
"""


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event as customers see it; `data` is JSON."""

    public_id: UUID
    org_id: UUID
    type: str
    version: int
    data: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Event:
    id: int
    xid: str
    org_id: UUID
    type: str
    subject_id: UUID
    data: dict[str, Any]
    created_at: datetime


async def append(tx: Tx, org: UUID, subject: UUID, event: Message, *, at: datetime | None = None) -> None:
    """Append an event, a message of proto/hum/v1/events.proto.  It becomes visible when the transaction commits."""
    type = eventtypes.of_message(event.DESCRIPTOR)
    data = jsonwire.write(event).decode()
    await tx.execute(APPEND, ids.new(), org, type.name, type.version, subject, data, at)


async def place_of(tx: Tx, public_id: UUID) -> tuple[str, int] | None:
    """The position of an event of the tenant; None when there is no such event."""
    row = await tx.fetchrow(PLACE_OF, public_id)
    return (row["xid"], row["id"]) if row else None


async def page(tx: Tx, after: tuple[str, int], types: Sequence[str], limit: int) -> list[EventRow]:
    """The tenant's events of these types after a position, in the order of commits, as far as that order is final."""
    return [EventRow(**row) for row in await tx.fetch(PAGE, *after, types, limit)]


async def place(tx: Tx, reader: str, start: Start) -> tuple[str, int] | None:
    """A reader's position: transaction and id.  No other process reads for it before this transaction ends.

    None while another process reads for it.  A new reader starts at `start`.
    """
    if not await tx.fetchval(TRY_LOCK, reader):
        return None
    cursor = await tx.fetchrow(CURSOR, reader)
    if cursor is None:
        await tx.execute(OPEN_NOW if start is Start.NOW else OPEN_AT_BEGINNING, reader)
        cursor = await tx.fetchrow(CURSOR, reader)
        assert cursor is not None, "it was opened in this transaction"
    return cursor["xid"], cursor["id"]


async def hold(tx: Tx, reader: str) -> None:
    """Let no process read for a reader before this transaction ends; wait for one that does."""
    await tx.execute(LOCK, reader)


async def move(tx: Tx, reader: str, xid: str, id: int) -> None:
    """The reader has done everything up to here, when this transaction commits."""
    await tx.execute(MOVE, reader, xid, id)


async def read_behind_horizon(tx: Tx, reader: str, start: Start, limit: int = 500) -> list[Event]:
    """The next events for a reader, each exactly once; they are done when the transaction commits.

    The reader is locked, so one of several processes works for a reader at a time; the others get nothing.
    """
    at = await place(tx, reader, start)
    if at is None:
        return []
    rows = await tx.fetch(BEHIND_HORIZON, *at, limit)
    if rows:
        await move(tx, reader, rows[-1]["xid"], rows[-1]["id"])
    return [Event(**{**row, "data": json.loads(row["data"])}) for row in rows]


async def lag_seconds(tx: Tx, reader: str) -> float:
    """How old the oldest event is that a reader has not read; 0 when it has read all, or never began."""
    return await tx.fetchval(LAG, reader) or 0.0


async def set_aside(tx: Tx, reader: str, event: Event, reason: str) -> None:
    """Record an event that a reader could not handle; the reader goes on with the next."""
    await tx.execute(SET_ASIDE, reader, event.id, reason)
