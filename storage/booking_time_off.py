"""Times at which resources are closed."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from hum.contract.errors import NotFound
from storage.db import Tx

COLUMNS = "id, resource_id, lower(during) AS starts_at, upper(during) AS ends_at, reason, created_at"
CREATE = """
    INSERT INTO booking_time_off (id, org_id, resource_id, during, reason)
    VALUES ($1, hum.org_id(), $2, tstzrange($3, $4), $5)
"""
COUNT_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('booking time off ' || hum.org_id()::text, 0))"
COUNT = "SELECT count(*) FROM booking_time_off WHERE upper(during) > now()"
GET = f"SELECT {COLUMNS} FROM booking_time_off WHERE id = $1"
PAGE = f"""
    SELECT {COLUMNS} FROM booking_time_off
     WHERE id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
       AND during && tstzrange($3, $4) AND ($5::uuid IS NULL OR resource_id = $5)
     ORDER BY id DESC
     LIMIT $2
"""
DELETE = "DELETE FROM booking_time_off WHERE id = $1"


@dataclass(frozen=True, slots=True)
class TimeOffRow:
    id: UUID
    resource_id: UUID | None
    starts_at: datetime
    ends_at: datetime
    reason: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class TimeOffFilter:
    """Which times a list has."""

    since: datetime | None = None
    until: datetime | None = None
    resource_id: UUID | None = None


async def create(
    tx: Tx, id: UUID, resource: UUID | None, during: tuple[datetime, datetime], reason: str | None
) -> TimeOffRow:
    await tx.execute(CREATE, id, resource, *during, reason)
    return await get(tx, id)


async def count(tx: Tx) -> int:
    """Return how many times off are not over, which no other transaction changes before this one ends."""
    await tx.execute(COUNT_LOCK)
    return int(await tx.fetchval(COUNT))


async def get(tx: Tx, id: UUID) -> TimeOffRow:
    """Return a time off.  Raises NotFound."""
    row = await tx.fetchrow(GET, id)
    if row is None:
        raise NotFound("There is no such time off.")
    return TimeOffRow(**row)


async def page(tx: Tx, wanted: TimeOffFilter, before: UUID | None, limit: int) -> list[TimeOffRow]:
    """Return times off, newest first, below `before`."""
    rows = await tx.fetch(PAGE, before, limit, wanted.since, wanted.until, wanted.resource_id)
    return [TimeOffRow(**row) for row in rows]


async def delete(tx: Tx, id: UUID) -> None:
    await tx.execute(DELETE, id)
