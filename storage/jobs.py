"""Additions to the job queue's library: counts of attempts, and a fair share for each organization.

The library restarts its own count of attempts when a worker dies, but a job that kills its worker must not be retried for ever.
An organization's jobs beyond its share are parked in a separate table, where they don't slow the queue down.
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from storage.db import Tx

BEGIN = """
    INSERT INTO job_attempts (job_id, attempts) VALUES ($1, 1)
    ON CONFLICT (job_id) DO UPDATE SET attempts = job_attempts.attempts + 1, last_at = now()
    RETURNING attempts
"""
DELETE_ATTEMPTS = "DELETE FROM job_attempts WHERE job_id = $1"
PRUNE_ATTEMPTS = "DELETE FROM job_attempts WHERE last_at < now() - $1::interval"
# The library logs each step of each job and deletes nothing.  The log of a dead-lettered job is kept: it has the reason.
PRUNE_LOG = """
    DELETE FROM pgqueuer_log
     WHERE id IN (SELECT l.id FROM pgqueuer_log l
                   WHERE l.created < now() - $1::interval
                     AND NOT EXISTS (SELECT FROM pgqueuer q WHERE q.id = l.job_id AND q.status = 'failed')
                   ORDER BY l.created
                   LIMIT $2)
"""
ACTIVE = "SELECT hum.active_jobs($1, $2)"
# Serializes count and start: two transactions with jobs picked at once would not see each other's.
LOCK_RUNNING = "SELECT pg_advisory_xact_lock(hashtextextended('running ' || $1 || ' ' || $2, 0))"
# Jobs that are picked but not begun are excluded: they are about to ask the same question.
RUNNING = """
    SELECT count(*)
      FROM pgqueuer q
      JOIN job_attempts a ON a.job_id = q.id AND a.last_at >= q.updated
     WHERE q.entrypoint = $1 AND q.headers ->> 'organization' = $2 AND q.status = 'picked'
"""
PARK = "INSERT INTO parked_jobs (org_id, job, row_id) SELECT $1, $2, unnest($3::uuid[])"
UNPARK = """
    DELETE FROM parked_jobs
     WHERE id IN (SELECT id FROM parked_jobs
                   WHERE job = $1 AND org_id = $2
                   ORDER BY id
                   LIMIT greatest(0, $3 - hum.active_jobs($1, $2, $4))
                     FOR UPDATE SKIP LOCKED)
    RETURNING row_id
"""
WAITING_SECONDS = """
    SELECT coalesce(extract(epoch FROM now() - least(
               (SELECT min(greatest(created, execute_after)) FROM pgqueuer
                 WHERE status = 'queued' AND execute_after <= now()),
               (SELECT min(parked_at) FROM parked_jobs))), 0)::float8
"""
COUNT_DEAD_LETTERS = "SELECT count(*) FROM pgqueuer WHERE status = 'failed'"
IS_PARKED = "SELECT EXISTS (SELECT FROM parked_jobs WHERE job = $1 AND org_id = $2)"
PARKED = "SELECT DISTINCT job, org_id FROM parked_jobs WHERE job = ANY ($1::text[])"
# A worker that has died says no more of its jobs; a job that is ready was announced, unless the notification was lost.
IS_LEFT = """
    SELECT EXISTS (SELECT FROM pgqueuer WHERE status = 'picked' AND heartbeat < now() - $1::interval)
        OR EXISTS (SELECT FROM pgqueuer WHERE status = 'queued' AND execute_after < now() - $2::interval)
"""
LEFT_SECONDS = """
    SELECT extract(epoch FROM min(heartbeat) + $1::interval - now())::float8 FROM pgqueuer WHERE status = 'picked'
"""


async def begin(tx: Tx, job: int) -> int:
    """Count an attempt; return its number, from 1."""
    attempts: int = await tx.fetchval(BEGIN, job)
    return attempts


async def delete_attempts(tx: Tx, job: int) -> None:
    await tx.execute(DELETE_ATTEMPTS, job)


async def prune_attempts(tx: Tx, keep: timedelta) -> None:
    """Prune attempt counts with a last attempt longer than `keep` ago."""
    await tx.execute(PRUNE_ATTEMPTS, keep)


async def prune_log(tx: Tx, keep: timedelta, limit: int) -> int:
    """Prune at most `limit` rows of the job log that are older than `keep`; return how many."""
    return int((await tx.execute(PRUNE_LOG, keep, limit)).removeprefix("DELETE "))


async def active(tx: Tx, kind: str, org: UUID) -> int:
    """Return how many jobs of a kind are ready or running for an organization."""
    count: int = await tx.fetchval(ACTIVE, kind, org)
    return count


async def running(tx: Tx, kind: str, org: UUID) -> int:
    """Return how many jobs of a kind an organization has begun and not ended.  Runs as the system.

    Other transactions wait for this one's end, so the caller may begin one more job.
    """
    await tx.execute(LOCK_RUNNING, kind, str(org))
    count: int = await tx.fetchval(RUNNING, kind, str(org))
    return count


async def park(tx: Tx, kind: str, org: UUID, rows: Sequence[UUID]) -> None:
    """Park jobs of a kind until their organization has capacity."""
    await tx.execute(PARK, org, kind, rows)


async def unpark(tx: Tx, kind: str, org: UUID, capacity: int, besides: int | None = None) -> list[UUID]:
    """Remove and return parked jobs until `capacity` are ready or running, not counting the job `besides`.

    Runs as the system.
    """
    return [row["row_id"] for row in await tx.fetch(UNPARK, kind, org, capacity, besides)]


async def waiting_seconds(tx: Tx) -> float:
    """Return the age in seconds of the oldest job that is ready or parked; 0 if there is none.  Runs as the system."""
    seconds: float = await tx.fetchval(WAITING_SECONDS)
    return seconds


async def count_dead_letters(tx: Tx) -> int:
    """Return how many jobs are dead letters, which wait for an operator.  Runs as the system."""
    count: int = await tx.fetchval(COUNT_DEAD_LETTERS)
    return count


async def is_parked(tx: Tx, kind: str, org: UUID) -> bool:
    """Return whether a job of a kind is parked for an organization."""
    return bool(await tx.fetchval(IS_PARKED, kind, org))


async def parked(tx: Tx, kinds: Sequence[str]) -> list[tuple[str, UUID]]:
    """Return the kinds of jobs that are parked, each with its organizations.  Runs as the system."""
    return [(row["job"], row["org_id"]) for row in await tx.fetch(PARKED, list(kinds))]


async def is_left(tx: Tx, silent: timedelta, ready: timedelta) -> bool:
    """Return whether a job's worker was `silent` for so long, or a job was ready for so long.  Runs as the system."""
    return bool(await tx.fetchval(IS_LEFT, silent, ready))


async def left_seconds(tx: Tx, silent: timedelta) -> float | None:
    """Return the seconds until the first running job's worker will have been silent for so long.  Runs as the system."""
    seconds: float | None = await tx.fetchval(LEFT_SECONDS, silent)
    return seconds
