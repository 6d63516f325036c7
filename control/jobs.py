"""Jobs, which are enqueued in the transaction of the change that requires them and run by `hum worker`.

A job's payload is the organization and the id of a row.  Jobs are never deduplicated: a job with nothing to do does
nothing.
"""

import json
from collections.abc import Sequence
from uuid import UUID

from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.domain.settings import db_settings
from pgqueuer.queries import Queries

from control.base.job import Job
from hum.clock import now
from storage import jobs
from storage.db import Tx, notify


async def enqueue(tx: Tx, job: Job, org: UUID, row: UUID) -> None:
    """Enqueue a job, in this transaction."""
    await enqueue_all(tx, job, org, [row])


async def enqueue_all(tx: Tx, job: Job, org: UUID, rows: Sequence[UUID]) -> None:
    """Enqueue a job for each row, in this transaction; defer those beyond the organization's share."""
    if not rows:
        return
    free = max(0, job.per_organization - await jobs.active(tx, job.name, org))
    await _queue(tx, job, org, rows[:free])
    if deferred := rows[free:]:
        await jobs.park(tx, job.name, org, deferred)


async def admit(tx: Tx, job: Job, org: UUID, excluded: int | None = None) -> None:
    """Enqueue an organization's deferred jobs up to its share, not counting the job `excluded`.  As the system."""
    await _queue(tx, job, org, await jobs.unpark(tx, job.name, org, job.per_organization, excluded))


async def wake(tx: Tx) -> None:
    """Have all workers look at the queue once this transaction is committed."""
    await notify(tx, db_settings().channel, _notification())


async def _queue(tx: Tx, job: Job, org: UUID, rows: Sequence[UUID]) -> None:
    if rows:
        count = len(rows)
        await Queries(AsyncpgDriver(tx)).enqueue(  # type: ignore[arg-type]  # a pool's connection is a connection
            [job.name] * count,
            [payload(org, row) for row in rows],
            [job.priority] * count,
            headers=[{"organization": str(org)}] * count,
        )
        await wake(tx)


def _notification() -> str:
    """Return PgQueuer's own notification of a new row, constant for a second so that a transaction sends it once."""
    queue = db_settings()
    event = {"type": "table_changed_event", "operation": "insert", "table": queue.queue_table, "channel": queue.channel}
    return json.dumps(event | {"sent_at": now().isoformat(timespec="seconds")})


def payload(org: UUID, row: UUID) -> bytes:
    """Encode a job's payload."""
    return json.dumps({"org": str(org), "id": str(row)}).encode()


def read_payload(blob: bytes | None) -> tuple[UUID, UUID]:
    """Decode a job's payload to the organization and the row."""
    fields = json.loads(blob or b"{}")
    return UUID(fields["org"]), UUID(fields["id"])
