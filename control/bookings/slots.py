"""Possible starts of a service, and the lane of each resource that it would occupy.  Pure.

Starts lie on a grid of wall times: each step of the day, counted from midnight, in the zone of the book.  A wall time that
a clock change skips is no start; one that occurs twice is a start once, the first time.  Durations and buffers are elapsed
time.  Hours must cover the appointment; claims and time off must leave its buffers free, too.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from itertools import chain
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


class Openings:
    """The open spans of hours in a window; many resources have the same hours."""

    def __init__(self, since: datetime, until: datetime) -> None:
        self.since, self.until = since, until
        self._known = dict[Hours | None, list[Span]]({None: [(since, until)]})

    def of(self, hours: Hours | None) -> list[Span]:
        if hours not in self._known:
            assert hours is not None, "it is known"
            self._known[hours] = list(openings.spans(hours, self.since, self.until))
        return self._known[hours]


class Free:
    """The free times of a resource in a window: its open spans, and of each lane the spans without claims."""

    def __init__(self, resource: ResourceTimes, window: Openings) -> None:
        self.resource = resource
        self._open = window.of(resource.hours)
        self._lanes = [
            _gaps([*resource.claims.get(lane, ()), *resource.time_off], window.since, window.until)
            for lane in range(resource.capacity)
        ]

    def starts(self, service: ServiceTimes) -> list[Span]:
        """Return when the service may start, each as the first and the last instant, in order and disjoint."""
        in_hours = [(opens, closes - service.duration) for opens, closes in self._open]
        in_lanes = [
            (begins + service.before, ends - service.duration - service.after)
            for lane in self._lanes
            for begins, ends in lane
        ]
        return _intersection(_union(in_hours), _union(in_lanes))

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
    around = Openings(since - service.before, until + service.duration + service.after)
    possible = [(since, until)]
    for group in groups:
        possible = _intersection(
            possible, _union(chain.from_iterable(Free(each, around).starts(service) for each in group))
        )
    yield from _on_grid(possible, zone, service.step, since, until)


def lanes(
    service: ServiceTimes, groups: Sequence[Sequence[ResourceTimes]], start: datetime
) -> Sequence[Sequence[Lane]]:
    """Return for each group the places that are free for an appointment with this start, in the group's order."""
    claim = service.claim(start)
    around = Openings(*claim)
    places = list[list[Lane]]()
    for group in groups:
        free = [Free(resource, around) for resource in group]
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


def _on_grid(
    possible: Sequence[Span], zone: ZoneInfo, step: timedelta, since: datetime, until: datetime
) -> Iterator[datetime]:
    """Yield the instants of the grid that lie in one of these disjoint, sorted spans, ends included."""
    spans = iter(possible)
    span = next(spans, None)
    for start in grid(zone, step, since, until):
        while span is not None and span[1] < start:
            span = next(spans, None)
        if span is None:
            return
        if span[0] <= start:
            yield start


def _union(spans: Iterable[Span]) -> list[Span]:
    """Return the instants in any of these spans, ends included, as disjoint spans in order."""
    union = list[Span]()
    for begins, ends in sorted(span for span in spans if span[0] <= span[1]):
        if union and begins <= union[-1][1]:
            union[-1] = union[-1][0], max(union[-1][1], ends)
        else:
            union.append((begins, ends))
    return union


def _intersection(some: Sequence[Span], others: Sequence[Span]) -> list[Span]:
    """Return the instants that lie in both of these disjoint spans in order, ends included."""
    common, one, other = list[Span](), 0, 0
    while one < len(some) and other < len(others):
        begins, ends = max(some[one][0], others[other][0]), min(some[one][1], others[other][1])
        if begins <= ends:
            common.append((begins, ends))
        if some[one][1] < others[other][1]:
            one += 1
        else:
            other += 1
    return common


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
