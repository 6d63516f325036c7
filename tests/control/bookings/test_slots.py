"""Starts of services against a minute-by-minute oracle, and at the clock changes of every zone."""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from control.base import hours
from control.base.hours import WEEKDAYS, Hours
from control.bookings import slots
from control.bookings.slots import ResourceTimes, ServiceTimes, Span
from tests.support.examples import sample

MINUTE = timedelta(minutes=1)
ZONES = (
    "UTC",
    "America/New_York",
    "Europe/Berlin",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Asia/Beirut",
    "America/Santiago",
    "Africa/Casablanca",
)
#: Around the changes of 2026 in most zones, and any day.
DAYS = st.sampled_from(
    (date(2026, 3, 8), date(2026, 3, 29), date(2026, 4, 5), date(2026, 10, 25), date(2026, 11, 1))
) | (st.dates(date(2026, 1, 1), date(2027, 12, 31)))
CLOCK = st.integers(0, 24 * 4 - 1).map(lambda quarter: f"{quarter // 4:02}:{quarter % 4 * 15:02}")
WEEKS = st.dictionaries(
    st.sampled_from(WEEKDAYS), st.lists(st.tuples(CLOCK, CLOCK | st.just("24:00")).map(list), max_size=2), min_size=4
)
MINUTES = st.integers(-600, 3 * 1440)
OCCUPIED = st.lists(st.tuples(MINUTES, st.integers(1, 300)), max_size=3)
RESOURCES = st.tuples(WEEKS | st.none(), st.lists(OCCUPIED, min_size=1, max_size=2), OCCUPIED)
SERVICES = st.builds(
    lambda duration, before, after, step, lead, horizon: ServiceTimes(
        *(timedelta(minutes=count) for count in (duration, before, after, step, lead, horizon))
    ),
    st.integers(1, 180),
    st.sampled_from((0, 5, 20)),
    st.sampled_from((0, 10, 45)),
    st.sampled_from((5, 15, 20, 45, 60, 90)),
    st.sampled_from((0, 61, 600)),
    st.sampled_from((600, 2000, 9999)),
)


def resource(
    number: int,
    zone: str,
    origin: datetime,
    drawn: tuple[dict[str, list[list[str]]] | None, list[list[tuple[int, int]]], list[tuple[int, int]]],
) -> ResourceTimes:
    weekly, claims, time_off = drawn

    def spans(pairs: list[tuple[int, int]]) -> list[Span]:
        return [(origin + begin * MINUTE, origin + (begin + length) * MINUTE) for begin, length in pairs]

    return ResourceTimes(
        id=UUID(int=number),
        hours=None if weekly is None else hours.parse(json.dumps({"time_zone": zone, "weekly": weekly}), zone),
        capacity=len(claims),
        claims={lane: spans(pairs) for lane, pairs in enumerate(claims)},
        time_off=spans(time_off),
    )


