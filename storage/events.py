"""The outbox: each change of state appends one event in its own transaction.

Readers with cursors read below the transaction horizon, never by `id > last`: ids are given when rows are written, not
when they become visible, so an event that commits late would be jumped over.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Any
from uuid import UUID

from storage.db import AWAY, BUSY, Tx

#: What a reader meets that means nothing about the events: the same will work later.
LATER = (*AWAY, *BUSY)


class Start(Enum):
    """Where a reader starts that never read before."""

    #: At what is not yet behind the horizon; of transactions that run at this moment it may see what they wrote before.
    NOW = auto()
    BEGINNING = auto()


APPEND = """
    INSERT INTO events (org_id, type, subject_id, subject_seq, data, created_at)
    VALUES ($1, $2, $3, $4, $5, coalesce($6, now()))
"""
OF_SUBJECT = """
    SELECT subject_seq, type, data, created_at
      FROM events
     WHERE subject_id = $1 AND subject_seq > $2
     ORDER BY subject_seq
     LIMIT $3
"""
# Where a new reader starts: behind all that is below the horizon now, or before everything.
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
class SubjectEvent:
    """One event of a subject that numbers its own."""

    seq: int
    type: str
    data: dict[str, Any]
    at: datetime


@dataclass(frozen=True, slots=True)
class Event:
    id: int
    xid: str
    org_id: UUID
    type: str
    subject_id: UUID
    data: dict[str, Any]
    created_at: datetime


async def append(
    tx: Tx,
    org: UUID,
    type: str,
    subject: UUID,
    data: Mapping[str, Any],
    *,
    seq: int | None = None,
    at: datetime | None = None,
) -> None:
    """Append an event; it is seen by all when the transaction commits, and by nobody before."""
    await tx.execute(APPEND, org, type, subject, seq, json.dumps(data), at)


async def of_subject(tx: Tx, subject: UUID, after: int, limit: int = 500) -> list[SubjectEvent]:
    """A subject's own events behind its sequence `after`, in order."""
    rows = await tx.fetch(OF_SUBJECT, subject, after, limit)
    return [SubjectEvent(row["subject_seq"], row["type"], json.loads(row["data"]), row["created_at"]) for row in rows]


async def place(tx: Tx, reader: str, start: Start) -> tuple[str, int] | None:
    """Where a reader is, transaction and id; nobody else reads for it before this transaction ends.

    None while another process reads for it.  A reader that is new starts where `start` says.
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
    """Let nobody read for a reader before this transaction ends; wait for whoever does."""
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


async def set_aside(tx: Tx, reader: str, event: Event, reason: str) -> None:
    """Remember an event that a reader could not handle: it goes on behind it."""
    await tx.execute(SET_ASIDE, reader, event.id, reason)
