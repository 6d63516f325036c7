"""Transitions of appointments that people ask for, each with its event."""

from datetime import timedelta
from uuid import UUID

from control.base.wire import timestamp
from control.bookings import reserving, usecases
from control.bookings.reserving import Move, WantedTime
from hum import ids
from hum.clock import now
from hum.contract.errors import Conflict, InvalidState
from hum.contract.principal import Principal
from hum.ids import Kind
from hum.v1 import events_pb2
from storage import appointment_conflicts, appointments, booking_services, events
from storage.appointment_conflicts import AppointmentConflictRow
from storage.appointments import AppointmentPerson, AppointmentRow, Holding
from storage.db import Tx

LEASE = timedelta(seconds=120)
EVENTS = {
    "booked": events_pb2.AppointmentBookedEvent,
    "pending": events_pb2.AppointmentPendingEvent,
    "moved": events_pb2.AppointmentMovedEvent,
    "canceled": events_pb2.AppointmentCanceledEvent,
    "refused": events_pb2.AppointmentRefusedEvent,
    "no_show": events_pb2.AppointmentNoShowEvent,
}


async def hold(tx: Tx, principal: Principal, wanted: WantedTime) -> AppointmentRow:
    """Hold a time for a client of the API.  Raises NotFound, TimeTaken."""
    return await reserving.hold(tx, principal.org_id, wanted, Holding(lease=LEASE))


async def book(tx: Tx, principal: Principal, id: UUID, person: AppointmentPerson) -> AppointmentRow:
    """Book a hold.  Raises NotFound, HoldExpired."""
    service = await booking_services.get(tx, (await appointments.get(tx, id)).service_id)
    row, is_new = await reserving.book(tx, id, person, principal.name, needs_approval=service.fields.needs_approval)
    if is_new:
        await _tell(tx, principal, row, row.state)
        # It was closed while the time was held: the person has their appointment, and staff see the conflict.
        if await appointment_conflicts.add_of_booked(tx, id):
            await usecases.tell_conflict(tx, principal, id)
    return row


async def move(tx: Tx, principal: Principal, id: UUID, change: Move) -> AppointmentRow:
    """Move an appointment.  Raises NotFound, Conflict, InvalidState, TimeTaken."""
    row = await reserving.move(tx, principal.org_id, id, change, principal.name)
    await _tell(tx, principal, row, "moved")
    return row


async def cancel(tx: Tx, principal: Principal, id: UUID, version: int | None) -> AppointmentRow:
    """Cancel an appointment.  Raises NotFound, Conflict, InvalidState."""
    was_canceled = (await _locked(tx, id)).state == "canceled"
    row = await reserving.cancel(tx, id, principal.name, version)
    if not was_canceled:
        await _tell(tx, principal, row, "canceled")
    return row


async def approve(tx: Tx, principal: Principal, id: UUID) -> AppointmentRow:
    """Approve a pending appointment.  Raises NotFound, InvalidState."""
    await _require(tx, id, "pending")
    return await _change(tx, principal, id, "booked")


async def refuse(tx: Tx, principal: Principal, id: UUID) -> AppointmentRow:
    """Refuse a pending appointment.  Raises NotFound, InvalidState."""
    await _require(tx, id, "pending")
    row = await reserving.free(tx, id, "refused", principal.name)
    await _tell(tx, principal, row, "refused")
    return row


async def arrive(tx: Tx, principal: Principal, id: UUID) -> AppointmentRow:
    """Record that the person of an appointment has come.  Raises NotFound, InvalidState."""
    await _require(tx, id, "booked", "no_show")
    return await _change(tx, principal, id, "arrived")


async def miss(tx: Tx, principal: Principal, id: UUID) -> AppointmentRow:
    """Record that the person of an appointment did not come.  Raises NotFound, InvalidState."""
    row = await _require(tx, id, "booked", "arrived")
    if row.starts_at > now():
        raise InvalidState("The appointment has not begun.")
    return await _change(tx, principal, id, "no_show")


async def resolve(tx: Tx, principal: Principal, id: UUID, resolution: str) -> AppointmentConflictRow:
    """Resolve a conflict: keep the appointment, or cancel it.  Raises NotFound, InvalidState, Conflict."""
    appointment = (await appointment_conflicts.get(tx, id)).appointment_id
    await appointments.get(tx, appointment, lock=True)
    if (await appointment_conflicts.get(tx, id, lock=True)).resolved_at is not None:
        raise Conflict("The conflict is resolved already.")
    if resolution == "canceled":
        await cancel(tx, principal, appointment, None)
    else:
        await appointment_conflicts.resolve(tx, id, resolution, principal.name)
    return await appointment_conflicts.get(tx, id)


async def _locked(tx: Tx, id: UUID) -> AppointmentRow:
    return await appointments.get(tx, id, lock=True)


async def _require(tx: Tx, id: UUID, *states: str) -> AppointmentRow:
    """Lock an appointment in one of these states.  Raises NotFound, InvalidState."""
    row = await _locked(tx, id)
    if row.state not in states:
        raise InvalidState("The appointment's state does not allow this.")
    return row


async def _change(tx: Tx, principal: Principal, id: UUID, state: str) -> AppointmentRow:
    await appointments.change_state(tx, id, state, principal.name)
    row = await appointments.get(tx, id)
    if state in EVENTS:
        await _tell(tx, principal, row, state)
    return row


async def _tell(tx: Tx, principal: Principal, row: AppointmentRow, what: str) -> None:
    event = EVENTS[what](
        appointment_id=ids.show(Kind.APPOINTMENT, row.id),
        service_id=ids.show(Kind.BOOKABLE_SERVICE, row.service_id),
        starts_at=timestamp(row.starts_at),
        ends_at=timestamp(row.ends_at),
        appointment_version=row.version,
        by=principal.name,
    )
    await events.append(tx, principal.org_id, row.id, event)
