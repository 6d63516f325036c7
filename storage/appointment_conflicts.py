"""Conflicts of appointments, which a person resolves."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from hum import ids
from hum.contract.errors import NotFound
from storage.db import Tx

COLUMNS = "id, appointment_id, kind, time_off_id, created_at, resolution, resolved_by, resolved_at"
# Appointments and holds that time off lies over; of all resources, if there is none.  A hold that is being booked is booked,
# or sees the time off, once it is locked.
LOCK_OVERLAPPING = """
    SELECT id FROM appointments
     WHERE id = ANY (ARRAY(SELECT c.appointment_id FROM booking_claims c
                            WHERE c.org_id = hum.org_id() AND ($1::uuid IS NULL OR c.resource_id = $1)
                              AND c.during && tstzrange($2, $3)))
       AND state IN ('held', 'pending', 'booked')
     ORDER BY id
     LIMIT $4
       FOR NO KEY UPDATE
"""
AMONG = "SELECT id FROM appointments WHERE id = ANY ($1) AND state IN ('pending', 'booked') ORDER BY id"
TIME_OFF_OVER = """
    SELECT DISTINCT t.id
      FROM booking_claims c JOIN booking_time_off t ON t.org_id = c.org_id AND t.during && c.during
           AND (t.resource_id = c.resource_id OR t.resource_id IS NULL)
     WHERE c.appointment_id = $1
"""
ADD = """
    INSERT INTO appointment_conflicts (id, org_id, appointment_id, kind, time_off_id)
    SELECT id, hum.org_id(), appointment, 'time_off', $3 FROM unnest($1::uuid[], $2::uuid[]) AS given (id, appointment)
    ON CONFLICT (appointment_id, time_off_id) WHERE resolved_at IS NULL DO NOTHING
"""
GET = f"SELECT {COLUMNS} FROM appointment_conflicts WHERE id = $1"
LOCK = GET + " FOR NO KEY UPDATE"
PAGE = f"""
    SELECT {COLUMNS} FROM appointment_conflicts
     WHERE resolved_at IS NULL AND id > coalesce($1::uuid, '00000000-0000-0000-0000-000000000000')
     ORDER BY id
     LIMIT $2
"""
RESOLVE = """
    UPDATE appointment_conflicts SET resolution = $2, resolved_by = $3, resolved_at = now()
     WHERE id = $1 AND resolved_at IS NULL
"""
RESOLVE_ALL = """
    UPDATE appointment_conflicts SET resolution = $2, resolved_by = $3, resolved_at = now()
     WHERE appointment_id = $1 AND resolved_at IS NULL
"""
CLEAR = """
    UPDATE appointment_conflicts SET resolution = 'cleared', resolved_by = $2, resolved_at = now()
     WHERE time_off_id = $1 AND resolved_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class AppointmentConflictRow:
    """A conflict; without a resolution it is open."""

    id: UUID
    appointment_id: UUID
    kind: str
    time_off_id: UUID | None
    created_at: datetime
    resolution: str | None
    resolved_by: str | None
    resolved_at: datetime | None


async def overlapping(tx: Tx, resource: UUID | None, during: tuple[datetime, datetime], limit: int) -> list[UUID]:
    """Lock and return up to `limit` appointments that a time at locked resources lies over."""
    locked = [row["id"] for row in await tx.fetch(LOCK_OVERLAPPING, resource, *during, limit)]
    return [row["id"] for row in await tx.fetch(AMONG, locked)]


async def add_of_booked(tx: Tx, appointment: UUID) -> bool:
    """Record that time off lies over an appointment that was booked just now; return whether there is any."""
    found = [row["id"] for row in await tx.fetch(TIME_OFF_OVER, appointment)]
    for time_off in found:
        await add(tx, [appointment], time_off)
    return bool(found)


async def add(tx: Tx, appointments: Sequence[UUID], time_off: UUID) -> None:
    """Record that time off lies over appointments."""
    await tx.execute(ADD, [ids.new() for _ in appointments], appointments, time_off)


async def get(tx: Tx, id: UUID, *, lock: bool = False) -> AppointmentConflictRow:
    """Return a conflict.  Raises NotFound."""
    row = await tx.fetchrow(LOCK if lock else GET, id)
    if row is None:
        raise NotFound("There is no such conflict.")
    return AppointmentConflictRow(**row)


async def page(tx: Tx, after: UUID | None, limit: int) -> list[AppointmentConflictRow]:
    """Return open conflicts, oldest first."""
    return [AppointmentConflictRow(**row) for row in await tx.fetch(PAGE, after, limit)]


async def resolve(tx: Tx, id: UUID, resolution: str, by: str | None) -> None:
    await tx.execute(RESOLVE, id, resolution, by)


async def resolve_all(tx: Tx, appointment: UUID, resolution: str, by: str | None) -> None:
    """Resolve the open conflicts of an appointment."""
    await tx.execute(RESOLVE_ALL, appointment, resolution, by)


async def clear(tx: Tx, time_off: UUID, by: str) -> None:
    """Resolve the open conflicts with time off that is deleted."""
    await tx.execute(CLEAR, time_off, by)
