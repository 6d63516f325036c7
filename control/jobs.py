"""Work that is owed: enqueued in the transaction of the change that owes it, done by `hum worker`.

A job's payload is the organization and one row's id. Jobs are never deduplicated: one that finds nothing to do does
nothing.
"""

import json
from uuid import UUID

from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.queries import Queries

from storage.db import Tx

RENDER_CLIPS = "render_clips"
AFTER_CALL = "after_call"


async def enqueue(tx: Tx, job: str, org: UUID, row: UUID) -> None:
    """Owe a job, in this transaction."""
    driver = AsyncpgDriver(tx)  # type: ignore[arg-type]  # a pool's connection is a connection
    await Queries(driver).enqueue(job, payload(org, row))


def payload(org: UUID, row: UUID) -> bytes:
    return json.dumps({"org": str(org), "id": str(row)}).encode()


def read_payload(blob: bytes | None) -> tuple[UUID, UUID]:
    """The organization and the row."""
    told = json.loads(blob or b"{}")
    return UUID(told["org"]), UUID(told["id"])
