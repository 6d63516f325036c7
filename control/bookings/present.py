"""Messages of the contract for what can be booked, and what was."""

from collections.abc import Sequence
from uuid import UUID

from control.base.wire import timestamp, value
from hum import ids
from hum.ids import Kind
from hum.v1 import bookings_pb2 as pb
from storage.appointment_conflicts import AppointmentConflictRow
from storage.appointments import AppointmentChangeRow, AppointmentRow
from storage.booking_resources import BookingResourceRow
from storage.booking_services import BookingServiceRow
from storage.booking_time_off import TimeOffRow
from storage.booking_waits import WaitRow


def resource(row: BookingResourceRow) -> pb.BookingResource:
    """Return a resource as a message."""
    return pb.BookingResource(
        id=ids.show(Kind.BOOKING_RESOURCE, row.id),
        kind=value(pb.BookingResourceKind, row.kind),
        name=row.name,
        capacity=row.capacity,
        business_hours_json=row.hours_json,
        time_zone=row.time_zone,
        active=row.active,
        created_at=timestamp(row.created_at),
    )


def service(row: BookingServiceRow) -> pb.BookableService:
    """Return a service as a message."""
    fields = row.fields
    return pb.BookableService(
        id=ids.show(Kind.BOOKABLE_SERVICE, row.id),
        name=fields.name,
        duration_minutes=fields.duration_minutes,
        before_minutes=fields.before_minutes,
        after_minutes=fields.after_minutes,
        step_minutes=fields.step_minutes,
        lead_minutes=fields.lead_minutes,
        horizon_days=fields.horizon_days,
        cancel_minutes=fields.cancel_minutes,
        needs_approval=fields.needs_approval,
        is_health_related=fields.is_health_related,
        number_suffices=fields.number_suffices,
        time_zone=fields.time_zone,
        active=fields.active,
        groups=[pb.ResourceGroup(resource_ids=_resources(group)) for group in fields.groups],
        created_at=timestamp(row.created_at),
    )


def time_off(row: TimeOffRow, conflicts: int | None = None) -> pb.TimeOff:
    """Return a time off as a message."""
    return pb.TimeOff(
        id=ids.show(Kind.TIME_OFF, row.id),
        resource_id=_shown(Kind.BOOKING_RESOURCE, row.resource_id),
        starts_at=timestamp(row.starts_at),
        ends_at=timestamp(row.ends_at),
        reason=row.reason,
        created_at=timestamp(row.created_at),
        conflicts=conflicts,
    )


def hold(row: AppointmentRow) -> pb.TimeHold:
    """Return a hold as a message."""
    return pb.TimeHold(
        id=ids.show(Kind.HOLD, row.id),
        service_id=ids.show(Kind.BOOKABLE_SERVICE, row.service_id),
        starts_at=timestamp(row.starts_at),
        ends_at=timestamp(row.ends_at),
        time_zone=row.time_zone,
        resource_ids=_resources(row.resources),
        expires_at=timestamp(row.lease_until),
    )


def appointment(row: AppointmentRow, changes: Sequence[AppointmentChangeRow] = ()) -> pb.Appointment:
    """Return an appointment as a message."""
    return pb.Appointment(
        id=ids.show(Kind.APPOINTMENT, row.id),
        service_id=ids.show(Kind.BOOKABLE_SERVICE, row.service_id),
        state=value(pb.AppointmentState, row.state),
        version=row.version,
        starts_at=timestamp(row.starts_at),
        ends_at=timestamp(row.ends_at),
        time_zone=row.time_zone,
        resource_ids=_resources(row.resources),
        contact_id=_shown(Kind.CONTACT, row.contact_id),
        contact_e164=row.contact_e164,
        name=row.name,
        note=row.note,
        origin=value(pb.AppointmentOrigin, row.origin),
        call_id=_shown(Kind.CALL, row.call_id),
        conversation_id=_shown(Kind.CONVERSATION, row.conversation_id),
        created_at=timestamp(row.created_at),
        booked_at=timestamp(row.booked_at),
        changed_at=timestamp(row.changed_at),
        changes=[
            pb.AppointmentChange(
                version=change.version,
                state=value(pb.AppointmentState, change.state),
                starts_at=timestamp(change.starts_at),
                ends_at=timestamp(change.ends_at),
                by=change.by,
                at=timestamp(change.at),
            )
            for change in changes
        ],
    )


def conflict(row: AppointmentConflictRow) -> pb.AppointmentConflict:
    """Return a conflict as a message."""
    return pb.AppointmentConflict(
        id=ids.show(Kind.CONFLICT, row.id),
        appointment_id=ids.show(Kind.APPOINTMENT, row.appointment_id),
        kind=value(pb.ConflictKind, row.kind),
        time_off_id=_shown(Kind.TIME_OFF, row.time_off_id),
        created_at=timestamp(row.created_at),
        resolution=value(pb.ConflictResolution, row.resolution),
        resolved_by=row.resolved_by,
        resolved_at=timestamp(row.resolved_at),
    )


def wait(row: WaitRow) -> pb.BookingWait:
    """Return a person who waits as a message."""
    return pb.BookingWait(
        id=ids.show(Kind.WAIT, row.id),
        service_id=ids.show(Kind.BOOKABLE_SERVICE, row.service_id),
        contact_e164=row.contact_e164,
        name=row.name,
        since=timestamp(row.since),
        until=timestamp(row.until),
        urgent=row.urgent,
        created_at=timestamp(row.created_at),
    )


def _shown(kind: Kind, id: UUID | None) -> str | None:
    return ids.show(kind, id) if id else None


def _resources(resources: Sequence[UUID]) -> list[str]:
    return [ids.show(Kind.BOOKING_RESOURCE, id) for id in resources]
