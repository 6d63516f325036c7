"""Days of a time zone, and percentiles from histogram bands."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo


def days_until(now: datetime, days: int, time_zone: str) -> list[date]:
    """The latest days, oldest first, the last being today in that zone."""
    today = now.astimezone(ZoneInfo(time_zone)).date()
    return [today - timedelta(days=back) for back in range(days - 1, -1, -1)]


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
