"""Months of events: each is a partition of `events`, created ahead, closed once it is over, archived and dropped when it is old.

All functions run as the system.  Creating and dropping lock `events` for a moment, and fail at once if another process has a lock.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from storage.db import Tx

#: The smallest lock_timeout; 0 would disable it.
LEAST_LOCK_MS = 1

MAKE = "SELECT hum.make_event_months($1)"
LIMIT_LOCKS = "SELECT set_config('lock_timeout', $1, true)"
# Ids carry the server's clock at their creation; every transaction that created one in that month has its xid by now.
CLOSE = """
    UPDATE event_months SET closed_xid = pg_snapshot_xmax(pg_current_snapshot())
     WHERE closed_xid IS NULL AND ends_at < clock_timestamp() - $1::interval
"""
OLDEST = """
    SELECT month, to_char(hum.month_begins(month) AT TIME ZONE 'UTC', 'YYYY-MM') AS name,
           coalesce(archived_id, hum.month_id(month) - 1) AS archived_id, archive_files, archived_at
      FROM event_months
     WHERE dropped_at IS NULL AND closed_xid IS NOT NULL AND ends_at < now() - make_interval(months => $1)
     ORDER BY month
     LIMIT 1
"""
OVERDUE = """
    SELECT coalesce(extract(epoch FROM now() - make_interval(months => $1) - min(ends_at)), 0)::float8
      FROM event_months
     WHERE dropped_at IS NULL
"""
READERS = """
    SELECT reader FROM event_cursors c
     WHERE EXISTS (SELECT FROM events e
                    WHERE e.id >= hum.month_id($1) AND e.id < hum.month_id($1 + 1) AND (e.xid, e.id) > (c.xid, c.id))
     ORDER BY reader
"""
DELIVERIES = """
    SELECT EXISTS (SELECT FROM webhook_deliveries WHERE event_id >= hum.month_id($1) AND event_id < hum.month_id($1 + 1))
"""
RUNS = """
    SELECT EXISTS (SELECT FROM event_runs r JOIN events e ON e.public_id = r.event_id
                    WHERE e.id >= hum.month_id($1) AND e.id < hum.month_id($1 + 1))
"""
# $4: whether to include payloads.
PART = """
    SELECT id, public_id, org_id, type, version, subject_id, created_at, CASE WHEN $4 THEN data END AS data
      FROM events
     WHERE id > $2 AND id >= hum.month_id($1) AND id < hum.month_id($1 + 1)
     ORDER BY id
     LIMIT $3
"""
ARCHIVED = """
    UPDATE event_months
       SET archived_id = $3, archive_files = archive_files + $4, archived_at = CASE WHEN $5 THEN now() END
     WHERE month = $1 AND archive_files = $2 AND archived_at IS NULL AND dropped_at IS NULL
"""
LOCK = "LOCK TABLE events IN ACCESS EXCLUSIVE MODE"
DROP = "SELECT hum.drop_event_month($1)"


@dataclass(frozen=True, slots=True)
class MonthRow:
    """A month that is over, and its archiving progress; `month` counts from the year 0."""

    month: int
    #: `2026-11`.
    name: str
    archived_id: int
    archive_files: int
    archived_at: datetime | None


@dataclass(frozen=True, slots=True)
class ArchivedRow:
    """An event as it is archived; `data` is JSON."""

    id: int
    public_id: UUID
    org_id: UUID
    type: str
    version: int
    subject_id: UUID
    created_at: datetime
    data: str | None


async def create(tx: Tx, ahead: int, lock_seconds: float) -> int:
    """Create this month and those ahead; return how many events had no month before."""
    await _limit_locks(tx, lock_seconds)
    unplaced: int = await tx.fetchval(MAKE, ahead)
    return unplaced


async def close(tx: Tx, wait: timedelta) -> None:
    """Close the months that ended longer than `wait` ago: they get no more events."""
    await tx.execute(CLOSE, wait)


async def oldest(tx: Tx, months: int) -> MonthRow | None:
    """Return the oldest month, if it ended so many months ago."""
    row = await tx.fetchrow(OLDEST, months)
    return MonthRow(**row) if row else None


async def overdue_seconds(tx: Tx, months: int) -> float:
    """Return for how long the oldest month has been older than `months`; negative if it is younger."""
    seconds: float = await tx.fetchval(OVERDUE, months)
    return seconds


async def needed_by(tx: Tx, month: int) -> list[str]:
    """Return what still needs a month's events: readers by name, `deliveries of webhooks`, `runs of agents`."""
    needs = [f"the reader {row['reader']}" for row in await tx.fetch(READERS, month)]
    needs += ["deliveries of webhooks"] if await tx.fetchval(DELIVERIES, month) else []
    return needs + (["runs of agents"] if await tx.fetchval(RUNS, month) else [])


async def part(tx: Tx, row: MonthRow, limit: int, *, with_payloads: bool) -> list[ArchivedRow]:
    """Return the next events of a month to archive."""
    events: list[Any] = await tx.fetch(PART, row.month, row.archived_id, limit, with_payloads)
    return [ArchivedRow(**event) for event in events]


async def record_progress(tx: Tx, row: MonthRow, last: int, files: int, *, whole: bool) -> bool:
    """Record a month's archiving progress; return False if another process was faster."""
    status = await tx.execute(ARCHIVED, row.month, row.archive_files, last, files, whole)
    return bool(status == "UPDATE 1")


async def drop(tx: Tx, month: int, lock_seconds: float) -> bool:
    """Drop a closed month, with its events in quarantine; return False if a delivery still needs it."""
    await _limit_locks(tx, lock_seconds)
    await tx.execute(LOCK)
    if await tx.fetchval(DELIVERIES, month):
        return False
    await tx.execute(DROP, month)
    return True


async def _limit_locks(tx: Tx, seconds: float) -> None:
    await tx.execute(LIMIT_LOCKS, f"{max(LEAST_LOCK_MS, round(seconds * 1000))}ms")
