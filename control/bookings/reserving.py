"""Holding, booking, moving and freeing times: each in one transaction of the tenant.

A reservation chooses candidates from a snapshot, locks them in the order of their ids, ends the expired holds
there, looks again, and claims the lowest free lane of one resource of each group.  For example, two callers want the last time of
a dentist: both choose it, one gets the lock, the other waits, sees the claim and is refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from control.bookings import slots, timetable
from control.bookings.slots import Lane
from control.bookings.timetable import Timetable
from hum import ids
from hum.clock import now
from hum.contract.errors import Conflict, HoldExpired, InvalidState, TimeTaken
from storage import (
    appointment_conflicts,
    appointments,
    booking_claims,
    booking_dialogues,
    booking_resources,
    booking_waits,
)
from storage.appointments import AppointmentPerson, AppointmentRow, Holding
from storage.db import Db, Tx

#: Resources of a group that a reservation locks: of 20 dentists, the first that are free in the snapshot.
CANDIDATES = 5
#: Holds that a sweep ends, or deletes, in a transaction.
BATCH = 500
#: The lease of a call's hold, renewed while the call lives.
CALL_LEASE = timedelta(seconds=120)
#: How long it is kept what agents have offered.
DIALOGUE_AGE = timedelta(days=7)
#: How long holds that ended unbooked are kept.
UNBOOKED_AGE = timedelta(days=1)
#: States of appointments that occupy their times.
LIVE = frozenset({"pending", "booked", "arrived", "no_show"})


@dataclass(frozen=True, slots=True)
class WantedTime:
    """A start of a service, and the resources that it must have, if any."""

    service_id: UUID
    start: datetime
    resources: Sequence[UUID] = ()


@dataclass(frozen=True, slots=True)
class Move:
    """The start to which an appointment moves, of the version that the person saw, if it is known.

    `holder`: who holds that start; the move takes it over.
    """

    start: datetime
    resources: Sequence[UUID] = ()
    version: int | None = None
    holder: str | None = None


async def hold(tx: Tx, organization: UUID, wanted: WantedTime, holding: Holding) -> AppointmentRow:
    """Hold a time; the holder's other hold ends.  Raises NotFound, TimeTaken, Conflict."""
    table = await timetable.load(tx, organization, wanted.service_id, wanted.resources)
    places = await _lock_places(tx, table, wanted.start, holding.holder)
    id, times = ids.new(), table.times
    during = wanted.start, wanted.start + times.duration
    await appointments.hold(tx, id, wanted.service_id, during, table.zone.key, holding)
    await booking_claims.add(tx, id, 0, times.claim(wanted.start), places)
    return await appointments.get(tx, id)


async def renew(tx: Tx, id: UUID, lease: timedelta) -> AppointmentRow:
    """Renew the lease of a hold, up to its greatest age.  Raises NotFound, HoldExpired."""
    if not await appointments.renew(tx, id, lease):
        await appointments.get(tx, id)
        raise HoldExpired
    return await appointments.get(tx, id)


async def release(tx: Tx, id: UUID) -> None:
    """Release a hold; one that ended otherwise stays as it is.  Raises NotFound, InvalidState for an appointment."""
    row = await appointments.get(tx, id, lock=True)
    if row.state in LIVE or row.state in {"canceled", "refused"}:
        raise InvalidState("It is booked; cancel the appointment instead.")
    await appointments.release(tx, id)


async def book(
    tx: Tx, id: UUID, person: AppointmentPerson, by: str | None, *, needs_approval: bool
) -> tuple[AppointmentRow, bool]:
    """Book a hold; return the appointment and whether this request booked it.  Raises NotFound, HoldExpired.

    A hold that is booked already stays as it was booked first.
    """
    row = await appointments.get(tx, id, lock=True)
    if row.state == "held":
        if not await appointments.book(tx, id, "pending" if needs_approval else "booked", person, by):
            raise HoldExpired
        return await appointments.get(tx, id), True
    if row.state in LIVE:
        return row, False
    raise HoldExpired


