"""When a failed attempt of a text is sent again, by the carrier's error code.  Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Cure:
    """The consequences of an error, besides its event."""

    #: Retries, and the delay of the first; it doubles with each.
    again: int = 0
    after: timedelta = timedelta()
    #: Retry on the carrier's next day, or when the recipient's window opens.
    next_day: bool = False
    next_window: bool = False
    #: Slow the number down: it sends too fast.
    slows: bool = False
    #: Pause the number: its next texts would fail like this one.
    stops: bool = False
    #: Flag the contact: its number can't receive texts.
    flags: bool = False
    #: Alert the organization: it must allow the region at the carrier.
    alerts: bool = False


NO_CURE = Cure()
CURES: Mapping[str, Cure] = {
    "30001": Cure(again=3, after=timedelta(minutes=1), slows=True),
    "30003": Cure(again=1, after=timedelta(minutes=15)),
    "30017": Cure(again=3, after=timedelta(minutes=2)),
    "30410": Cure(again=3, after=timedelta(minutes=2)),
    "30022": Cure(again=5, after=timedelta(minutes=1), slows=True),
    "30023": Cure(again=1, next_day=True, stops=True),
    "30027": Cure(again=1, next_day=True, stops=True),
    "30610": Cure(again=2, next_window=True),
    "14107": Cure(again=3, after=timedelta(minutes=1), slows=True),
    "63018": Cure(again=3, after=timedelta(minutes=1), slows=True),
    "21211": Cure(flags=True),
    "21614": Cure(flags=True),
    "30640": Cure(flags=True),
    "21408": Cure(alerts=True),
    # Faults of the account or the number, not of the text.
    "20003": Cure(stops=True),
    "20404": Cure(stops=True),
    "30002": Cure(stops=True),
    "30032": Cure(stops=True),
    "30034": Cure(stops=True),
}
#: Immediate refusals for a fault of the account or the number: the text waits until that is repaired.
ACCOUNT_FAULTS = frozenset({"20003", "20404", "30002", "30032", "30034"})
#: The time zone of T-Mobile's daily limits.
CARRIER_ZONE = ZoneInfo("America/Los_Angeles")


def cure(code: str | None) -> Cure:
    return CURES.get(code or "", NO_CURE)


def retry_at(code: str | None, failed_before: int, now: datetime, opens_at: datetime | None) -> datetime | None:
    """Return when to retry a failed text; None for never.  `opens_at`: the recipient's next window."""
    remedy = cure(code)
    if failed_before >= remedy.again:
        return None
    if remedy.next_day:
        return next_carrier_day(now)
    if remedy.next_window:
        return opens_at
    return now + remedy.after * (1 << failed_before)


def next_carrier_day(now: datetime) -> datetime:
    """Return when the mobile carriers' daily limits next reset."""
    tomorrow = now.astimezone(CARRIER_ZONE).date() + timedelta(days=1)
    return datetime.combine(tomorrow, time(), CARRIER_ZONE)
