"""BookingsService (proto/hum/v1/bookings.proto)."""

from datetime import UTC, datetime
from uuid import UUID

from control.base import masks, paging
from control.base.wire import moment, word
from control.bookings import present, usecases
from control.boundary import TransactionContext
from hum import ids
from hum.ids import Kind
from hum.v1 import bookings_pb2 as pb
from storage import booking_resources, booking_services, booking_time_off
from storage.booking_resources import BookingResourceFields
from storage.booking_services import BookingServiceFields
from storage.booking_time_off import TimeOffFilter

DEFAULT_STEP_MINUTES, DEFAULT_HORIZON_DAYS = 15, 60


class BookingsServicer:
    def __init__(self, cursors: paging.Cursors) -> None:
        self._cursors = cursors

    async def ListBookingResources(
        self, request: pb.ListBookingResourcesRequest, ctx: TransactionContext
    ) -> pb.ListBookingResourcesResponse:
        rows = await booking_resources.page(ctx.tx, self._cursors.after(request), paging.rows_to_fetch(request))
        page, more = self._cursors.cut(request, rows, lambda row: (row.id,), lambda row: row.size)
        return pb.ListBookingResourcesResponse(resources=map(present.resource, page), next_cursor=more)

    async def CreateBookingResource(
        self, request: pb.CreateBookingResourceRequest, ctx: TransactionContext
    ) -> pb.CreateBookingResourceResponse:
        row = await usecases.create_resource(ctx.tx, _resource_fields(request.resource))
        return pb.CreateBookingResourceResponse(resource=present.resource(row))

    async def GetBookingResource(
        self, request: pb.GetBookingResourceRequest, ctx: TransactionContext
    ) -> pb.GetBookingResourceResponse:
        row = await booking_resources.get(ctx.tx, resource_id(request.id))
        return pb.GetBookingResourceResponse(resource=present.resource(row))

    async def UpdateBookingResource(
        self, request: pb.UpdateBookingResourceRequest, ctx: TransactionContext
    ) -> pb.UpdateBookingResourceResponse:
        id = resource_id(request.id)
        await booking_resources.lock_many(ctx.tx, [id])
        before = present.resource(await booking_resources.get(ctx.tx, id))
        after = masks.masked(before, request.resource, list(request.update_mask.paths))
        assert isinstance(after, pb.BookingResource), "`masked` returns the type of `before`"
        row = await usecases.change_resource(ctx.tx, id, _resource_fields(after))
        return pb.UpdateBookingResourceResponse(resource=present.resource(row))

    async def DeleteBookingResource(
        self, request: pb.DeleteBookingResourceRequest, ctx: TransactionContext
    ) -> pb.DeleteBookingResourceResponse:
        await usecases.delete_resource(ctx.tx, resource_id(request.id))
        return pb.DeleteBookingResourceResponse()

    async def ListBookableServices(
        self, request: pb.ListBookableServicesRequest, ctx: TransactionContext
    ) -> pb.ListBookableServicesResponse:
        rows = await booking_services.page(ctx.tx, self._cursors.after(request), paging.rows_to_fetch(request))
        page, more = self._cursors.cut(request, rows, lambda row: (row.id,), lambda row: row.size)
        return pb.ListBookableServicesResponse(services=map(present.service, page), next_cursor=more)

    async def CreateBookableService(
        self, request: pb.CreateBookableServiceRequest, ctx: TransactionContext
    ) -> pb.CreateBookableServiceResponse:
        row = await usecases.create_service(ctx.tx, _service_fields(request.service))
        return pb.CreateBookableServiceResponse(service=present.service(row))

    async def GetBookableService(
        self, request: pb.GetBookableServiceRequest, ctx: TransactionContext
    ) -> pb.GetBookableServiceResponse:
        row = await booking_services.get(ctx.tx, service_id(request.id))
        return pb.GetBookableServiceResponse(service=present.service(row))

    async def UpdateBookableService(
        self, request: pb.UpdateBookableServiceRequest, ctx: TransactionContext
    ) -> pb.UpdateBookableServiceResponse:
        id = service_id(request.id)
        before = present.service(await booking_services.get(ctx.tx, id, lock=True))
        after = masks.masked(before, request.service, list(request.update_mask.paths))
        assert isinstance(after, pb.BookableService), "`masked` returns the type of `before`"
        row = await usecases.change_service(ctx.tx, id, _service_fields(after))
        return pb.UpdateBookableServiceResponse(service=present.service(row))

    async def DeleteBookableService(
        self, request: pb.DeleteBookableServiceRequest, ctx: TransactionContext
    ) -> pb.DeleteBookableServiceResponse:
        await usecases.delete_service(ctx.tx, service_id(request.id))
        return pb.DeleteBookableServiceResponse()

    async def ListTimeOff(self, request: pb.ListTimeOffRequest, ctx: TransactionContext) -> pb.ListTimeOffResponse:
        wanted = TimeOffFilter(
            since=moment(request.since) if request.HasField("since") else None,
            until=moment(request.until) if request.HasField("until") else None,
            resource_id=resource_id(request.resource_id) if request.resource_id else None,
        )
        if wanted.since and wanted.until:
            usecases.require_order(
                "until", (wanted.since, wanted.until), datetime.max.replace(tzinfo=UTC) - wanted.since
            )
        after, count = self._cursors.after(request), paging.rows_to_fetch(request)
        rows = await booking_time_off.page(ctx.tx, wanted, after, count)
        page, more = self._cursors.cut(request, rows, lambda row: (row.id,))
        return pb.ListTimeOffResponse(time_off=map(present.time_off, page), next_cursor=more)

    async def CreateTimeOff(
        self, request: pb.CreateTimeOffRequest, ctx: TransactionContext
    ) -> pb.CreateTimeOffResponse:
        wanted = request.time_off
        resource = resource_id(wanted.resource_id) if wanted.HasField("resource_id") else None
        during, reason = (moment(wanted.starts_at), moment(wanted.ends_at)), wanted.reason or None
        row, conflicts = await usecases.close(ctx.tx, ctx.principal, resource, during, reason)
        return pb.CreateTimeOffResponse(time_off=present.time_off(row, conflicts))

    async def DeleteTimeOff(
        self, request: pb.DeleteTimeOffRequest, ctx: TransactionContext
    ) -> pb.DeleteTimeOffResponse:
        await usecases.reopen(ctx.tx, ctx.principal.name, ids.require(Kind.TIME_OFF, request.id))
        return pb.DeleteTimeOffResponse()


