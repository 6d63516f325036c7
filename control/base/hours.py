"""Business hours in the local wall time of a named zone, with daylight saving.  Pure.

A span may cross midnight.  A span that begins in a skipped hour opens at the end of the clock change.  A wall time that
occurs twice is inside its span both times, because only wall times are compared.
"""

import json
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache, partial
from operator import itemgetter
from zoneinfo import ZoneInfo

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MIDNIGHT = "24:00"
#: Longest time without an opening before hours count as never open.
MAX_CLOSED_DAYS = 366
#: Attempts to find a common opening of several schedules before they count as never open together.
MAX_ATTEMPTS = 50
#: How far ahead the open times of hours are found at once.
FOUND_AT_ONCE = timedelta(days=31)
_CACHED_HOURS = 256


@dataclass(frozen=True, slots=True)
class Hours:
    """Business hours of a week, and holidays."""

    zone: ZoneInfo
    #: For each weekday, Monday first: (opens, closes); closes at or before opens means the next day, None midnight.
    week: tuple[tuple[tuple[time, time | None], ...], ...]
    holidays: frozenset[date]


@lru_cache(maxsize=_CACHED_HOURS)
def parse(text: str, default_zone: str) -> Hours:
    """Parse `business_hours_json`, which `hum.contract.validation` has checked."""
    stored = json.loads(text)
    weekly = stored.get("weekly", {})
    return Hours(
        zone=ZoneInfo(stored.get("time_zone", default_zone)),
        week=tuple(tuple(_span(span) for span in weekly.get(day, ())) for day in WEEKDAYS),
        holidays=frozenset(date.fromisoformat(day) for day in stored.get("holidays", ())),
    )


def _span(span: list[str]) -> tuple[time, time | None]:
    opens, closes = span
    return time.fromisoformat(opens), None if closes == MIDNIGHT else time.fromisoformat(closes)


def is_open(hours: Hours, now: datetime) -> bool:
    """Tell whether `now` (aware) is inside a span; the closing minute is outside."""
    local = now.astimezone(hours.zone)
    today, clock = local.date(), local.time()
    yesterday = today - timedelta(days=1)
    return any(
        opens <= clock and (closes is None or clock < closes or closes <= opens)
        for opens, closes in _spans(hours, today)
    ) or any(closes is not None and closes <= opens and clock < closes for opens, closes in _spans(hours, yesterday))


def _spans(hours: Hours, day: date) -> tuple[tuple[time, time | None], ...]:
    return () if day in hours.holidays else hours.week[day.weekday()]


def next_open(hours: Hours, now: datetime) -> datetime | None:
    """Return the first open instant at or after `now` (aware); None if there is none within a year."""
    if is_open(hours, now):
        return now
    for ahead in range(MAX_CLOSED_DAYS):
        since = now + timedelta(days=ahead)
        if (span := next(spans(hours, since, since + timedelta(days=1)), None)) is not None:
            return span[0]
    return None


class OpenTimes:
    """The open times of hours from an instant on, found as far as they are asked for."""

    def __init__(self, hours: Hours, since: datetime) -> None:
        self._hours, self._found_until = hours, since
        self._spans = list[tuple[datetime, datetime]]()

    def next_open(self, at: datetime) -> datetime | None:
        """Return the first open instant at or after `at`; None if there is none within a year."""
        while not self._spans or self._spans[-1][1] <= at:
            if self._found_until > at + timedelta(days=MAX_CLOSED_DAYS):
                return None
            until = self._found_until + FOUND_AT_ONCE
            self._spans += spans(self._hours, self._found_until, until)
            self._found_until = until
        return max(at, self._spans[bisect_right(self._spans, at, key=itemgetter(1))][0])


def first_open(schedules: Sequence[Hours], now: datetime) -> datetime | None:
    """Return the first instant at or after `now` at which all of these are open; None if there is none."""
    return first_common([partial(next_open, hours) for hours in schedules], now)


def first_common(schedules: Sequence[Callable[[datetime], datetime | None]], now: datetime) -> datetime | None:
    """Return the first instant at or after `now` that each of these has as its next opening; None if there is none."""
    at = now
    for _ in range(MAX_ATTEMPTS):
        openings = [opening(at) for opening in schedules]
        if any(opens is None for opens in openings):
            return None
        latest = max((opens for opens in openings if opens is not None), default=at)
        if latest == at:
            return at
        at = latest
    return None


def open_until(schedules: Sequence[Hours], now: datetime, latest: datetime) -> datetime:
    """Return the first instant at which one of these, which are all open now, closes; at most `latest`."""
    ends = [next(spans(hours, now, latest), (now, now))[1] for hours in schedules]
    return min(ends, default=latest)


def spans(hours: Hours, since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Yield the open times between two instants, each as (opens, closes) without a break."""
    open_until: datetime | None = None
    opened = since
    for begins, ends, offset in _between_changes(hours.zone, since, until):
        for wall_opens, wall_closes in _wall_spans(hours, begins + offset, ends + offset):
            opens, closes = max(wall_opens - offset, begins), min(wall_closes - offset, ends)
            if opens >= closes:
                continue
            if open_until is not None and opens > open_until:
                yield opened, open_until
                open_until = None
            if open_until is None:
                opened, open_until = opens, closes
            open_until = max(open_until, closes)
    if open_until is not None:
        yield opened, open_until


def _between_changes(
    zone: ZoneInfo, since: datetime, until: datetime
) -> Iterator[tuple[datetime, datetime, timedelta]]:
    """Yield the times between two instants in which clocks are not changed, each as (begins, ends, offset)."""
    begins = at = since.astimezone(UTC)
    offset = _offset(zone, begins)
    while at < until:
        tomorrow = min(at + timedelta(days=1), until)
        if _offset(zone, tomorrow) == offset:
            at = tomorrow
            continue
        change = _change(zone, at, tomorrow)
        yield begins, change, offset
        begins = at = change
        offset = _offset(zone, begins)
    if begins < until:
        yield begins, until, offset


def _offset(zone: ZoneInfo, at: datetime) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta()


def _wall_spans(hours: Hours, since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Yield the spans of the days that wall times belong to, by when they begin; `UTC` stands for the zone."""
    day, last = since.date() - timedelta(days=1), until.date()
    while day <= last:
        tomorrow = day + timedelta(days=1)
        for opens, closes in sorted(_spans(hours, day), key=itemgetter(0)):
            end = tomorrow if closes is None or closes <= opens else day
            yield datetime.combine(day, opens, UTC), datetime.combine(end, closes or time(), UTC)
        day = tomorrow


def days(hours: Hours, now: datetime, count: int) -> tuple[datetime, datetime]:
    """Return when `count` days begin and end in the zone's calendar; the first is the day of `now`."""
    today = now.astimezone(hours.zone).date()
    return _instant(today, time(), hours.zone), _instant(today + timedelta(days=count), time(), hours.zone)


def _change(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """Return the clock change between two instants, to the second; `after` if there is none."""
    offset = before.astimezone(zone).utcoffset()
    if after.astimezone(zone).utcoffset() == offset:
        return after
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) // 2
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)


def _instant(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """Return the first instant of a wall time; for one that a clock change skips, the end of the change."""
    first, second = (datetime.combine(day, clock, zone).replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    if second >= first:
        return first
    return _change(zone, second, first)
