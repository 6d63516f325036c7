"""Windows of days in a time zone, and percentiles from histogram bands."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from hum.errors import FieldError, InvalidRequest

MOST_DAYS, DEFAULT_DAYS = 366, 30
#: Days that anybody can mean; beyond them calendars end.
EARLIEST, LATEST = date(1970, 1, 1), date(2999, 12, 31)


def today(now: datetime, time_zone: str) -> date:
    """The day in that zone."""
    return now.astimezone(ZoneInfo(time_zone)).date()


def window(today: date, days: int | None = None, first: date | None = None, last: date | None = None) -> list[date]:
    """The days that are asked for, oldest first: `days` up to the last one, or from the first one on; or first to last.

    Without `first` and `last` they end today.  Raises InvalidRequest.
    """
    for name, day in (("first_day", first), ("last_day", last)):
        if day is not None and not EARLIEST <= day <= LATEST:
            raise InvalidRequest([FieldError(name, f"is not a day from {EARLIEST} to {LATEST}")])
    if first is not None and last is not None and days is not None:
        raise InvalidRequest([FieldError("days", "must be unset when from and to are set")])
    if first is None:
        last = last or today
        first = last - timedelta(days=(days or DEFAULT_DAYS) - 1)
    elif last is None:
        last = first + timedelta(days=days - 1) if days else today
    if first > last:
        raise InvalidRequest([FieldError("first_day", f"is after the last day, {last}")])
    if (count := (last - first).days + 1) > MOST_DAYS:
        raise InvalidRequest(
            [FieldError("first_day", f"begins {count} days; at most {MOST_DAYS} are answered at once")]
        )
    return [first + timedelta(days=ahead) for ahead in range(count)]


def midnight(day: date, time_zone: str) -> datetime:
    """When a day begins in that zone: its first instant, also where midnight is skipped or comes twice."""
    zone = ZoneInfo(time_zone)
    first = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
    # Where clocks jump over midnight, the wall time that does not exist lands on the day before.
    while first.astimezone(zone).date() < day:
        first += timedelta(minutes=15)
    return first


def percentile(bands: Iterable[tuple[int, int]], share: float, ratio: float) -> int | None:
    """The wait in ms that this share of turns did not exceed; `bands` are (band, turns), shortest first,
    and each is `ratio` times as wide as the one before.

    The answer is the middle of a band: with a ratio of 1.1, 5 % off at most.
    """
    counted = list(bands)
    least = share * sum(turns for _, turns in counted)
    seen = 0
    for band, turns in counted:
        seen += turns
        if seen >= least:
            return round(float(ratio ** (band + 0.5)))
    return None
