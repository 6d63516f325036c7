"""Business hours against another way to work them out, and at the clock changes of several places."""

import json
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from control.base import hours
from control.base.hours import WEEKDAYS, OpenTimes

ZONES = (
    "UTC",
    "America/New_York",
    "Europe/Berlin",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Asia/Tokyo",
)
CLOCK = st.integers(0, 24 * 60 - 1).map(lambda minutes: f"{minutes // 60:02}:{minutes % 60:02}")
SPANS = st.lists(st.tuples(CLOCK, CLOCK | st.just("24:00")).map(list), max_size=3)
MOMENTS = st.integers(0, 2 * 365 * 24 * 60).map(lambda n: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=n))


def open_walls(stored: dict[str, object], wall: datetime) -> bool:
    """Whether a local wall time is in a span, each written out with its dates."""
    for days in (0, 1):
        day = wall.date() - timedelta(days=days)
        if day.isoformat() in stored["holidays"]:  # type: ignore[operator]
            continue
        for opens, closes in stored["weekly"].get(WEEKDAYS[day.weekday()], []):  # type: ignore[attr-defined]
            begin = datetime.combine(day, time.fromisoformat(opens))
            if closes == "24:00":
                end = datetime.combine(day + timedelta(days=1), time())
            else:
                end = datetime.combine(day, time.fromisoformat(closes))
                end += timedelta(days=end <= begin)
            if begin <= wall < end:
                return True
    return False


@given(
    st.sampled_from(ZONES),
    st.dictionaries(st.sampled_from(WEEKDAYS), SPANS),
    st.lists(st.dates(date(2026, 1, 1), date(2027, 12, 31)).map(date.isoformat), max_size=5),
    MOMENTS,
)
@example("America/New_York", {"sun": [["22:00", "02:00"]]}, ["2026-03-09"], datetime(2026, 3, 9, 5, 0, tzinfo=UTC))
@example("America/New_York", {"sun": [["22:00", "02:00"]]}, ["2026-03-08"], datetime(2026, 3, 9, 5, 0, tzinfo=UTC))
@example("Pacific/Apia", {"sat": [["00:00", "24:00"]]}, [], datetime(2026, 4, 4, 10, 0, tzinfo=UTC))
def test_it_is_open_exactly_in_its_spans(
    zone: str, weekly: dict[str, list[list[str]]], holidays: list[str], moment: datetime
) -> None:
    stored: dict[str, object] = {"time_zone": zone, "weekly": weekly, "holidays": holidays}
    parsed = hours.parse(json.dumps(stored), "UTC")
    wall = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    assert hours.is_open(parsed, moment) is open_walls(stored, wall)


@pytest.mark.parametrize(
    ("zone", "span", "open_from", "open_until"),
    [
        # New York, 8 March 2026: 02:00 becomes 03:00 at 07:00 UTC.
        ("America/New_York", ["02:30", "04:00"], "2026-03-08T07:00", "2026-03-08T08:00"),  # the gap opens at its end
        ("America/New_York", ["01:00", "02:30"], "2026-03-08T06:00", "2026-03-08T07:00"),  # and is over with it
        # 1 November 2026: 02:00 becomes 01:00 at 06:00 UTC.
        ("America/New_York", ["00:30", "03:00"], "2026-11-01T04:30", "2026-11-01T08:00"),  # the fold is open both times
        # Berlin, 29 March 2026: 02:00 becomes 03:00 at 01:00 UTC.
        ("Europe/Berlin", ["02:15", "03:30"], "2026-03-29T01:00", "2026-03-29T01:30"),
        # Lord Howe, 4 October 2026: half an hour is skipped, 02:00 becomes 02:30 at 15:30 UTC the day before.
        ("Australia/Lord_Howe", ["02:15", "03:00"], "2026-10-03T15:30", "2026-10-03T16:00"),
    ],
)
def test_clock_changes(zone: str, span: list[str], open_from: str, open_until: str) -> None:
    parsed = hours.parse(json.dumps({"time_zone": zone, "weekly": {"sun": [span]}}), "UTC")
    begin, end = (datetime.fromisoformat(each).replace(tzinfo=UTC) for each in (open_from, open_until))
    minute = timedelta(minutes=1)
    opened = [at for n in range(-240, 600) if hours.is_open(parsed, at := begin + n * minute)]
    assert (opened[0], opened[-1] + minute) == (begin, end)
    assert len(opened) == (end - begin) // minute, "without a break"


