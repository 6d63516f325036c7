"""Business hours: local wall time in a named zone, over daylight saving, without I/O.

A span may cross midnight. A wall time that a clock change skips opens at the change's end; one that happens twice is in
its span both times, because only wall times are compared.
"""

import json
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MIDNIGHT = "24:00"


@dataclass(frozen=True, slots=True)
class Hours:
    zone: ZoneInfo
    # For each weekday, Monday first: (opens, closes); closes at or before opens means the next day, None midnight.
    week: tuple[tuple[tuple[time, time | None], ...], ...]
    holidays: frozenset[date]


def parse(text: str, default_zone: str) -> Hours:
    """Read `business_hours_json`, which `hum.validation` has checked."""
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
