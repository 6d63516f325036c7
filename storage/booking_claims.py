"""The times of resources that appointments and time off occupy.

A claim is only written with the locks of its resource and of its appointment, in this order, and only deleted with the
appointment's.  The exclusion constraint proves it: a violation is a bug, which is counted, and never a double booking.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
from prometheus_client import Counter

from hum.contract.errors import TimeTaken
from storage.db import Tx

EXCLUSIONS = Counter("hum_booking_exclusions_total", "Claims that locks let through and the constraint refused: a bug")

# What an expired hold claims is free. $4: what moves, and the hold of who moves it, are in their own way nowhere.
BUSY = """
    SELECT c.resource_id, c.lane, lower(c.during) AS begins, upper(c.during) AS ends
      FROM booking_claims c JOIN appointments a ON a.id = c.appointment_id
     WHERE c.resource_id = ANY ($1) AND c.during && tstzrange($2, $3) AND c.appointment_id <> ALL ($4)
       AND NOT (a.state = 'held' AND a.lease_until <= clock_timestamp())
"""
CLOSED = """
    SELECT resource_id, lower(during) AS begins, upper(during) AS ends
      FROM booking_time_off
     WHERE (resource_id = ANY ($1) OR resource_id IS NULL) AND during && tstzrange($2, $3)
"""
ADD = """
    INSERT INTO booking_claims (org_id, resource_id, lane, appointment_id, version, during)
    SELECT hum.org_id(), resource, lane, $1, $2, tstzrange($3, $4)
      FROM unnest($5::uuid[], $6::smallint[]) AS given (resource, lane)
"""
DELETE = "DELETE FROM booking_claims WHERE appointment_id = ANY ($1)"
OF_APPOINTMENT = "SELECT resource_id FROM booking_claims WHERE appointment_id = $1 ORDER BY resource_id"


@dataclass(frozen=True, slots=True)
class OccupiedRow:
    """A time that a resource is occupied; without a lane it is closed, and without a resource all are."""

    resource_id: UUID | None
    lane: int | None
    begins: datetime
    ends: datetime


async def occupied(
    tx: Tx, resources: Sequence[UUID], since: datetime, until: datetime, but: Sequence[UUID] = ()
) -> list[OccupiedRow]:
    """Return when resources are occupied in a window, by other appointments than those of `but` or by time off."""
    claims = [OccupiedRow(**row) for row in await tx.fetch(BUSY, resources, since, until, but)]
    return claims + [OccupiedRow(**row, lane=None) for row in await tx.fetch(CLOSED, resources, since, until)]


async def add(
    tx: Tx, appointment: UUID, version: int, during: tuple[datetime, datetime], places: Sequence[tuple[UUID, int]]
) -> None:
    """Claim a time at lanes of locked resources.  Raises TimeTaken; the transaction is over then."""
    try:
        await tx.execute(
            ADD, appointment, version, *during, [resource for resource, _ in places], [lane for _, lane in places]
        )
    except asyncpg.ExclusionViolationError as error:
        EXCLUSIONS.inc()
        raise TimeTaken from error


async def delete(tx: Tx, appointments: Sequence[UUID]) -> None:
    """Free what locked appointments occupy."""
    await tx.execute(DELETE, appointments)


async def resources_of(tx: Tx, appointment: UUID) -> list[UUID]:
    return [row["resource_id"] for row in await tx.fetch(OF_APPOINTMENT, appointment)]
