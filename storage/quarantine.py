"""The quarantine: failed jobs, events that a reader could not handle, and reports of the media plane that could not be stored.

All wait for an operator; all functions run as the system.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from storage.db import Tx

LIST = """
    SELECT kind, key, about, org_id, at, left(reason, 300) AS reason FROM (
        SELECT 'job' AS kind, array[q.id::text] AS key, q.entrypoint AS about, (q.headers ->> 'organization')::uuid AS org_id,
               q.updated AS at,
               (SELECT concat_ws(': ', l.traceback ->> 'exception_type', l.traceback ->> 'exception_message') FROM pgqueuer_log l
                 WHERE l.job_id = q.id AND l.status = 'failed' ORDER BY l.created DESC, l.id DESC LIMIT 1) AS reason
          FROM pgqueuer q WHERE q.status = 'failed'
        UNION ALL
        SELECT 'event', array[s.reader, s.event_id::text], concat(s.reader, ', ', e.type), e.org_id, s.at, s.reason
          FROM events_set_aside s LEFT JOIN events e ON e.id = s.event_id WHERE s.released_at IS NULL
        UNION ALL
        SELECT 'report', array[r.node, r.batch_seq::text, r.place::text], concat('call ', r.call_id), c.org_id, r.at, r.reason
          FROM reports_set_aside r LEFT JOIN calls c ON c.id = r.call_id
    ) found
     ORDER BY at, kind, key
     LIMIT $1
"""
LOCK_DEAD_LETTERS = "SELECT id FROM pgqueuer WHERE id = ANY ($1::bigint[]) AND status = 'failed' FOR NO KEY UPDATE"
DELETE_ATTEMPTS = "DELETE FROM job_attempts WHERE job_id = ANY ($1::bigint[])"

ADD_EVENT = """
    INSERT INTO events_set_aside (reader, event_id, reason) VALUES ($1, $2, $3)
    ON CONFLICT (reader, event_id) DO UPDATE SET reason = excluded.reason, released_at = NULL
"""
RELEASE_EVENT = """
    UPDATE events_set_aside SET released_at = now() WHERE reader = $1 AND event_id = $2 AND released_at IS NULL
"""
RELEASED = "SELECT DISTINCT reader FROM events_set_aside WHERE released_at IS NOT NULL"
CLAIM_EVENT = """
    DELETE FROM events_set_aside s
     WHERE (s.reader, s.event_id) = (SELECT reader, event_id FROM events_set_aside
                                      WHERE reader = $1 AND released_at IS NOT NULL
                                      ORDER BY event_id LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING s.event_id
"""

ADD_REPORT = """
    INSERT INTO reports_set_aside (node, batch_seq, place, call_id, report, reason) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (node, batch_seq, place) DO NOTHING
"""
CLAIM_REPORT = "DELETE FROM reports_set_aside WHERE node = $1 AND batch_seq = $2 AND place = $3 RETURNING report"
PRUNE_REPORTS = "DELETE FROM reports_set_aside WHERE at < now() - $1::interval"


@dataclass(frozen=True, slots=True)
class ItemRow:
    """An item in quarantine; `kind`: job, event or report; `key`: its key within its kind."""

    kind: str
    key: Sequence[str]
    about: str
    org_id: UUID | None
    at: datetime
    reason: str | None


async def page(tx: Tx, limit: int) -> list[ItemRow]:
    """Return the oldest items first."""
    return [ItemRow(**row) for row in await tx.fetch(LIST, limit)]


async def lock_jobs(tx: Tx, jobs: Sequence[int]) -> list[int]:
    """Lock and return those of these jobs that are dead letters."""
    return [row["id"] for row in await tx.fetch(LOCK_DEAD_LETTERS, jobs)]


async def delete_attempts(tx: Tx, jobs: Sequence[int]) -> None:
    await tx.execute(DELETE_ATTEMPTS, jobs)


async def add_event(tx: Tx, reader: str, event: int, reason: str) -> None:
    """Quarantine an event that a reader could not handle; the reader goes on with the next."""
    await tx.execute(ADD_EVENT, reader, event, reason)


async def release_event(tx: Tx, reader: str, event: int) -> bool:
    """Let the reader handle an event again; return False if it is not in quarantine."""
    return bool(await tx.execute(RELEASE_EVENT, reader, event) == "UPDATE 1")


async def released_readers(tx: Tx) -> list[str]:
    """Return the readers for which events are released."""
    return [row["reader"] for row in await tx.fetch(RELEASED)]


async def claim_event(tx: Tx, reader: str) -> int | None:
    """Remove and return a released event that no other process has, or None."""
    event: int | None = await tx.fetchval(CLAIM_EVENT, reader)
    return event


async def add_report(
    tx: Tx, node: str, batch_seq: int, place: int, call: UUID | None, report: bytes, reason: str
) -> None:
    """Quarantine a report; `call`: the call that it names, if any."""
    await tx.execute(ADD_REPORT, node, batch_seq, place, call, report, reason)


async def claim_report(tx: Tx, node: str, batch_seq: int, place: int) -> bytes | None:
    """Remove and return a report, unchanged; None if it is not in quarantine."""
    report: bytes | None = await tx.fetchval(CLAIM_REPORT, node, batch_seq, place)
    return report


async def prune_reports(tx: Tx, keep: timedelta) -> None:
    await tx.execute(PRUNE_REPORTS, keep)
