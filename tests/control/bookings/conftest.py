"""A clinic with two dentists and a room, in its database."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from control.bookings import reserving
from control.bookings.reserving import WantedTime
from hum import ids
from hum.clock import now
from storage import booking_resources, booking_services, identity
from storage.appointments import AppointmentPerson, AppointmentRow, Holding
from storage.booking_resources import BookingResourceFields
from storage.booking_services import BookingServiceFields
from storage.db import Db, Tx

T = TypeVar("T")
ROOM = BookingResourceFields("room", "Room", 1, None, None, True)
CHECKUP = BookingServiceFields(
    name="Check-up",
    duration_minutes=30,
    before_minutes=0,
    after_minutes=0,
    step_minutes=30,
    lead_minutes=0,
    horizon_days=60,
    cancel_minutes=0,
    needs_approval=False,
    is_health_related=True,
    number_suffices=False,
    time_zone="America/New_York",
    active=True,
    groups=(),
)
HOURS = json.dumps(
    {
        "time_zone": "America/New_York",
        "weekly": {day: [["08:00", "18:00"]] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")},
    }
)
ANN = AppointmentPerson("Ann Lee", "", "+13175550199")


@dataclass
class Clinic:
    """An organization with resources and a service, and what callers do there."""

    db: Db
    url: str
    org: UUID
    dentists: list[UUID]
    room: UUID
    service: UUID
    #: 10:00 of the day after tomorrow in New York.
    morning: datetime

    def at(self, halves: int) -> datetime:
        """Return the start that is so many half hours after the morning."""
        return self.morning + halves * timedelta(minutes=30)

    async def run(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        async with self.db.tenant(self.org) as tx:
            return await work(tx)

    async def hold(
        self, start: datetime, holding: Holding | None = None, resources: Sequence[UUID] = ()
    ) -> AppointmentRow:
        wanted = WantedTime(self.service, start, resources)
        return await self.run(lambda tx: reserving.hold(tx, self.org, wanted, holding or Holding()))

    async def book(self, id: UUID, person: AppointmentPerson = ANN) -> AppointmentRow:
        return (await self.run(lambda tx: reserving.book(tx, id, person, "test", needs_approval=False)))[0]

    async def move(self, id: UUID, start: datetime, version: int | None = None) -> AppointmentRow:
        change = reserving.Move(start, version=version)
        return await self.run(lambda tx: reserving.move(tx, self.org, id, change, "test"))

    async def cancel(self, id: UUID) -> AppointmentRow:
        return await self.run(lambda tx: reserving.cancel(tx, id, "test"))

    async def fetch(self, query: str, *args: object) -> list[tuple[object, ...]]:
        async with self.db.system() as tx:
            return [tuple(row) for row in await tx.fetch(query, *args)]

    async def overlaps(self) -> int:
        """Count pairs of claims of one lane that overlap."""
        [[count]] = await self.fetch(
            "SELECT count(*) FROM booking_claims a JOIN booking_claims b USING (resource_id, lane)"
            " WHERE a.appointment_id < b.appointment_id AND a.during && b.during"
        )
        return int(str(count))

    async def states(self) -> dict[str, int]:
        rows = await self.fetch("SELECT state, count(*) FROM appointments GROUP BY state")
        return {str(state): int(str(count)) for state, count in rows}


def ten_in_new_york(ahead: int) -> datetime:
    """Return 10:00 of a day in New York."""
    day = now().astimezone(ZoneInfo("America/New_York")).date() + timedelta(days=ahead)
    return datetime(day.year, day.month, day.day, 10, tzinfo=ZoneInfo("America/New_York")).astimezone(UTC)


async def open_clinic(db: Db, url: str, dentists: int = 2) -> Clinic:
    org = ids.new()
    async with db.system() as tx:
        await identity.create_organization(tx, org, "Clinic")
        await tx.execute("UPDATE organizations SET business_hours_json = $2 WHERE org_id = $1", org, HOURS)
    async with db.tenant(org) as tx:
        room = (await booking_resources.create(tx, ids.new(), ROOM)).id
        people = [
            (await booking_resources.create(tx, ids.new(), replace(ROOM, kind="person", name=f"Dr. {number}"))).id
            for number in range(dentists)
        ]
        service = await booking_services.create(tx, ids.new(), replace(CHECKUP, groups=[people, [room]]))
    return Clinic(db, url, org, people, room, service.id, ten_in_new_york(2))


@pytest.fixture
async def clinic(database_url: str) -> AsyncIterator[Clinic]:
    # On a busy machine a caller waits for others longer than a caller's patience: both limits end a wait for a lock.
    db = await Db.open(database_url, size=12, lock_seconds=60, statement_seconds=60)
    yield await open_clinic(db, database_url)
    await db.close()


async def all_of(work: Sequence[Awaitable[T]]) -> tuple[list[T], list[BaseException]]:
    """Run concurrently; return the results and the errors."""
    results = await asyncio.gather(*work, return_exceptions=True)
    errors = [result for result in results if isinstance(result, BaseException)]
    return [result for result in results if not isinstance(result, BaseException)], errors
