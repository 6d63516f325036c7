"""The outbox: each change of state appends one event in its own transaction.

Readers with cursors read below the transaction horizon, never by `id > last`: ids are assigned when rows are written,
not when they become visible, so an event that commits late would be skipped.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any, Literal
from uuid import UUID

from google.protobuf.message import Message

from hum import ids, pages
from hum.contract import eventtypes, wire
from storage import largerows
from storage.db import BUSY, UNAVAILABLE, Tx

#: An event's id is its month, counted from the year 0, shifted by this many bits, plus a sequence.
MONTH_BITS = 48
#: Errors that are not the event's fault: a later retry can succeed.
LATER = (*UNAVAILABLE, *BUSY)


class ReaderStart(Enum):
    """The position at which a new reader starts."""

    #: At the current horizon; also sees earlier writes of transactions that are still running.
    NOW = auto()
    BEGINNING = auto()


APPEND = """
    INSERT INTO events (public_id, org_id, type, version, subject_id, data, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, coalesce($7, now()))
"""
APPEND_ALL = """
    INSERT INTO events (public_id, org_id, type, version, subject_id, data)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::integer[], $5::uuid[], $6::json[])
"""
# $8: whether the event is idempotent.  Ids below month 1 belong to events from before `event_ids`.
APPEND_ONCE = """
    WITH brought AS (
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::integer[], $5::uuid[], $6::json[], $7::timestamptz[], $8::bool[])
                      AS b (public_id, org_id, type, version, subject_id, data, created_at, once)),
    noted AS (
        INSERT INTO event_ids (public_id, org_id)
        SELECT public_id, org_id FROM brought
         WHERE once
         ORDER BY public_id
        ON CONFLICT DO NOTHING
        RETURNING public_id)
    INSERT INTO events (public_id, org_id, type, version, subject_id, data, created_at)
    SELECT public_id, org_id, type, version, subject_id, data, coalesce(created_at, now())
      FROM brought
     WHERE NOT once OR public_id IN (SELECT public_id FROM noted)
"""
PRUNE_IDS = """
    DELETE FROM event_ids
     WHERE (org_id, public_id) IN (SELECT org_id, public_id FROM event_ids WHERE noted_at < now() - $1::interval
                                    ORDER BY noted_at LIMIT $2)
"""
PLACE_OF = "SELECT xid::text AS xid, id FROM events WHERE public_id = $1"
# Most ids carry the time of their event, and so its month.
PLACE_OF_IN = f"{PLACE_OF} AND id >= $2 AND id < $3"
# The first id that may be unread after a transaction; whole months before it are not scanned.  It is a query of its own, so that
# the next one takes it as a parameter and is planned once for each connection: planning over all months costs more than running.
UNREAD = """
    SELECT hum.unread_id($1::text::xid8) AS id, set_config('plan_cache_mode', 'force_generic_plan', true)
"""
PLAN_AS_EVER = "SELECT set_config('plan_cache_mode', 'auto', true)"
# The newest closed month: rows of its closing transaction or a later one have ids from this one on.
LATELY = """
    SELECT hum.month_id(month + 1) AS id, closed_xid::text AS xid, set_config('plan_cache_mode', 'force_generic_plan', true)
      FROM event_months
     WHERE closed_xid IS NOT NULL
     ORDER BY month DESC
     LIMIT 1
"""
# $1 and $2: the position of the last event seen; $3: types; $4: prefixes of types.


def _page(beyond: Literal["<", ">"], order: Literal["ASC", "DESC"], within: str = "") -> str:
    query = f"""
    SELECT public_id, org_id, type, version, data, created_at, events.xid AS written_by, events.id AS place
      FROM events
     WHERE org_id = (SELECT hum.org_id())
       AND (xid, id) {beyond} ($1::text::xid8, $2) AND xid < pg_snapshot_xmin(pg_current_snapshot()) {within}
       AND (type = ANY ($3::text[]) OR type ^@ ANY ($4::text[])) AND data IS NOT NULL
     ORDER BY events.xid {order}, events.id {order}
     LIMIT $5
