"""Work that is owed: enqueued in the transaction of the change that owes it, done by `hum worker`.

A job's payload is the organization and one row's id.  Jobs are never deduplicated: one that finds nothing to do does
nothing.
"""

import json
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.queries import Queries

from control.base.job import Job
from storage import jobs
from storage.db import Tx


async def enqueue(tx: Tx, job: Job, org: UUID, row: UUID) -> None:
    """Owe a job, in this transaction."""
    await enqueue_all(tx, job, org, [row])


async def enqueue_all(tx: Tx, job: Job, org: UUID, rows: Sequence[UUID]) -> None:
    """Owe a job for each row, in this transaction.  Those beyond the organization's share are parked."""
    if not rows:
        return
    room = max(0, job.per_organization - await jobs.active(tx, job.name, org))
    starts: list[timedelta | None] = [timedelta(0) if place < room else jobs.PARKED for place in range(len(rows))]
    count, headers = len(rows), {"organization": str(org)}
    await Queries(AsyncpgDriver(tx)).enqueue(  # type: ignore[arg-type]  # a pool's connection is a connection
        [job.name] * count,
        [payload(org, row) for row in rows],
        [job.priority] * count,
        starts,
        headers=[headers] * count,
    )


def payload(org: UUID, row: UUID) -> bytes:
    return json.dumps({"org": str(org), "id": str(row)}).encode()


def read_payload(blob: bytes | None) -> tuple[UUID, UUID]:
    """The organization and the row."""
    fields = json.loads(blob or b"{}")
    return UUID(fields["org"]), UUID(fields["id"])