def test_a_span_that_is_skipped_altogether_does_not_open_that_day() -> None:
    parsed = hours.parse('{"weekly": {"sun": [["02:10", "02:50"]]}}', "America/New_York")
    day = datetime(2026, 3, 8, 0, 0, tzinfo=UTC)
    assert not any(hours.is_open(parsed, day + timedelta(minutes=n)) for n in range(24 * 60))
    assert hours.is_open(parsed, datetime(2026, 3, 15, 6, 30, tzinfo=UTC)), "a week later it does"


def test_an_hour_that_happens_twice_can_close_twice() -> None:
    parsed = hours.parse('{"weekly": {"sun": [["00:30", "01:30"]]}}', "America/New_York")
    told = [
        hours.is_open(parsed, datetime(2026, 11, 1, 4, 30, tzinfo=UTC) + timedelta(minutes=30 * n)) for n in range(5)
    ]
    assert told == [True, True, False, True, False], "01:30 to 02:00 is closed, and then it is 01:00 again"


@pytest.mark.parametrize(
    "weekly",
    [
        {"fri": [["22:00", "24:00"]], "sat": [["00:00", "02:00"], ["02:00", "03:00"]], "sun": [["00:30", "01:30"]]},
        {"sun": [["02:10", "02:50"], ["20:00", "04:00"]], "mon": [["04:00", "05:00"]]},
        {"sat": [["00:00", "24:00"]], "sun": [["00:00", "24:00"]]},
    ],
)
@pytest.mark.parametrize("begin", [datetime(2026, 3, 6, 5, tzinfo=UTC), datetime(2026, 10, 30, 4, tzinfo=UTC)])
def test_spans_are_what_is_open_minute_by_minute(weekly: dict[str, Any], begin: datetime) -> None:
    parsed = hours.parse(json.dumps({"weekly": weekly}), "America/New_York")
    first, last = hours.days(parsed, begin + timedelta(hours=3), 4)
    spans = list(hours.spans(parsed, first, last))
    minute = timedelta(minutes=1)
    minutes = [first + minute * n for n in range((last - first) // minute)]
    assert (first, last - first) in {(begin, timedelta(hours=95)), (begin, timedelta(hours=97))}, "over a clock change"
    inside = [any(opens <= at < closes for opens, closes in spans) for at in minutes]
    assert inside == [hours.is_open(parsed, at) for at in minutes] and any(inside)
    assert all(one[1] < other[0] for one, other in pairwise(spans)), "without a break"


@pytest.mark.parametrize("begin", [datetime(2026, 3, 6, 5, tzinfo=UTC), datetime(2026, 10, 30, 4, tzinfo=UTC)])
@pytest.mark.parametrize("holidays", [[], ["2026-03-07", "2026-11-01"]])
@pytest.mark.parametrize(
    "weekly",
    [
        {"fri": [["22:00", "24:00"]], "sat": [["00:00", "02:00"], ["02:00", "03:00"]], "sun": [["00:30", "01:30"]]},
        {"sun": [["02:10", "02:50"], ["20:00", "04:00"]], "mon": [["04:00", "05:00"]]},
        {"sat": [["00:00", "24:00"]], "sun": [["00:00", "24:00"]]},
    ],
)
def test_openings_are_the_first_open_minutes(weekly: dict[str, Any], holidays: list[str], begin: datetime) -> None:
    parsed = hours.parse(json.dumps({"weekly": weekly, "holidays": holidays}), "America/New_York")
    minute, found = timedelta(minutes=1), OpenTimes(parsed, begin)
    minutes = [begin + minute * n for n in range(9 * 1440)]
    following: dict[datetime, datetime | None] = {}
    opens: datetime | None = None
    for at in reversed(minutes):
        opens = at if hours.is_open(parsed, at) else opens
        following[at] = opens
    asked = minutes[: 2 * 1440 : 7]
    assert [hours.next_open(parsed, at) for at in asked] == [following[at] for at in asked]
    assert [found.next_open(at) for at in asked] == [following[at] for at in asked]


def test_hours_that_never_open_have_no_opening() -> None:
    days = [(date(2026, 1, 1) + timedelta(days=ahead)).isoformat() for ahead in range(800)]
    never = hours.parse(json.dumps({"weekly": {"mon": [["09:00", "17:00"]]}, "holidays": days}), "UTC")
    at = datetime(2026, 3, 6, tzinfo=UTC)
    found = OpenTimes(never, at)
    assert hours.next_open(never, at) is None and found.next_open(at) is None
    assert found.next_open(at + timedelta(days=500)) == datetime(2028, 3, 13, 9, tzinfo=UTC)