"""
    return largerows.page(query, ["data"], f"written_by {order}, place {order}")


PAGE = _page(">", "ASC", "AND id >= $6")
PAGE_NEWEST_FIRST = _page("<", "DESC")
PAGE_LATELY = _page("<", "DESC", "AND id >= $6 AND xid >= $7::text::xid8")
#: Beyond every position: the largest transaction (xid8) and the largest id (bigint).
END = (str(2**64 - 1), 2**63 - 1)
# A new reader starts after all that is below the horizon now, or before everything.
OPEN_NOW = """
    INSERT INTO event_cursors (reader, xid, id)
    VALUES ($1, pg_snapshot_xmin(pg_current_snapshot()), 0)
"""
OPEN_AT_BEGINNING = "INSERT INTO event_cursors (reader, xid, id) VALUES ($1, '0', 0)"
# Advisory locks, because a new reader's row is not committed yet.
TRY_LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended('event reader ' || $1, 0))"
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('event reader ' || $1, 0))"
CURSOR = "SELECT xid::text AS xid, id FROM event_cursors WHERE reader = $1"
MOVE = "UPDATE event_cursors SET xid = $2::text::xid8, id = $3 WHERE reader = $1"
LAG = """
    SELECT extract(epoch FROM now() - created_at)::float8 FROM events
     WHERE (xid, id) > ($1::text::xid8, $2) AND id >= $3
     ORDER BY events.xid, events.id
     LIMIT 1
"""
FIND = """
    SELECT id, xid::text AS xid, org_id, type, subject_id, data, created_at, public_id FROM events WHERE id = $1
"""
BEHIND_HORIZON = """
    SELECT id, xid::text AS xid, org_id, type, subject_id, data, created_at, public_id
      FROM events
     WHERE (xid, id) > ($1::text::xid8, $2) AND xid < pg_snapshot_xmin(pg_current_snapshot())
       AND id >= $4
     ORDER BY events.xid, events.id  -- the columns: an output named xid would be sorted as text
     LIMIT $3
"""


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event as customers see it; `data` is JSON, `size` its bytes."""

    public_id: UUID
    org_id: UUID
    type: str
    version: int
    data: str
    created_at: datetime
    size: int


@dataclass(frozen=True, slots=True)
class Event:
    id: int
    xid: str
    org_id: UUID
    type: str
    subject_id: UUID
    #: None once the payload was deleted.
    data: dict[str, Any] | None
    created_at: datetime
    public_id: UUID


