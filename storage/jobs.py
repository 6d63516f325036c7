"""Jobs beyond what the queue's own library does: how often each was begun, and whose turn it is.

The queue's own count of attempts starts again when a worker dies, and a job that kills its worker must not come back for
ever.  A job that is parked has a start so far away that nobody takes it; it is admitted when its organization has room.
"""

from datetime import timedelta
from uuid import UUID

from storage.db import Tx

#: When a parked job would begin if nobody admitted it.
PARKED = timedelta(days=36_500)

BEGIN = """
    INSERT INTO job_attempts (job_id, attempts) VALUES ($1, 1)
    ON CONFLICT (job_id) DO UPDATE SET attempts = job_attempts.attempts + 1, last_at = now()
    RETURNING attempts
"""
DONE = "DELETE FROM job_attempts WHERE job_id = $1"
FORGET = "DELETE FROM job_attempts WHERE last_at < now() - $1::interval"
ACTIVE = "SELECT hum.active_jobs($1, $2)"
RUNNING_BEFORE = """
    SELECT count(*) FROM pgqueuer
     WHERE entrypoint = $1 AND headers ->> 'organization' = $2 AND status = 'picked' AND id < $3
"""
ADMIT = """
    UPDATE pgqueuer SET execute_after = now(), updated = now()
     WHERE id IN (SELECT id FROM pgqueuer
                   WHERE entrypoint = $1 AND headers ->> 'organization' = $2 AND status = 'queued'
                     AND execute_after > now() + interval '1 year'
                   ORDER BY id
                   LIMIT greatest(0, $3 - hum.active_jobs($1, $2::uuid, $4))
                     FOR UPDATE SKIP LOCKED)
"""
PARKED_OF = """
    SELECT DISTINCT headers ->> 'organization' AS organization FROM pgqueuer
     WHERE entrypoint = $1 AND status = 'queued' AND execute_after > now() + interval '1 year'
"""


async def begin(tx: Tx, job: int) -> int:
    """Count an attempt; return its number, from 1."""
    attempts: int = await tx.fetchval(BEGIN, job)
    return attempts


async def done(tx: Tx, job: int) -> None:
    await tx.execute(DONE, job)


async def forget(tx: Tx, keep: timedelta) -> None:
    """Drop the counts of jobs that are long gone."""
    await tx.execute(FORGET, keep)


async def active(tx: Tx, kind: str, org: UUID) -> int:
    """How many jobs of a kind are ready or running for an organization."""
    count: int = await tx.fetchval(ACTIVE, kind, org)
    return count


async def running_before(tx: Tx, kind: str, org: UUID, job: int) -> int:
    """As the system: how many jobs of a kind and an organization run that were owed before this one."""
    count: int = await tx.fetchval(RUNNING_BEFORE, kind, str(org), job)
    return count


async def admit(tx: Tx, kind: str, org: UUID, room: int, besides: int | None = None) -> None:
    """As the system: let parked jobs begin until `room` are ready or running, not counting the job `besides`."""
    await tx.execute(ADMIT, kind, str(org), room, besides)


async def admit_all(tx: Tx, kind: str, room: int) -> None:
    """As the system: the same for every organization that has parked jobs of this kind."""
    for row in await tx.fetch(PARKED_OF, kind):
        await admit(tx, kind, UUID(row["organization"]), room)
