"""Possible starts of a service, and the lane of each resource that it would occupy.  Pure.

Starts lie on a grid of wall times: each step of the day, counted from midnight, in the zone of the book.  A wall time that
a clock change skips is no start; one that occurs twice is a start once, the first time.  Durations and buffers are elapsed
time.  Hours must cover the appointment; claims and time off must leave its buffers free, too.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from control.base import hours as openings
from control.base.hours import Hours

DAY_MINUTES = 24 * 60
Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class ServiceTimes:
    """The times of a service."""

    duration: timedelta
    before: timedelta = timedelta()
    after: timedelta = timedelta()
    step: timedelta = timedelta(minutes=15)
    #: The least time from now to a start, and the most.
    lead: timedelta = timedelta()
    horizon: timedelta = timedelta(days=60)

    def claim(self, start: datetime) -> Span:
        """Return the time that an appointment with this start occupies, with its buffers."""
        return start - self.before, start + self.duration + self.after

    def first(self, now: datetime) -> datetime:
        """Return the earliest instant that may be a start."""
        return now + self.lead

    def last(self, now: datetime) -> datetime:
        """Return the latest instant that may be a start."""
        return now + self.horizon


@dataclass(frozen=True, slots=True)
class ResourceTimes:
    """The times of a resource: its hours, and what occupies it."""

    id: UUID
    #: None: always open.
    hours: Hours | None = None
    capacity: int = 1
    #: Claims by lane.
    claims: Mapping[int, Sequence[Span]] = field(default_factory=dict)
    #: Closures, holidays and other times that occupy all lanes.
    time_off: Sequence[Span] = ()


@dataclass(frozen=True, slots=True)
class Lane:
    """The place of an appointment at a resource."""

    resource: UUID
    lane: int


class Free:
    """The free times of a resource in a window: its open spans, and of each lane the spans without claims."""

    def __init__(self, resource: ResourceTimes, since: datetime, until: datetime) -> None:
        self.resource = resource
        hours = resource.hours
        self._open = [(since, until)] if hours is None else list(openings.spans(hours, since, until))
        self._lanes = [
            _gaps([*resource.claims.get(lane, ()), *resource.time_off], since, until)
            for lane in range(resource.capacity)
        ]

    def lane(self, appointment: Span, claim: Span) -> int | None:
        """Return the lowest lane that is free for a claim while the resource is open for its appointment, or None."""
        if not _covers(self._open, appointment):
            return None
        return next((lane for lane, free in enumerate(self._lanes) if _covers(free, claim)), None)


def starts(
    service: ServiceTimes, groups: Sequence[Sequence[ResourceTimes]], zone: ZoneInfo, window: Span, now: datetime
) -> Iterator[datetime]:
    """Yield the starts in a window at which each group has a resource for the service, in UTC and in order.

    A resource belongs to one group at most, so each group may choose on its own.
    """
    since, until = max(window[0], service.first(now)), min(window[1], service.last(now) + timedelta(microseconds=1))
    if not groups or since >= until:
        return
    bounds = since - service.before, until + service.duration + service.after
    free = [[Free(resource, *bounds) for resource in group] for group in groups]
    for start in grid(zone, service.step, since, until):
        if all(any(_fits(service, times, start) for times in group) for group in free):
            yield start


def lanes(
    service: ServiceTimes, groups: Sequence[Sequence[ResourceTimes]], start: datetime
) -> Sequence[Sequence[Lane]]:
    """Return for each group the places that are free for an appointment with this start, in the group's order."""
    claim = service.claim(start)
    places = list[list[Lane]]()
    for group in groups:
        free = [Free(resource, *claim) for resource in group]
        places.append(
            [
                Lane(times.resource.id, lane)
                for times in free
                if (lane := times.lane((start, start + service.duration), claim)) is not None
            ]
        )
    return places


def is_allowed(service: ServiceTimes, zone: ZoneInfo, start: datetime, now: datetime) -> bool:
    """Tell whether a start lies on the grid, after the lead time and within the horizon."""
    in_time = service.first(now) <= start <= service.last(now)
    return in_time and start in grid(zone, service.step, start, start + timedelta(minutes=1))


def grid(zone: ZoneInfo, step: timedelta, since: datetime, until: datetime) -> Iterator[datetime]:
    """Yield the instants of the grid's wall times from `since` to before `until`, in UTC and in order."""
    minutes = int(step.total_seconds()) // 60
    day, last = since.astimezone(zone).date(), until.astimezone(zone).date()
    while day <= last:
        found = set[datetime]()
        for minute in range(0, DAY_MINUTES, minutes):
            wall = datetime.combine(day, time(*divmod(minute, 60)), zone)
            instant = wall.astimezone(UTC)
            if since <= instant < until and _is_on_clock(wall, instant):
                found.add(instant)
        yield from sorted(found)
        day += timedelta(days=1)


def _is_on_clock(wall: datetime, instant: datetime) -> bool:
    """Tell whether clocks show this wall time, which a change may skip."""
    return instant.astimezone(wall.tzinfo).replace(tzinfo=None) == wall.replace(tzinfo=None)


def _fits(service: ServiceTimes, times: Free, start: datetime) -> bool:
    return times.lane((start, start + service.duration), service.claim(start)) is not None


def _covers(spans: Sequence[Span], wanted: Span) -> bool:
    """Tell whether one of these disjoint, sorted spans covers the wanted one."""
    index = bisect_right(spans, wanted[0], key=lambda span: span[0]) - 1
    return index >= 0 and spans[index][1] >= wanted[1]


def _gaps(occupied: Sequence[Span], since: datetime, until: datetime) -> list[Span]:
    """Return the spans of a window that nothing occupies."""
    gaps, at = list[Span](), since
    for begins, ends in sorted(occupied):
        if begins >= until:
            break
        if begins > at:
            gaps.append((at, begins))
        at = max(at, ends)
    if at < until:
        gaps.append((at, until))
    return gaps
