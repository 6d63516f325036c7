"""Days: windows of them in a time zone, and those by UTC, in which quotas are counted.  Pure."""

from datetime import UTC, date, datetime, timedelta
from math import ceil
from zoneinfo import ZoneInfo

from hum.contract.errors import FieldError, InvalidRequest

MAX_DAYS, DEFAULT_DAYS = 366, 30
#: The range of valid days.
EARLIEST, LATEST = date(1970, 1, 1), date(2999, 12, 31)


def today(now: datetime, time_zone: str) -> date:
    """Return the current day in a time zone."""
    return now.astimezone(ZoneInfo(time_zone)).date()


def window(today: date, days: int | None = None, first: date | None = None, last: date | None = None) -> list[date]:
    """Return the requested days, oldest first: `days` up to `last` or from `first` on, or all from `first` to `last`.

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
    if (count := (last - first).days + 1) > MAX_DAYS:
        raise InvalidRequest([FieldError("first_day", f"begins {count} days; at most {MAX_DAYS} are answered at once")])
    return [first + timedelta(days=ahead) for ahead in range(count)]


def midnight(day: date, time_zone: str) -> datetime:
    """Return the first instant of a day in a time zone, also if a clock change skips or repeats midnight."""
    zone = ZoneInfo(time_zone)
    first = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
    # If a clock change skips midnight, that wall time is an instant of the day before.
    while first.astimezone(zone).date() < day:
        first += timedelta(minutes=15)
    return first


def seconds_left(at: datetime) -> int:
    """Return the seconds until the next midnight in UTC, from a time in UTC."""
    midnight = (at + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return ceil((midnight - at).total_seconds())