async def move(tx: Tx, organization: UUID, id: UUID, change: Move, by: str | None) -> AppointmentRow:
    """Move an appointment to another start, at its own resources if they are free and no others are wanted.

    Raises NotFound, Conflict for another version, InvalidState, TimeTaken.
    """
    before, start = await appointments.get(tx, id), change.start
    table = await timetable.load(tx, organization, before.service_id, change.resources, inactive=True)
    table = _preferring(table, before.resources)
    # An appointment keeps its duration, whatever became of the service.
    times = replace(table.times, duration=before.ends_at - before.starts_at)
    table = replace(table, times=times)
    places = await _lock_places(tx, table, start, change.holder, before)
    row = await appointments.get(tx, id)
    require_version(row, before.version)
    require_version(row, change.version)
    if row.state not in {"pending", "booked"}:
        raise InvalidState("Only a pending or booked appointment can be moved.")
    await booking_claims.delete(tx, [id])
    await appointments.move(tx, id, (start, start + times.duration), by)
    await booking_claims.add(tx, id, row.version + 1, times.claim(start), places)
    await appointment_conflicts.resolve_all(tx, id, "moved", by)
    return await appointments.get(tx, id)


async def cancel(tx: Tx, id: UUID, by: str | None, version: int | None = None) -> AppointmentRow:
    """Cancel an appointment; a canceled one stays as it is.  Raises NotFound, Conflict, InvalidState."""
    row = await appointments.get(tx, id, lock=True)
    if row.state == "canceled":
        return row
    require_version(row, version)
    if row.state not in {"pending", "booked"}:
        raise InvalidState("Only a pending or booked appointment can be canceled.")
    return await free(tx, id, "canceled", by)


def require_version(row: AppointmentRow, version: int | None) -> None:
    """Raise Conflict unless an appointment has the version that the person saw, if that is known."""
    if version not in {None, row.version}:
        raise Conflict("The appointment was changed meanwhile; look at it again.")


async def free(tx: Tx, id: UUID, state: str, by: str | None) -> AppointmentRow:
    """End a locked appointment as `canceled` or `refused`, and free its time."""
    await appointments.change_state(tx, id, state, by)
    await booking_claims.delete(tx, [id])
    await appointment_conflicts.resolve_all(tx, id, "canceled", by)
    return await appointments.get(tx, id)


async def expire(db: Db) -> None:
    """Renew holds of live calls, end expired ones, and delete what is over: holds that were never booked, waits, and what agents offered."""
    async with db.system() as tx:
        await appointments.renew_of_calls(tx, CALL_LEASE, BATCH)
    async with db.system() as tx:
        await appointments.expire(tx, BATCH)
    async with db.system() as tx:
        await appointments.prune(tx, UNBOOKED_AGE, BATCH)
        await booking_waits.prune(tx, BATCH)
        await booking_dialogues.prune(tx, DIALOGUE_AGE, BATCH)


async def _lock_places(
    tx: Tx, table: Timetable, start: datetime, holder: str | None, moving: AppointmentRow | None = None
) -> list[tuple[UUID, int]]:
    """Lock a free place of each group for an appointment, and all that is in its way.  Raises TimeTaken."""
    times = table.times
    if not slots.is_allowed(times, table.zone, start, now()):
        raise TimeTaken("This is no time at which the service begins; look for the times that are free.")
    claim = times.claim(start)
    moved = [moving.id] if moving else []
    held = await appointments.held_by(tx, holder) if holder else None
    own = [*moved, held] if held else moved
    snapshot = slots.lanes(times, await table.occupied(tx, claim, own), start)
    chosen = [[place.resource for place in places[:CANDIDATES]] for places in snapshot]
    if not all(chosen) or not chosen:
        raise TimeTaken
    locked = {resource for group in chosen for resource in group} | set(moving.resources if moving else ())
    rows = await booking_resources.lock_many(tx, sorted(locked))
    await appointments.clear_way(tx, sorted(locked), claim, holder, moving.id if moving else None)
    groups = [[rows[id] for id in group if id in rows and rows[id].active] for group in chosen]
    places = slots.lanes(times, await replace(table, groups=groups).occupied(tx, claim, moved), start)
    if not all(places):
        raise TimeTaken
    return [_pair(group[0]) for group in places]


def _preferring(table: Timetable, resources: Sequence[UUID]) -> Timetable:
    """Return a timetable in which these resources come first in their groups."""
    groups = [sorted(group, key=lambda resource: resource.id not in resources) for group in table.groups]
    return replace(table, groups=groups)


def _pair(place: Lane) -> tuple[UUID, int]:
    return place.resource, place.lane
