"""How often each job was begun.  The queue's own count starts again when a worker dies, and a job that kills its worker
must not come back for ever.
"""

from datetime import timedelta

from storage.db import Tx

BEGIN = """
    INSERT INTO job_attempts (job_id, attempts) VALUES ($1, 1)
    ON CONFLICT (job_id) DO UPDATE SET attempts = job_attempts.attempts + 1, last_at = now()
    RETURNING attempts
"""
DONE = "DELETE FROM job_attempts WHERE job_id = $1"
FORGET = "DELETE FROM job_attempts WHERE last_at < now() - $1::interval"


async def begin(tx: Tx, job: int) -> int:
    """Count an attempt; return its number, from 1."""
    attempts: int = await tx.fetchval(BEGIN, job)
    return attempts


async def done(tx: Tx, job: int) -> None:
    await tx.execute(DONE, job)


async def forget(tx: Tx, keep: timedelta) -> None:
    """Drop the counts of jobs that are long gone."""
    await tx.execute(FORGET, keep)
