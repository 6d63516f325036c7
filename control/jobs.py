"""Work that is owed: enqueued in the transaction of the change that owes it, done by `hum worker`.

A job's payload is the organization and one row's id. Jobs are never deduplicated: one that finds nothing to do does
nothing.
"""

import json
from collections.abc import Sequence
from uuid import UUID

from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.queries import Queries

from storage.db import Tx

RENDER_CLIPS = "render_clips"
AFTER_CALL = "after_call"
LOOK_UP_CONTACT = "look_up_contact"
INDEX_CONTACT = "index_contact"
BACKFILL_CONTACTS = "backfill_contacts"


async def enqueue(tx: Tx, job: str, org: UUID, row: UUID) -> None:
    """Owe a job, in this transaction."""
    await enqueue_all(tx, job, org, [row])


async def enqueue_all(tx: Tx, job: str, org: UUID, rows: Sequence[UUID]) -> None:
    """Owe a job for each row, in this transaction."""
    if rows:
        driver = AsyncpgDriver(tx)  # type: ignore[arg-type]  # a pool's connection is a connection
        count = len(rows)
        await Queries(driver).enqueue([job] * count, [payload(org, row) for row in rows], [0] * count)


def payload(org: UUID, row: UUID) -> bytes:
    return json.dumps({"org": str(org), "id": str(row)}).encode()


def read_payload(blob: bytes | None) -> tuple[UUID, UUID]:
    """The organization and the row."""
    told = json.loads(blob or b"{}")
    return UUID(told["org"]), UUID(told["id"])