def resource_id(text: str) -> UUID:
    return ids.require(Kind.BOOKING_RESOURCE, text)


def service_id(text: str) -> UUID:
    return ids.require(Kind.BOOKABLE_SERVICE, text)


def _resource_fields(resource: pb.BookingResource) -> BookingResourceFields:
    return BookingResourceFields(
        kind=word(pb.BookingResourceKind, resource.kind) or "person",
        name=resource.name,
        capacity=resource.capacity if resource.HasField("capacity") else 1,
        hours_json=resource.business_hours_json if resource.HasField("business_hours_json") else None,
        time_zone=resource.time_zone or None,
        active=resource.active if resource.HasField("active") else True,
    )


def _service_fields(service: pb.BookableService) -> BookingServiceFields:
    return BookingServiceFields(
        name=service.name,
        duration_minutes=service.duration_minutes,
        before_minutes=service.before_minutes,
        after_minutes=service.after_minutes,
        step_minutes=service.step_minutes or DEFAULT_STEP_MINUTES,
        lead_minutes=service.lead_minutes,
        horizon_days=service.horizon_days or DEFAULT_HORIZON_DAYS,
        cancel_minutes=service.cancel_minutes,
        needs_approval=service.needs_approval,
        is_health_related=service.is_health_related if service.HasField("is_health_related") else True,
        number_suffices=service.number_suffices,
        time_zone=service.time_zone or None,
        active=service.active if service.HasField("active") else True,
        groups=[[resource_id(id) for id in group.resource_ids] for group in service.groups],
    )