async def append(
    tx: Tx,
    org: UUID,
    subject: UUID,
    event: Message,
    *,
    at: datetime | None = None,
    id: UUID | None = None,
    name: str | None = None,
) -> None:
    """Append an event, a message of proto/hum/v1/events.proto.  It becomes visible when the transaction commits.

    `id` makes the append idempotent: a second event with it is ignored.  `name`: the event's type, for types that end in `*`.
    """
    if id is None:
        await tx.execute(APPEND, *_values(org, subject, event, at, id, name))
    else:
        await tx.execute(APPEND_ONCE, *([value] for value in (*_values(org, subject, event, at, id, name), True)))


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to append with others; `id` as in `append`."""

    org: UUID
    subject: UUID
    event: Message
    id: UUID | None = None


async def append_all(tx: Tx, new_events: Sequence[NewEvent]) -> None:
    """Append several events, as `append` does."""
    first: dict[UUID, tuple[object, ...]] = {}
    for new in new_events:
        values = _values(new.org, new.subject, new.event, None, new.id)
        first.setdefault(values[0], (*values, new.id is not None))
    if any(row[-1] for row in first.values()):
        await tx.execute(APPEND_ONCE, *(list(column) for column in zip(*first.values(), strict=True)))
    elif first:
        await tx.execute(APPEND_ALL, *(list(column) for column in list(zip(*first.values(), strict=True))[:-2]))


def _values(
    org: UUID, subject: UUID, event: Message, at: datetime | None, id: UUID | None, name: str | None = None
) -> tuple[UUID, *tuple[object, ...]]:
    """Return the values in the order of `APPEND`."""
    type = eventtypes.of_message(event.DESCRIPTOR)
    name = name or type.name
    assert eventtypes.family(name) == type.name and not name.endswith("*"), f"{name} is no name of a {type.name}"
    return (id or ids.new(), org, name, type.version, subject, wire.write(event).decode(), at)


async def position_of(tx: Tx, public_id: UUID) -> tuple[str, int] | None:
    """Return the position of an event of the tenant, or None if there is no such event."""
    row = None
    if (at := ids.created_at(public_id)) is not None:
        month = at.year * 12 + at.month - 1
        row = await tx.fetchrow(PLACE_OF_IN, public_id, month << MONTH_BITS, (month + 1) << MONTH_BITS)
    row = row or await tx.fetchrow(PLACE_OF, public_id)
    return (row["xid"], row["id"]) if row else None


async def prune_ids(tx: Tx, keep: timedelta, limit: int) -> int:
    """Prune idempotency ids older than `keep`: a later event with such an id counts as new.  Runs as the system."""
    return int((await tx.execute(PRUNE_IDS, keep, limit)).split()[-1])


async def page(
    tx: Tx, after: tuple[str, int], types: Sequence[str], limit: int, *, newest_first: bool = False
) -> list[EventRow]:
    """Return the tenant's events of these types after a position (`newest_first`: before it), in commit order below the horizon.

    Events without payload are left out.  A type that ends in `*` matches every type with this prefix.
    """
    prefixes = [type.removesuffix("*") for type in types if type.endswith("*")]
    if newest_first:
        rows = await _newest(tx, after, (types, prefixes, limit))
    else:
        rows = await tx.fetch(PAGE, *after, types, prefixes, limit, await tx.fetchval(UNREAD, after[0]))
    await tx.execute(PLAN_AS_EVER)
    return [EventRow(*(row[name] for name in EventRow.__slots__)) for row in rows]


async def _newest(tx: Tx, before: tuple[str, int], filters: tuple[Sequence[str], Sequence[str], int]) -> Sequence[Any]:
    """Return rows of the open months, if these have enough; else of all months."""
    if lately := await tx.fetchrow(LATELY):
        rows = await tx.fetch(PAGE_LATELY, *before, *filters, lately["id"], lately["xid"])
        if len(rows) > pages.length((row["size"] for row in rows), filters[-1] - 1):
            return rows
    return await tx.fetch(PAGE_NEWEST_FIRST, *before, *filters)


async def lock_position(tx: Tx, reader: str, start: ReaderStart) -> tuple[str, int] | None:
    """Lock a reader until the transaction ends; return its position as (xid, id), or None while another process has the lock.

    A new reader starts at `start`.
    """
    if not await tx.fetchval(TRY_LOCK, reader):
        return None
    cursor = await tx.fetchrow(CURSOR, reader)
    if cursor is None:
        await tx.execute(OPEN_NOW if start is ReaderStart.NOW else OPEN_AT_BEGINNING, reader)
        cursor = await tx.fetchrow(CURSOR, reader)
        assert cursor is not None, "the cursor was opened in this transaction"
    return cursor["xid"], cursor["id"]


async def lock_reader(tx: Tx, reader: str) -> None:
    """Lock a reader until the transaction ends; wait for a process that has the lock."""
    await tx.execute(LOCK, reader)


async def advance(tx: Tx, reader: str, xid: str, id: int) -> None:
    """Advance the reader to this position, in this transaction."""
    await tx.execute(MOVE, reader, xid, id)


async def read_behind_horizon(tx: Tx, reader: str, start: ReaderStart, limit: int = 500) -> list[Event]:
    """Return the next events for a reader, each exactly once; the position advances when the transaction commits.

    The reader is locked, so one process at a time works for it; the others get nothing.
    """
    at = await lock_position(tx, reader, start)
    if at is None:
        return []
    rows = await tx.fetch(BEHIND_HORIZON, *at, limit, await tx.fetchval(UNREAD, at[0]))
    await tx.execute(PLAN_AS_EVER)
    if rows:
        await advance(tx, reader, rows[-1]["xid"], rows[-1]["id"])
    return [of_row(row) for row in rows]


def of_row(row: Any) -> Event:
    """Return the event from a row with the columns of `Event`."""
    return Event(**{**row, "data": json.loads(row["data"]) if row["data"] else None})


async def find(tx: Tx, id: int) -> Event | None:
    """Return an event by its number, or None if it is no longer kept.  Runs as the system."""
    row = await tx.fetchrow(FIND, id)
    return of_row(row) if row else None


async def lag_seconds(tx: Tx, reader: str) -> float:
    """Return the age in seconds of a reader's oldest unread event; 0 if it has read all, or never started."""
    at = await tx.fetchrow(CURSOR, reader)
    if at is None:
        return 0.0
    seconds: float | None = await tx.fetchval(LAG, at["xid"], at["id"], await tx.fetchval(UNREAD, at["xid"]))
    await tx.execute(PLAN_AS_EVER)
    return seconds or 0.0
