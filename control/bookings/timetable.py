"""The facts that decide about times: services, their resources, hours, and what occupies them."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from uuid import UUID
from zoneinfo import ZoneInfo

from control.base import hours
from control.base.hours import Hours
from control.bookings.slots import ResourceTimes, ServiceTimes, Span
from hum.contract.errors import NotFound
from storage import booking_claims, booking_resources, booking_services, identity
from storage.booking_claims import OccupiedRow
from storage.booking_resources import BookingResourceRow
from storage.booking_services import BookingServiceFields, BookingServiceRow
from storage.db import Tx


@dataclass(frozen=True, slots=True)
class Timetable:
    """A service with the resources of its groups, before what occupies them is known."""

    service: BookingServiceRow
    times: ServiceTimes
    zone: ZoneInfo
    groups: Sequence[Sequence[BookingResourceRow]]
    organization_zone: str
    organization_hours: str | None

    async def occupied(self, tx: Tx, window: Span, but: Sequence[UUID] = ()) -> list[list[ResourceTimes]]:
        """Return the groups with what occupies their resources in a window, except for the appointments `but`."""
        ids = [resource.id for group in self.groups for resource in group]
        rows = await booking_claims.occupied(tx, ids, *window, but)
        by_resource = defaultdict[UUID | None, list[OccupiedRow]](list)
        for row in rows:
            by_resource[row.resource_id].append(row)
        opens = cache(self._hours)
        return [
            [
                _times(
                    resource,
                    opens(resource.hours_json, resource.time_zone),
                    by_resource[resource.id],
                    by_resource[None],
                )
                for resource in group
            ]
            for group in self.groups
        ]

    def _hours(self, own: str | None, zone: str | None) -> Hours | None:
        text = own or self.organization_hours
        return hours.parse(text, zone or self.organization_zone) if text else None


def _times(
    resource: BookingResourceRow, opens: Hours | None, own: Sequence[OccupiedRow], of_all: Sequence[OccupiedRow]
) -> ResourceTimes:
    claims = defaultdict[int, list[Span]](list)
    for row in own:
        if row.lane is not None:
            claims[row.lane].append((row.begins, row.ends))
    closed = [(row.begins, row.ends) for row in (*own, *of_all) if row.lane is None]
    return ResourceTimes(resource.id, opens, resource.capacity, claims, closed)


async def load(
    tx: Tx, organization: UUID, service_id: UUID, wanted: Sequence[UUID] = (), *, inactive: bool = False
) -> Timetable:
    """Return the timetable of a service; of a group with `wanted` resources, only these.

    Raises NotFound for a service that does not exist or, unless `inactive`, can't be booked any more, and for a wanted
    resource that the service does not take.
    """
    service = await booking_services.get(tx, service_id)
    if not (service.fields.active or inactive):
        raise NotFound("The service can't be booked any more.")
    required = [id for group in service.fields.groups for id in group]
    if not set(wanted) <= set(required):
        raise NotFound("The service takes none of these resources.")
    rows = await booking_resources.get_many(tx, required)
    organization_row = await identity.organization(tx, organization)
    return Timetable(
        service=service,
        times=times_of(service.fields),
        zone=ZoneInfo(service.fields.time_zone or organization_row.time_zone),
        groups=[_group(group, wanted, rows) for group in service.fields.groups],
        organization_zone=organization_row.time_zone,
        organization_hours=organization_row.business_hours_json,
    )


def times_of(fields: BookingServiceFields) -> ServiceTimes:
    """Return the times of a service."""
    return ServiceTimes(
        duration=timedelta(minutes=fields.duration_minutes),
        before=timedelta(minutes=fields.before_minutes),
        after=timedelta(minutes=fields.after_minutes),
        step=timedelta(minutes=fields.step_minutes),
        lead=timedelta(minutes=fields.lead_minutes),
        horizon=timedelta(days=fields.horizon_days),
    )


def window(times: ServiceTimes, since: datetime, until: datetime) -> Span:
    """Return the time that appointments with starts in a window may occupy."""
    return since - times.before, until + times.duration + times.after


def _group(
    group: Sequence[UUID], wanted: Sequence[UUID], rows: dict[UUID, BookingResourceRow]
) -> list[BookingResourceRow]:
    chosen = [id for id in group if id in wanted] or group
    return [rows[id] for id in chosen if id in rows and rows[id].active]
