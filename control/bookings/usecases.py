"""What can be booked and when: resources, services, time off, and who waits."""

from datetime import timedelta
from uuid import UUID

from control.base.wire import timestamp
from control.bookings.slots import Span
from hum import ids
from hum.contract.errors import FieldError, InUse, InvalidRequest, PlanLimit
from hum.contract.principal import Principal
from hum.v1 import bookings_pb2 as pb
from hum.v1 import events_pb2
from storage import (
    appointment_conflicts,
    appointments,
    booking_resources,
    booking_services,
    booking_time_off,
    booking_waits,
    events,
)
from storage.booking_resources import BookingResourceFields, BookingResourceRow
from storage.booking_services import BookingServiceFields, BookingServiceRow
from storage.booking_time_off import TimeOffRow
from storage.booking_waits import WaitFields, WaitRow
from storage.db import Tx

MOST_RESOURCES, MOST_SERVICES, MOST_TIMES_OFF, MOST_WAITS = 2000, 500, 5000, 5000
#: Appointments that one time off may lie over.
MOST_CONFLICTS = 1000
LONGEST_TIME_OFF = timedelta(days=400)


async def create_resource(tx: Tx, fields: BookingResourceFields) -> BookingResourceRow:
    """Create a resource.  Raises PlanLimit."""
    if await booking_resources.count(tx) >= MOST_RESOURCES:
        raise PlanLimit(f"An organization has up to {MOST_RESOURCES:,} resources.")
    return await booking_resources.create(tx, ids.new(), fields)


async def change_resource(tx: Tx, id: UUID, fields: BookingResourceFields) -> BookingResourceRow:
    """Change a locked resource.  Raises InUse if appointments need the capacity that it would lose."""
    lane = await booking_resources.highest_lane(tx, id)
    if lane is not None and lane >= fields.capacity:
        raise InUse(f"Appointments to come need a capacity of {lane + 1}.")
    return await booking_resources.change(tx, id, fields)


async def delete_resource(tx: Tx, id: UUID) -> None:
    """Delete a resource.  Raises NotFound, InUse."""
    await booking_resources.lock_many(tx, [id])
    await booking_resources.get(tx, id)
    if count := await booking_resources.count_appointments(tx, id):
        raise InUse(f"The resource has {count} appointments; make it inactive instead.")
    await booking_resources.delete(tx, id)


async def create_service(tx: Tx, fields: BookingServiceFields) -> BookingServiceRow:
    """Create a service.  Raises InvalidRequest, PlanLimit, NotFound."""
    _check_groups(fields)
    if await booking_services.count(tx) >= MOST_SERVICES:
        raise PlanLimit(f"An organization has up to {MOST_SERVICES} services.")
    return await booking_services.create(tx, ids.new(), fields)


async def change_service(tx: Tx, id: UUID, fields: BookingServiceFields) -> BookingServiceRow:
    """Change a locked service.  Raises InvalidRequest, NotFound."""
    _check_groups(fields)
    return await booking_services.change(tx, id, fields)


async def delete_service(tx: Tx, id: UUID) -> None:
    """Delete a service.  Raises NotFound, InUse."""
    await booking_services.get(tx, id, lock=True)
    if count := await booking_services.count_appointments(tx, id):
        raise InUse(f"The service has {count} appointments; make it inactive instead.")
    if (flow := await booking_services.named_by(tx, ids.show(ids.Kind.BOOKABLE_SERVICE, id))) is not None:
        raise InUse(f"The flow {flow!r} names this service; change its booking_service_ids first.")
    await booking_services.delete(tx, id)


async def close(
    tx: Tx, principal: Principal, resource: UUID | None, during: Span, reason: str | None
) -> tuple[TimeOffRow, int]:
    """Close a resource, or all; return the time off and how many appointments it lies over.

    Raises NotFound, InvalidRequest, PlanLimit.
    """
    require_order("ends_at", during, LONGEST_TIME_OFF)
    if await booking_time_off.count(tx) >= MOST_TIMES_OFF:
        raise PlanLimit(f"An organization has up to {MOST_TIMES_OFF:,} times off that are not over.")
    if resource is None:
        await booking_resources.lock_all(tx)
    elif not await booking_resources.lock_many(tx, [resource]):
        await booking_resources.get(tx, resource)
    row = await booking_time_off.create(tx, ids.new(), resource, during, reason)
    found = await appointment_conflicts.overlapping(tx, resource, during, MOST_CONFLICTS + 1)
    if len(found) > MOST_CONFLICTS:
        raise InvalidRequest(
            [FieldError("ends_at", f"lies over more than {MOST_CONFLICTS} appointments; close it in parts")]
        )
    await appointment_conflicts.add(tx, found, row.id)
    for id in found:
        await tell_conflict(tx, principal, id)
    return row, len(found)


async def reopen(tx: Tx, by: str, id: UUID) -> None:
    """Delete a time off; its conflicts are over.  Raises NotFound."""
    await booking_time_off.get(tx, id)
    await appointment_conflicts.clear(tx, id, by)
    await booking_time_off.delete(tx, id)


async def wait(tx: Tx, fields: WaitFields) -> WaitRow:
    """Put a person on the waiting list.  Raises NotFound, InvalidRequest, PlanLimit."""
    require_order("until", (fields.since, fields.until), LONGEST_TIME_OFF)
    if not (await booking_services.get(tx, fields.service_id)).fields.active:
        raise InvalidRequest([FieldError("service_id", "can't be booked any more")])
    if await booking_waits.count(tx) >= MOST_WAITS:
        raise PlanLimit(f"Up to {MOST_WAITS:,} people wait in an organization.")
    return await booking_waits.create(tx, ids.new(), fields)


def require_order(field: str, during: Span, longest: timedelta) -> None:
    """Raise InvalidRequest unless a time ends after its start, and not too long after it."""
    if during[1] <= during[0]:
        raise InvalidRequest([FieldError(field, "must be after the start")])
    if during[1] - during[0] > longest:
        raise InvalidRequest([FieldError(field, f"must be at most {longest.days} days after the start")])


def _check_groups(fields: BookingServiceFields) -> None:
    """Raise InvalidRequest unless a service has groups, and each resource in one of them."""
    required = [id for group in fields.groups for id in group]
    if not required:
        raise InvalidRequest([FieldError("groups", "must have a group of resources")])
    if len(set(required)) < len(required):
        raise InvalidRequest([FieldError("groups", "must have each resource once")])


async def tell_conflict(tx: Tx, principal: Principal, id: UUID) -> None:
    """Publish that time off lies over an appointment."""
    row = await appointments.get(tx, id)
    event = events_pb2.AppointmentConflictEvent(
        appointment_id=ids.show(ids.Kind.APPOINTMENT, id),
        service_id=ids.show(ids.Kind.BOOKABLE_SERVICE, row.service_id),
        starts_at=timestamp(row.starts_at),
        ends_at=timestamp(row.ends_at),
        appointment_version=row.version,
        kind=pb.CONFLICT_KIND_TIME_OFF,
    )
    await events.append(tx, principal.org_id, id, event)
