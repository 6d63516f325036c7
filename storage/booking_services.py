"""Services that can be booked, and the resources that they need."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from hum.contract.errors import InUse, NotFound
from storage import largerows
from storage.db import Tx

FIELDS = (
    "name, duration_minutes, before_minutes, after_minutes, step_minutes, lead_minutes, horizon_days, cancel_minutes,"
    " needs_approval, is_health_related, number_suffices, time_zone, active"
)
COLUMNS = f"""
    id, {FIELDS}, created_at,
    ARRAY(SELECT r.resource_id FROM booking_requirements r WHERE r.service_id = s.id
           ORDER BY r.group_number, r.position) AS resources,
    ARRAY(SELECT r.group_number FROM booking_requirements r WHERE r.service_id = s.id
           ORDER BY r.group_number, r.position) AS group_numbers
"""
CREATE = f"""
    INSERT INTO booking_services (id, org_id, {FIELDS})
    VALUES ($1, hum.org_id(), $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
"""
REQUIRE = """
    INSERT INTO booking_requirements (org_id, service_id, resource_id, group_number, position)
    SELECT hum.org_id(), $1, resource, number, position
      FROM unnest($2::uuid[], $3::smallint[]) WITH ORDINALITY AS given (resource, number, position)
"""
UNREQUIRE = "DELETE FROM booking_requirements WHERE service_id = $1"
GET = f"SELECT {COLUMNS} FROM booking_services s WHERE id = $1"
LOCK = "SELECT id FROM booking_services WHERE id = $1 FOR NO KEY UPDATE"
COUNT_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('booking services ' || hum.org_id()::text, 0))"
COUNT = "SELECT count(*) FROM booking_services"
PAGE = largerows.page(
    f"""
    SELECT {COLUMNS} FROM booking_services s
     WHERE id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
     ORDER BY id DESC
     LIMIT $2
""",
    ["resources"],
    "id DESC",
)
CHANGE = f"""
    UPDATE booking_services SET ({FIELDS}) = ROW ($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) WHERE id = $1
"""
# Also as the system, which sees all tenants.
BOOKABLE = """
    SELECT s.id, s.name,
           ARRAY(SELECT r.id FROM booking_requirements q JOIN booking_resources r ON r.id = q.resource_id
                  WHERE q.service_id = s.id AND r.kind = 'person' AND r.active ORDER BY q.group_number, q.position) AS people,
           ARRAY(SELECT r.name FROM booking_requirements q JOIN booking_resources r ON r.id = q.resource_id
                  WHERE q.service_id = s.id AND r.kind = 'person' AND r.active ORDER BY q.group_number, q.position) AS names
      FROM booking_services s
     WHERE s.org_id = $1 AND s.active
     ORDER BY s.id
"""
LOCK_EXISTING = "SELECT id FROM booking_services WHERE id = ANY ($1::uuid[]) ORDER BY id FOR SHARE"
NAMED_BY = """
    SELECT v.definition ->> 'name'
      FROM flows f
      JOIN flow_versions v ON v.flow_id = f.id AND v.version = f.version
     WHERE f.deleted_at IS NULL AND (v.definition -> 'booking_service_ids')::jsonb ? $1
     LIMIT 1
"""
APPOINTMENTS = "SELECT count(*) FROM appointments WHERE service_id = $1"
DELETE = "DELETE FROM booking_services WHERE id = $1"


@dataclass(frozen=True, slots=True)
class BookingServiceFields:
    """The values of a service that people choose; `groups` has the resources of which an appointment takes one each."""

    name: str
    duration_minutes: int
    before_minutes: int
    after_minutes: int
    step_minutes: int
    lead_minutes: int
    horizon_days: int
    cancel_minutes: int
    needs_approval: bool
    is_health_related: bool
    number_suffices: bool
    time_zone: str | None
    active: bool
    groups: Sequence[Sequence[UUID]]


@dataclass(frozen=True, slots=True)
class BookingServiceRow:
    id: UUID
    fields: BookingServiceFields
    created_at: datetime
    #: Bytes, in a list.
    size: int = 0


@dataclass(frozen=True, slots=True)
class BookableRow:
    """A service that can be booked, with the people that it takes, by name."""

    id: UUID
    name: str
    people: dict[str, UUID]


async def bookable(tx: Tx, organization: UUID) -> list[BookableRow]:
    """Return an organization's services that can be booked, as the tenant or the system."""
    return [
        BookableRow(row["id"], row["name"], dict(zip(row["names"], row["people"], strict=True)))
        for row in await tx.fetch(BOOKABLE, organization)
    ]


async def lock_existing(tx: Tx, ids: Sequence[UUID]) -> set[UUID]:
    """Return which of these services exist, and keep them from being deleted until the commit."""
    return {row["id"] for row in await tx.fetch(LOCK_EXISTING, ids)}


async def named_by(tx: Tx, shown: str) -> str | None:
    """Return the name of a flow that names the service with this shown id."""
    name: str | None = await tx.fetchval(NAMED_BY, shown)
    return name


async def create(tx: Tx, id: UUID, fields: BookingServiceFields) -> BookingServiceRow:
    """Create a service.  Raises NotFound for resources that do not exist."""
    await tx.execute(CREATE, id, *_values(fields))
    await _require(tx, id, fields.groups)
    return await get(tx, id)


async def count(tx: Tx) -> int:
    """Return how many services the organization has, which no other transaction changes before this one ends."""
    await tx.execute(COUNT_LOCK)
    return int(await tx.fetchval(COUNT))


async def get(tx: Tx, id: UUID, *, lock: bool = False) -> BookingServiceRow:
    """Return a service.  Raises NotFound."""
    if lock:
        await tx.fetchval(LOCK, id)
    row = await tx.fetchrow(GET, id)
    if row is None:
        raise NotFound("There is no such service.")
    return _row(row)


async def page(tx: Tx, before: UUID | None, limit: int) -> list[BookingServiceRow]:
    """Return services newest first, below `before`."""
    return [_row(row) for row in await tx.fetch(PAGE, before, limit)]


async def change(tx: Tx, id: UUID, fields: BookingServiceFields) -> BookingServiceRow:
    """Change a locked service.  Raises NotFound for resources that do not exist."""
    await tx.execute(CHANGE, id, *_values(fields))
    await tx.execute(UNREQUIRE, id)
    await _require(tx, id, fields.groups)
    return await get(tx, id)


async def count_appointments(tx: Tx, id: UUID) -> int:
    """Return how many appointments a service has."""
    return int(await tx.fetchval(APPOINTMENTS, id))


async def delete(tx: Tx, id: UUID) -> None:
    """Delete a service.  Raises InUse if it was booked meanwhile; the transaction is over then."""
    try:
        await tx.execute(DELETE, id)
    except asyncpg.ForeignKeyViolationError as error:
        raise InUse("It was booked meanwhile; make it inactive instead.") from error


async def _require(tx: Tx, id: UUID, groups: Sequence[Sequence[UUID]]) -> None:
    numbered = [(resource, number) for number, group in enumerate(groups) for resource in group]
    try:
        await tx.execute(REQUIRE, id, [resource for resource, _ in numbered], [number for _, number in numbered])
    except asyncpg.ForeignKeyViolationError as error:
        raise NotFound("One of the resources does not exist.") from error


def _values(fields: BookingServiceFields) -> list[object]:
    return [getattr(fields, name.strip()) for name in FIELDS.split(",")]


def _row(row: asyncpg.Record) -> BookingServiceRow:
    groups = dict[int, list[UUID]]()
    for resource, number in zip(row["resources"], row["group_numbers"], strict=True):
        groups.setdefault(number, []).append(resource)
    values = {name.strip(): row[name.strip()] for name in FIELDS.split(",")}
    fields = BookingServiceFields(**values, groups=list(groups.values()))
    return BookingServiceRow(row["id"], fields, row["created_at"], row.get("size") or 0)
