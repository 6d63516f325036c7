"""AppointmentsService (proto/hum/v1/bookings.proto)."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from control.base import paging
from control.base.wire import moment, timestamp, word
from control.bookings import appointing, present, reserving, usecases
from control.bookings.reserving import Move, WantedTime
from control.bookings.searching import TimeSearch, TimesWanted
from control.boundary import TransactionContext
from hum import ids
from hum.clock import now
from hum.contract.errors import NotFound
from hum.ids import Kind
from hum.v1 import bookings_pb2 as pb
from storage import appointment_conflicts, appointments, booking_waits
from storage.appointments import AppointmentFilter, AppointmentPerson, AppointmentRow
from storage.booking_waits import WaitFields
from storage.db import Tx

#: How many days a search without an end looks ahead.
SEARCH_DAYS = 14


class AppointmentsServicer:
    def __init__(self, cursors: paging.Cursors, search: TimeSearch) -> None:
        self._cursors, self._search = cursors, search

    async def FindTimes(self, request: pb.FindTimesRequest, ctx: TransactionContext) -> pb.FindTimesResponse:
        since = moment(request.since) if request.HasField("since") else now()
        wanted = TimesWanted(
            service_id=ids.require(Kind.BOOKABLE_SERVICE, request.service_id),
            since=since,
            until=moment(request.until) if request.HasField("until") else since + timedelta(days=SEARCH_DAYS),
            resources=_resources(request.resource_ids),
            limit=paging.limit_of(request),  # type: ignore[arg-type]  # without a cursor
        )
        found = await self._search.find(ctx.tx, ctx.organization, wanted)
        times = [pb.FreeTime(starts_at=timestamp(at), ends_at=timestamp(at + found.duration)) for at in found.times]
        following = found.next
        return pb.FindTimesResponse(
            times=times,
            time_zone=found.zone,
            has_more=found.has_more,
            next=pb.FreeTime(starts_at=timestamp(following), ends_at=timestamp(following + found.duration))
            if following
            else None,
            never=not times and following is None,
        )

    async def HoldTime(self, request: pb.HoldTimeRequest, ctx: TransactionContext) -> pb.HoldTimeResponse:
        wanted = WantedTime(
            ids.require(Kind.BOOKABLE_SERVICE, request.service_id),
            moment(request.starts_at),
            _resources(request.resource_ids),
        )
        return pb.HoldTimeResponse(hold=present.hold(await appointing.hold(ctx.tx, ctx.principal, wanted)))

    async def RenewHold(self, request: pb.RenewHoldRequest, ctx: TransactionContext) -> pb.RenewHoldResponse:
        row = await reserving.renew(ctx.tx, ids.require(Kind.HOLD, request.id), appointing.LEASE)
        return pb.RenewHoldResponse(hold=present.hold(row))

    async def ReleaseHold(self, request: pb.ReleaseHoldRequest, ctx: TransactionContext) -> pb.ReleaseHoldResponse:
        await reserving.release(ctx.tx, ids.require(Kind.HOLD, request.id))
        return pb.ReleaseHoldResponse()

    async def ListAppointments(
        self, request: pb.ListAppointmentsRequest, ctx: TransactionContext
    ) -> pb.ListAppointmentsResponse:
        wanted = AppointmentFilter(
            since=moment(request.since) if request.HasField("since") else None,
            until=moment(request.until) if request.HasField("until") else None,
            state=word(pb.AppointmentState, request.state),
            contact_e164=request.contact_e164 or None,
            resource_id=ids.require(Kind.BOOKING_RESOURCE, request.resource_id) if request.resource_id else None,
        )
        key = self._cursors.read(request)
        after = (key[0], key[1]) if key else None
        rows = await appointments.page(ctx.tx, wanted, after, paging.rows_to_fetch(request))
        page, more = self._cursors.cut(request, rows, lambda row: (row.starts_at, row.id), lambda row: row.size)
        return pb.ListAppointmentsResponse(appointments=[present.appointment(row) for row in page], next_cursor=more)

    async def GetAppointment(
        self, request: pb.GetAppointmentRequest, ctx: TransactionContext
    ) -> pb.GetAppointmentResponse:
        row = await _shown(ctx.tx, request.id)
        changes = await appointments.history(ctx.tx, row.id)
        return pb.GetAppointmentResponse(appointment=present.appointment(row, changes))

    async def BookAppointment(
        self, request: pb.BookAppointmentRequest, ctx: TransactionContext
    ) -> pb.BookAppointmentResponse:
        person = AppointmentPerson(request.name, request.note or None, request.contact_e164 or None)
        id = ids.require(Kind.HOLD, request.hold_id)
        row = await appointing.book(ctx.tx, ctx.principal, id, person)
        return pb.BookAppointmentResponse(appointment=present.appointment(row))

    async def MoveAppointment(
        self, request: pb.MoveAppointmentRequest, ctx: TransactionContext
    ) -> pb.MoveAppointmentResponse:
        id = (await _shown(ctx.tx, request.id)).id
        version = request.if_version if request.HasField("if_version") else None
        change = Move(moment(request.starts_at), _resources(request.resource_ids), version)
        row = await appointing.move(ctx.tx, ctx.principal, id, change)
        return pb.MoveAppointmentResponse(appointment=present.appointment(row))

    async def CancelAppointment(
        self, request: pb.CancelAppointmentRequest, ctx: TransactionContext
    ) -> pb.CancelAppointmentResponse:
        id = (await _shown(ctx.tx, request.id)).id
        version = request.if_version if request.HasField("if_version") else None
        row = await appointing.cancel(ctx.tx, ctx.principal, id, version)
        return pb.CancelAppointmentResponse(appointment=present.appointment(row))

    async def ApproveAppointment(
        self, request: pb.ApproveAppointmentRequest, ctx: TransactionContext
    ) -> pb.ApproveAppointmentResponse:
        row = await appointing.approve(ctx.tx, ctx.principal, (await _shown(ctx.tx, request.id)).id)
        return pb.ApproveAppointmentResponse(appointment=present.appointment(row))

    async def RefuseAppointment(
        self, request: pb.RefuseAppointmentRequest, ctx: TransactionContext
    ) -> pb.RefuseAppointmentResponse:
        row = await appointing.refuse(ctx.tx, ctx.principal, (await _shown(ctx.tx, request.id)).id)
        return pb.RefuseAppointmentResponse(appointment=present.appointment(row))

    async def MarkAttended(self, request: pb.MarkAttendedRequest, ctx: TransactionContext) -> pb.MarkAttendedResponse:
        row = await appointing.arrive(ctx.tx, ctx.principal, (await _shown(ctx.tx, request.id)).id)
        return pb.MarkAttendedResponse(appointment=present.appointment(row))

    async def MarkNoShow(self, request: pb.MarkNoShowRequest, ctx: TransactionContext) -> pb.MarkNoShowResponse:
        row = await appointing.miss(ctx.tx, ctx.principal, (await _shown(ctx.tx, request.id)).id)
        return pb.MarkNoShowResponse(appointment=present.appointment(row))

    async def ListAppointmentConflicts(
        self, request: pb.ListAppointmentConflictsRequest, ctx: TransactionContext
    ) -> pb.ListAppointmentConflictsResponse:
        rows = await appointment_conflicts.page(ctx.tx, self._cursors.after(request), paging.rows_to_fetch(request))
        page, more = self._cursors.cut(request, rows, lambda row: (row.id,))
        return pb.ListAppointmentConflictsResponse(conflicts=map(present.conflict, page), next_cursor=more)

    async def ResolveAppointmentConflict(
        self, request: pb.ResolveAppointmentConflictRequest, ctx: TransactionContext
    ) -> pb.ResolveAppointmentConflictResponse:
        resolution = word(pb.ConflictResolution, request.resolution) or "kept"
        row = await appointing.resolve(ctx.tx, ctx.principal, ids.require(Kind.CONFLICT, request.id), resolution)
        return pb.ResolveAppointmentConflictResponse(conflict=present.conflict(row))

    async def ListWaits(self, request: pb.ListWaitsRequest, ctx: TransactionContext) -> pb.ListWaitsResponse:
        service = ids.require(Kind.BOOKABLE_SERVICE, request.service_id) if request.service_id else None
        after, count = self._cursors.after(request), paging.rows_to_fetch(request)
        rows = await booking_waits.page(ctx.tx, service, after, count)
        page, more = self._cursors.cut(request, rows, lambda row: (row.id,), lambda row: row.size)
        return pb.ListWaitsResponse(waits=map(present.wait, page), next_cursor=more)

    async def CreateWait(self, request: pb.CreateWaitRequest, ctx: TransactionContext) -> pb.CreateWaitResponse:
        wanted = request.wait
        fields = WaitFields(
            service_id=ids.require(Kind.BOOKABLE_SERVICE, wanted.service_id),
            contact_e164=wanted.contact_e164,
            name=wanted.name,
            since=moment(wanted.since),
            until=moment(wanted.until),
            urgent=wanted.urgent,
        )
        return pb.CreateWaitResponse(wait=present.wait(await usecases.wait(ctx.tx, fields)))

    async def DeleteWait(self, request: pb.DeleteWaitRequest, ctx: TransactionContext) -> pb.DeleteWaitResponse:
        await booking_waits.delete(ctx.tx, ids.require(Kind.WAIT, request.id))
        return pb.DeleteWaitResponse()


async def _shown(tx: Tx, text: str) -> AppointmentRow:
    """Return an appointment that clients see.  Raises NotFound, also for a hold that was never booked."""
    row = await appointments.get(tx, ids.require(Kind.APPOINTMENT, text))
    if row.state in {"held", "expired", "released"}:
        raise NotFound("There is no such appointment.")
    return row


def _resources(texts: Sequence[str]) -> list[UUID]:
    return [ids.require(Kind.BOOKING_RESOURCE, text) for text in texts]
