"""People who wait for a time to become free."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from hum.contract.errors import NotFound
from storage import largerows
from storage.db import Tx

COLUMNS = "id, service_id, contact_e164, name, since, until, urgent, created_at"
CREATE = """
    INSERT INTO booking_waits (id, org_id, service_id, contact_e164, name, since, until, urgent)
    VALUES ($1, hum.org_id(), $2, $3, $4, $5, $6, $7)
"""
COUNT_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('booking waits ' || hum.org_id()::text, 0))"
COUNT = "SELECT count(*) FROM booking_waits"
GET = f"SELECT {COLUMNS} FROM booking_waits WHERE id = $1"
PAGE = largerows.page(
    f"""
    SELECT {COLUMNS} FROM booking_waits
     WHERE id > coalesce($1::uuid, '00000000-0000-0000-0000-000000000000') AND ($3::uuid IS NULL OR service_id = $3)
     ORDER BY id
     LIMIT $2
""",
    ["name"],
    "id",
)
DELETE = "DELETE FROM booking_waits WHERE id = $1"
# Those with a last possible time in the past, as the system.
PRUNE = """
    DELETE FROM booking_waits
     WHERE id IN (SELECT id FROM booking_waits WHERE until < now() ORDER BY until LIMIT $1 FOR UPDATE SKIP LOCKED)
"""


@dataclass(frozen=True, slots=True)
class WaitRow:
    id: UUID
    service_id: UUID
    contact_e164: str
    name: str
    since: datetime
    until: datetime
    urgent: bool
    created_at: datetime
    #: Bytes, in a list.
    size: int = 0


@dataclass(frozen=True, slots=True)
class WaitFields:
    """What a person waits for."""

    service_id: UUID
    contact_e164: str
    name: str
    since: datetime
    until: datetime
    urgent: bool


async def create(tx: Tx, id: UUID, fields: WaitFields) -> WaitRow:
    await tx.execute(
        CREATE, id, fields.service_id, fields.contact_e164, fields.name, fields.since, fields.until, fields.urgent
    )
    return await get(tx, id)


async def count(tx: Tx) -> int:
    """Return how many people wait, which no other transaction changes before this one ends."""
    await tx.execute(COUNT_LOCK)
    return int(await tx.fetchval(COUNT))


async def get(tx: Tx, id: UUID) -> WaitRow:
    """Return a wait.  Raises NotFound."""
    row = await tx.fetchrow(GET, id)
    if row is None:
        raise NotFound("There is no such wait.")
    return WaitRow(**row)


async def page(tx: Tx, service: UUID | None, after: UUID | None, limit: int) -> list[WaitRow]:
    """Return who waits, in the order in which they came."""
    return [WaitRow(**row) for row in await tx.fetch(PAGE, after, limit, service)]


async def delete(tx: Tx, id: UUID) -> None:
    """Delete a wait.  Raises NotFound."""
    if await tx.execute(DELETE, id) == "DELETE 0":
        raise NotFound("There is no such wait.")


async def prune(tx: Tx, limit: int) -> int:
    """Delete waits for times in the past, as the system; return how many."""
    return int((await tx.execute(PRUNE, limit)).split()[-1])