def minutes(span: Span) -> list[datetime]:
    return [span[0] + count * MINUTE for count in range((span[1] - span[0]) // MINUTE)]


def is_busy(spans: Sequence[Span], at: datetime) -> bool:
    return any(begins <= at < ends for begins, ends in spans)


def has_place(service: ServiceTimes, times: ResourceTimes, start: datetime) -> bool:
    """Tell minute by minute whether a resource can take the service at a start."""
    if times.hours and not all(hours.is_open(times.hours, at) for at in minutes((start, start + service.duration))):
        return False
    claim = minutes(service.claim(start))
    return any(
        not any(is_busy(times.claims[lane], at) or is_busy(times.time_off, at) for at in claim)
        for lane in range(times.capacity)
    )


def oracle(
    service: ServiceTimes, groups: Sequence[Sequence[ResourceTimes]], zone: ZoneInfo, window: Span, now: datetime
) -> list[datetime]:
    """Return the starts by walking through the minutes of real time, with the clock on the wall."""
    found, shown, at = list[datetime](), set[datetime](), window[0] - timedelta(days=1)
    while at < window[1]:
        wall = at.astimezone(zone).replace(tzinfo=None, fold=0)
        is_first, on_grid = wall not in shown, (wall.hour * 60 + wall.minute) % (service.step // MINUTE) == 0
        shown.add(wall)
        if is_first and on_grid and at >= window[0] and now + service.lead <= at <= now + service.horizon:
            if all(any(has_place(service, times, at) for times in group) for group in groups):
                found.append(at)
        at += MINUTE
    return found


@given(
    st.sampled_from(ZONES),
    DAYS,
    SERVICES,
    st.lists(st.lists(RESOURCES, min_size=1, max_size=2), min_size=1, max_size=2),
)
@example("America/New_York", date(2026, 3, 8), ServiceTimes(90 * MINUTE), [[(None, [[]], [])]])
@example("America/New_York", date(2026, 3, 8), ServiceTimes(30 * MINUTE, step=45 * MINUTE), [[(None, [[]], [])]])
@example("America/New_York", date(2026, 11, 1), ServiceTimes(90 * MINUTE), [[(None, [[]], [])]])
@example(
    "America/New_York",
    date(2026, 11, 1),
    ServiceTimes(240 * MINUTE, step=60 * MINUTE),
    [[({"sun": [["00:00", "03:00"]]}, [[]], [])]],
)
def test_starts_are_those_of_a_walk_through_the_minutes(
    zone: str, day: date, service: ServiceTimes, drawn: list[list[tuple[object, object, object]]]
) -> None:
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    groups = [
        [resource(10 * number + place, zone, midnight, one) for place, one in enumerate(group)]  # type: ignore[arg-type]
        for number, group in enumerate(drawn)
    ]
    window = (midnight, midnight + timedelta(hours=27))
    now = midnight - timedelta(hours=3)
    expected = oracle(service, groups, ZoneInfo(zone), window, now)
    assert list(slots.starts(service, groups, ZoneInfo(zone), window, now)) == expected
    for start in expected:
        assert slots.is_allowed(service, ZoneInfo(zone), start, now)
        assert all(slots.lanes(service, groups, start))


@pytest.mark.sampled
@pytest.mark.parametrize("name", sample(sorted(available_timezones()), 50))
def test_every_zone_offers_each_wall_time_once_and_no_skipped_one(name: str) -> None:
    """Two years: what the grid yields are the wall times that clocks show, in the order of time."""
    since, zone = datetime(2026, 1, 1, tzinfo=UTC), ZoneInfo(name)
    # What a change skips by an hour is on no other start of this grid.
    step = timedelta(minutes=35)
    for day in changes(zone, since, since + timedelta(days=730)):
        window = (day - timedelta(days=1), day + timedelta(days=2))
        found = list(slots.grid(zone, step, *window))
        walls = [at.astimezone(zone).replace(tzinfo=None, fold=0) for at in found]
        assert len(set(walls)) == len(walls)
        assert all(before < after for before, after in pairwise(found))
        expected, shown = list[datetime](), set[datetime]()
        at = window[0] - timedelta(days=1)
        while at < window[1]:
            wall = at.astimezone(zone).replace(tzinfo=None, fold=0)
            if (wall.hour * 60 + wall.minute) % 35 == 0 and wall not in shown and at >= window[0]:
                expected.append(at)
            shown.add(wall)
            at += timedelta(minutes=5)
        assert found == expected


def changes(zone: ZoneInfo, since: datetime, until: datetime) -> list[datetime]:
    """Return the days on which clocks change, and one on which they do not."""
    days = [since + timedelta(days=count) for count in range((until - since).days)]
    return [days[0]] + [
        before
        for before, after in pairwise(days)
        if before.astimezone(zone).utcoffset() != after.astimezone(zone).utcoffset()
    ]


@pytest.mark.parametrize(
    ("day", "count", "skipped"),
    [(date(2026, 3, 8), 23, {2}), (date(2026, 3, 9), 24, set()), (date(2026, 11, 1), 24, set())],
)
def test_a_day_of_23_hours_has_23_full_hours_and_one_of_25_has_24(day: date, count: int, skipped: set[int]) -> None:
    zone = ZoneInfo("America/New_York")
    begin, end = (
        datetime(each.year, each.month, each.day, tzinfo=zone).astimezone(UTC) for each in (day, day + timedelta(1))
    )
    found = list(slots.grid(zone, timedelta(hours=1), begin, end))
    assert len(found) == count
    assert {at.astimezone(zone).hour for at in found} == set(range(24)) - skipped


def test_the_lowest_free_lane_is_taken_and_a_full_resource_has_none() -> None:
    at = datetime(2026, 5, 4, 9, tzinfo=UTC)
    service, taken = ServiceTimes(timedelta(hours=1)), (at, at + timedelta(hours=1))
    ours = UUID(int=1)

    def lanes_with(claims: dict[int, list[Span]]) -> list[int]:
        groups = [[ResourceTimes(ours, capacity=2, claims=claims)]]
        return [place.lane for place in slots.lanes(service, groups, at)[0]]

    assert lanes_with({}) == [0]
    assert lanes_with({0: [taken]}) == [1]
    assert lanes_with({1: [taken]}) == [0]
    assert lanes_with({0: [taken], 1: [taken]}) == []


def test_a_service_without_resources_is_never_offered() -> None:
    at = datetime(2026, 5, 4, 9, tzinfo=UTC)
    window = (at, at + timedelta(days=1))
    assert list(slots.starts(ServiceTimes(timedelta(hours=1)), [], ZoneInfo("UTC"), window, at)) == []


def test_closed_all_week_is_never_offered() -> None:
    at = datetime(2026, 5, 4, 9, tzinfo=UTC)
    closed = ResourceTimes(UUID(int=1), Hours(ZoneInfo("UTC"), ((),) * 7, frozenset()))
    window = (at, at + timedelta(days=14))
    assert list(slots.starts(ServiceTimes(timedelta(hours=1)), [[closed]], ZoneInfo("UTC"), window, at)) == []
