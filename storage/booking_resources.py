"""Resources of the book: people, rooms and equipment, and the locks that decide who gets a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from hum.contract.errors import InUse, NotFound
from storage import largerows
from storage.db import Tx

COLUMNS = "id, kind, name, capacity, hours_json, time_zone, active, created_at"
CREATE = """
    INSERT INTO booking_resources (id, org_id, kind, name, capacity, hours_json, time_zone, active)
    VALUES ($1, hum.org_id(), $2, $3, $4, $5, $6, $7)
"""
GET = f"SELECT {COLUMNS} FROM booking_resources WHERE id = $1"
GET_MANY = f"SELECT {COLUMNS} FROM booking_resources WHERE id = ANY ($1)"
# Everything that gives, moves or closes times of resources locks them first, in this order.
LOCK_MANY = f"{GET_MANY} ORDER BY id FOR NO KEY UPDATE"
LOCK_ALL = f"SELECT {COLUMNS} FROM booking_resources ORDER BY id FOR NO KEY UPDATE"
COUNT_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('booking resources ' || hum.org_id()::text, 0))"
COUNT = "SELECT count(*) FROM booking_resources"
PAGE = largerows.page(
    f"""
    SELECT {COLUMNS} FROM booking_resources
     WHERE id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
     ORDER BY id DESC
     LIMIT $2
""",
    ["hours_json"],
    "id DESC",
)
CHANGE = """
    UPDATE booking_resources SET kind = $2, name = $3, capacity = $4, hours_json = $5, time_zone = $6, active = $7
     WHERE id = $1
"""
APPOINTMENTS = "SELECT count(*) FROM booking_claims WHERE resource_id = $1"
HIGHEST_LANE = "SELECT max(lane) FROM booking_claims WHERE resource_id = $1 AND upper(during) > now()"
DELETE = "DELETE FROM booking_resources WHERE id = $1"


@dataclass(frozen=True, slots=True)
class BookingResourceFields:
    """The values of a resource that people choose."""

    kind: str
    name: str
    capacity: int
    hours_json: str | None
    time_zone: str | None
    active: bool


@dataclass(frozen=True, slots=True)
class BookingResourceRow:
    id: UUID
    kind: str
    name: str
    capacity: int
    hours_json: str | None
    time_zone: str | None
    active: bool
    created_at: datetime
    #: Bytes, in a list.
    size: int = 0


async def create(tx: Tx, id: UUID, fields: BookingResourceFields) -> BookingResourceRow:
    await tx.execute(CREATE, id, *_values(fields))
    return await get(tx, id)


async def count(tx: Tx) -> int:
    """Return how many resources the organization has, which no other transaction changes before this one ends."""
    await tx.execute(COUNT_LOCK)
    return int(await tx.fetchval(COUNT))


async def get(tx: Tx, id: UUID) -> BookingResourceRow:
    """Return a resource.  Raises NotFound."""
    row = await tx.fetchrow(GET, id)
    if row is None:
        raise NotFound("There is no such resource.")
    return BookingResourceRow(**row)


async def get_many(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, BookingResourceRow]:
    return {row["id"]: BookingResourceRow(**row) for row in await tx.fetch(GET_MANY, ids)}


async def lock_many(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, BookingResourceRow]:
    """Lock resources in the order of their ids: until this transaction ends, it alone gives and takes their times."""
    return {row["id"]: BookingResourceRow(**row) for row in await tx.fetch(LOCK_MANY, ids)}


async def lock_all(tx: Tx) -> list[UUID]:
    """Lock all resources of the organization, as `lock_many` does."""
    return [row["id"] for row in await tx.fetch(LOCK_ALL)]


async def page(tx: Tx, before: UUID | None, limit: int) -> list[BookingResourceRow]:
    """Return resources newest first, below `before`."""
    return [BookingResourceRow(**row) for row in await tx.fetch(PAGE, before, limit)]


async def change(tx: Tx, id: UUID, fields: BookingResourceFields) -> BookingResourceRow:
    await tx.execute(CHANGE, id, *_values(fields))
    return await get(tx, id)


async def highest_lane(tx: Tx, id: UUID) -> int | None:
    """Return the highest lane of a resource that an appointment occupies now or later."""
    lane: int | None = await tx.fetchval(HIGHEST_LANE, id)
    return lane


async def count_appointments(tx: Tx, id: UUID) -> int:
    """Return how many appointments a resource has."""
    return int(await tx.fetchval(APPOINTMENTS, id))


async def delete(tx: Tx, id: UUID) -> None:
    """Delete a resource.  Raises InUse if it was booked meanwhile; the transaction is over then."""
    try:
        await tx.execute(DELETE, id)
    except asyncpg.ForeignKeyViolationError as error:
        raise InUse("It was booked meanwhile; make it inactive instead.") from error


def _values(fields: BookingResourceFields) -> tuple[object, ...]:
    return fields.kind, fields.name, fields.capacity, fields.hours_json, fields.time_zone, fields.active
