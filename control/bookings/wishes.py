"""The days and parts of a day that a caller wishes for, and which of the free times they are told.  Pure."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_PATTERN = r"^(today|tomorrow|mon|tue|wed|thu|fri|sat|sun|\d{4}-\d{2}-\d{2})$"
#: Parts of a day, in hours of the clock on the wall.
PARTS = {"any": (0, 24), "morning": (0, 12), "afternoon": (12, 17), "evening": (17, 24)}
#: Times that a caller can keep in mind.
MOST_TOLD = 4
#: Days that are looked at without a wish.
USUAL = timedelta(days=14)
_ISO = re.compile(r"(\d{4})-(\d{2})-(\d{2})")


@dataclass(frozen=True, slots=True)
class Wish:
    """A window of starts; `is_exact`: the day is the one that was wished for, and not the nearest that can be booked."""

    since: datetime
    until: datetime
    is_exact: bool = True


def is_day(text: str | None) -> bool:
    """Tell whether a wish for a day is none, or one that is understood."""
    return text is None or re.fullmatch(DAY_PATTERN, text, re.ASCII) is not None


def window(day: str | None, zone: ZoneInfo, now: datetime, first: datetime, last: datetime) -> Wish:
    """Return the window of a day; `first` and `last` are the earliest and the latest start that can be booked."""
    if day is None:
        return Wish(now, now + USUAL)
    today = now.astimezone(zone).date()
    wished, is_exact = _day(day, today)
    nearest = min(max(wished, first.astimezone(zone).date()), last.astimezone(zone).date())
    midnight = datetime.combine(nearest, time(), zone)
    following = datetime.combine(nearest + timedelta(days=1), time(), zone)
    return Wish(midnight.astimezone(UTC), following.astimezone(UTC), is_exact and nearest == wished)


def of_part(starts: Sequence[datetime], zone: ZoneInfo, part: str) -> list[datetime]:
    """Return the starts in a part of their day."""
    since, until = PARTS[part]
    return [start for start in starts if since <= start.astimezone(zone).hour < until]


def soonest(starts: Sequence[datetime], zone: ZoneInfo) -> list[datetime]:
    """Return the starts of the first two days that have any: who wishes for no day wants to come soon."""
    days = list(dict.fromkeys(start.astimezone(zone).date() for start in starts))[:2]
    return [start for start in starts if start.astimezone(zone).date() in days]


def told(starts: Sequence[datetime], before: Collection[datetime]) -> list[datetime]:
    """Return up to four starts that were not told before, spread over all of them, in order."""
    left = [start for start in starts if start not in before]
    if len(left) <= MOST_TOLD:
        return left
    return [left[place * (len(left) - 1) // (MOST_TOLD - 1)] for place in range(MOST_TOLD)]


def _day(text: str, today: date) -> tuple[date, bool]:
    """Return a day, and whether there is such a day: the 30th of February is the last of the month."""
    if text == "today":
        return today, True
    if text == "tomorrow":
        return today + timedelta(days=1), True
    if text in WEEKDAYS:
        return today + timedelta(days=(WEEKDAYS.index(text) - today.weekday()) % 7), True
    match = _ISO.fullmatch(text)
    assert match is not None, "the schema has the pattern"
    year, month, day = (int(part) for part in match.groups())
    try:
        return date(year, month, day), True
    except ValueError:
        return _last_day(max(year, 1), min(max(month, 1), 12)), False


def _last_day(year: int, month: int) -> date:
    following = date(year + month // 12, month % 12 + 1, 1) if (year, month) != (date.max.year, 12) else date.max
    return following - timedelta(days=1)
