"""The outbox: each change of state appends one event in its own transaction.

Readers with cursors read below the transaction horizon, never by `id > last`: ids are given when rows are written, not
when they become visible, so an event that commits late would be jumped over.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from storage.db import Tx

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
CURSOR = "SELECT xid::text AS xid, id FROM event_cursors WHERE reader = $1 FOR UPDATE"
MOVE = """
    INSERT INTO event_cursors (reader, xid, id) VALUES ($1, $2::text::xid8, $3)
    ON CONFLICT (reader) DO UPDATE SET xid = excluded.xid, id = excluded.id
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


async def place(tx: Tx, reader: str) -> tuple[str, int]:
    """Where a reader is: transaction and id; nobody else reads for it before this transaction ends."""
    cursor = await tx.fetchrow(CURSOR, reader)
    return (cursor["xid"], cursor["id"]) if cursor else ("0", 0)


async def move(tx: Tx, reader: str, xid: str, id: int) -> None:
    """The reader has done everything up to here, when this transaction commits."""
    await tx.execute(MOVE, reader, xid, id)


async def read_behind_horizon(tx: Tx, reader: str, limit: int = 500) -> list[Event]:
    """The next events for a reader, each exactly once; they are done when the transaction commits.

    The cursor's row is locked, so one of several processes works for a reader at a time.
    """
    xid, id = await place(tx, reader)
    rows = await tx.fetch(BEHIND_HORIZON, xid, id, limit)
    if rows:
        await move(tx, reader, rows[-1]["xid"], rows[-1]["id"])
    return [Event(**{**row, "data": json.loads(row["data"])}) for row in rows]
