"""Cursors of single organizations: a reader's backlog of an organization's events after the reader has moved on with all others.

A cursor is a row of `event_cursors` named after the reader and the organization.  Only the holder of the reader's lock
(`events.lock_position`) changes it, and it is never ahead of the reader's own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from hum.clock import now
from storage import events
from storage.db import Tx
from storage.events import Event

#: A transaction and an event id.
Place = tuple[str, int]
#: Events of organizations with a backlog that are skipped at once, at most.
WINDOW = 20_000

FIND = """
    SELECT substr(reader, length($1) + 2)::uuid AS org, xid::text AS xid, id
      FROM event_cursors WHERE reader ^@ ($1 || ' ') ORDER BY reader
"""
STORE = """
    INSERT INTO event_cursors (reader, xid, id) VALUES ($1, $2::text::xid8, $3)
    ON CONFLICT (reader) DO UPDATE SET xid = excluded.xid, id = excluded.id
"""
CLOSE = "DELETE FROM event_cursors WHERE reader = $1"
WINDOW_END = """
    SELECT xid::text AS xid, id, count(*) OVER () AS count
      FROM (SELECT xid, id FROM events
             WHERE (xid, id) > ($1::text::xid8, $2) AND xid < pg_snapshot_xmin(pg_current_snapshot()) AND id >= $3
             ORDER BY events.xid, events.id
             LIMIT $4) ahead
     ORDER BY ahead.xid DESC, ahead.id DESC
     LIMIT 1
"""
_COLUMNS = "id, xid::text AS xid, org_id, type, subject_id, data, created_at, public_id"
# $6: organizations with a backlog.
WITHOUT_BACKLOG = f"""
    SELECT {_COLUMNS}
      FROM events
     WHERE (xid, id) > ($1::text::xid8, $2) AND (xid, id) <= ($3::text::xid8, $4) AND id >= $5 AND org_id <> ALL ($6::uuid[])
     ORDER BY events.xid, events.id
     LIMIT $7
"""
OF_ORGANIZATION = f"""
    SELECT {_COLUMNS}
      FROM events
     WHERE org_id = $6 AND (xid, id) > ($1::text::xid8, $2) AND (xid, id) <= ($3::text::xid8, $4) AND id >= $5
       AND data IS NOT NULL
     ORDER BY events.xid, events.id
     LIMIT $7
"""


@dataclass(frozen=True, slots=True)
class EventBatch:
    """The next events, the position after them, and whether that is the end."""

    events: Sequence[Event]
    end: Place
    is_all: bool


async def find(tx: Tx, reader: str) -> dict[UUID, Place]:
    """Return the position of each organization that has a backlog with a reader."""
    return {row["org"]: (row["xid"], row["id"]) for row in await tx.fetch(FIND, reader)}


async def store(tx: Tx, reader: str, positions: Mapping[UUID, Place], finished: Sequence[UUID]) -> None:
    """Store organizations' positions; those in `finished` have no backlog any more."""
    await tx.executemany(STORE, [(f"{reader} {org}", *position) for org, position in positions.items()])
    await tx.executemany(CLOSE, [(f"{reader} {org}",) for org in finished])


async def of_others(tx: Tx, at: Place, behind: Sequence[UUID], limit: int) -> EventBatch:
    """Return the next events of all organizations except those that are `behind`."""
    least = await tx.fetchval(events.UNREAD, at[0])
    window_limit = WINDOW if behind else limit
    window = await tx.fetchrow(WINDOW_END, *at, least, window_limit)
    end = (window["xid"], window["id"]) if window else at
    rows = await tx.fetch(WITHOUT_BACKLOG, *at, *end, least, behind, limit) if window else []
    await tx.execute(events.PLAN_AS_EVER)
    rest = [events.of_row(row) for row in rows]
    if len(rest) == limit:
        end = rest[-1].xid, rest[-1].id
    return EventBatch(rest, end, is_all=len(rest) < limit and (window is None or window["count"] < window_limit))


async def of_organization(tx: Tx, org: UUID, at: Place, end: Place, limit: int) -> list[Event]:
    """Return an organization's next events up to a position, without deleted payloads."""
    least = await tx.fetchval(events.UNREAD, at[0])
    rows = await tx.fetch(OF_ORGANIZATION, *at, *end, least, org, limit)
    await tx.execute(events.PLAN_AS_EVER)
    return [events.of_row(row) for row in rows]


async def lag_seconds(tx: Tx, reader: str) -> float:
    """Return the age in seconds of the oldest unread event of organizations with a backlog; 0 if there is none."""
    behind = await find(tx, reader)
    if not behind or (row := await tx.fetchrow(events.CURSOR, reader)) is None:
        return 0.0
    end = row["xid"], row["id"]
    oldest = [
        event.created_at
        for org, position in behind.items()
        for event in await of_organization(tx, org, position, end, 1)
    ]
    return (now() - min(oldest)).total_seconds() if oldest else 0.0
