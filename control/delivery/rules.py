"""What the carrier's words on a text mean, and how fast it is asked.  Pure.

An attempt's standing is the greatest of all that the carrier said of it, so the order in which its words come, and how often
each does, changes nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

#: The carrier's statuses as far as they say how a text stands.  Of two different ends an error wins: a text of several
#: segments has one for each.  Who has read it has it.
RANKS: Mapping[str, int] = {
    "accepted": 0,
    "scheduled": 0,
    "queued": 1,
    "sending": 2,
    "sent": 3,
    "delivered": 4,
    "canceled": 5,
    "partially_delivered": 6,
    "undelivered": 7,
    "failed": 8,
    "read": 9,
}
DELIVERED = frozenset({"delivered", "read"})
ERRORS = frozenset({"canceled", "partially_delivered", "undelivered", "failed"})
ENDS = DELIVERED | ERRORS
#: What they are in the contract.
STATUSES: Mapping[str, str] = {
    "delivered": "delivered",
    "read": "delivered",
    "canceled": "failed",
    "partially_delivered": "undelivered",
    "undelivered": "undelivered",
    "failed": "failed",
}
#: The most that is kept of what the carrier says of one attempt: it repeats itself.
MOST_WORDS = 50
OPTED_OUT = "21610"
#: The number's queue at the carrier is full: the text waits here instead.
QUEUE_FULL = "21611"


@dataclass(frozen=True, slots=True, order=True)
class Word:
    """What the carrier said once; the greatest counts."""

    rank: int
    #: Of several errors one that nothing cures counts.
    is_final: bool
    error_code: str
    status: str


def word(status: str, error_code: str | None) -> Word | None:
    """None for a status that says nothing about how a text stands."""
    rank = RANKS.get(status)
    if rank is None:
        return None
    code = (error_code or "") if status in ERRORS else ""
    return Word(rank, bool(code) and not cure(code).again, code, status)


@dataclass(frozen=True, slots=True)
class Standing:
    """How an attempt stands at the carrier, by all that it said."""

    carrier_status: str
    error_code: str | None
    #: The message's status.
    status: str
    #: Some handset has it, or a part of it: it is not sent again.
    reached: bool


def standing(words: Iterable[Word]) -> Standing | None:
    """None if nothing was said yet."""
    spoken = list(words)
    if not spoken:
        return None
    greatest = max(spoken)
    return Standing(
        carrier_status=greatest.status,
        error_code=greatest.error_code or None,
        status=status_of(greatest.status, greatest.error_code),
        reached=any(each.status in DELIVERED or each.status == "partially_delivered" for each in spoken),
    )


def status_of(carrier_status: str, error_code: str | None) -> str:
    """The message's status: one that was refused because the contact has opted out is not just failed."""
    return "opted_out" if error_code == OPTED_OUT else STATUSES.get(carrier_status, "sent")


# --- what follows from an error


@dataclass(frozen=True, slots=True)
class Cure:
    """What is done about an error besides telling of it."""

    #: The text may be sent again so often, the first time after so long; then twice as long.
    again: int = 0
    after: timedelta = timedelta()
    #: Until the carrier's next day, or until the recipient's window opens.
    next_day: bool = False
    next_window: bool = False
    #: The number sends too fast.
    slows: bool = False
    #: The number sends nothing for a while: the next texts would fail like this one.
    stops: bool = False
    #: The contact's number can't be texted.
    flags: bool = False
    #: The organization has to do something about it at the carrier: to allow the region.
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
    # The account's or the number's fault, and not this text's.
    "20003": Cure(stops=True),
    "20404": Cure(stops=True),
    "30002": Cure(stops=True),
    "30032": Cure(stops=True),
    "30034": Cure(stops=True),
}
#: Refused at once for a fault of the account or the number: the text waits for it to be mended.
ACCOUNT_FAULTS = frozenset({"20003", "20404", "30002", "30032", "30034"})
#: T-Mobile counts its days there.
CARRIER_ZONE = ZoneInfo("America/Los_Angeles")


def cure(code: str | None) -> Cure:
    return CURES.get(code or "", NO_CURE)


def retry_at(code: str | None, failed_before: int, now: datetime, opens_at: datetime | None) -> datetime | None:
    """When a text that failed so is sent once more; None: never.  `opens_at`: the recipient's next window."""
    found = cure(code)
    if failed_before >= found.again:
        return None
    if found.next_day:
        return next_carrier_day(now)
    if found.next_window:
        return opens_at
    return now + found.after * (1 << failed_before)


def next_carrier_day(now: datetime) -> datetime:
    """When the mobile carriers' daily counts begin anew."""
    tomorrow = now.astimezone(CARRIER_ZONE).date() + timedelta(days=1)
    return datetime.combine(tomorrow, time(), CARRIER_ZONE)


# --- the pace


def setbacks(counted: int, ago_seconds: float, recover_seconds: float) -> int:
    """Of the setbacks of a number, those that still count: each is forgiven after a while."""
    return max(0, counted - int(ago_seconds / recover_seconds)) if counted else 0


def stopped_seconds(code: str | None, stopped_at: datetime | None, now: datetime, stop_seconds: float) -> float:
    """How long a number that was stopped for a fault still sends nothing."""
    if code is None or stopped_at is None:
        return 0.0
    until = next_carrier_day(stopped_at) if cure(code).next_day else stopped_at + timedelta(seconds=stop_seconds)
    return max(0.0, (until - now).total_seconds())


#: A number never becomes slower than this part of its pace, as a power of two.
MOST_SETBACKS = 6


def pace(segments_per_second: float, setbacks: int) -> float:
    """Segments per second, as the carrier lets the number send: half as many for each setback."""
    return segments_per_second / (1 << min(setbacks, MOST_SETBACKS))


def backoff_seconds(first_seconds: float, setbacks: int, longest_seconds: float) -> float:
    """How long a number waits after a carrier that is away or busy, the longer the more often in a row."""
    return min(first_seconds * (1 << min(setbacks, 30)), max(longest_seconds, first_seconds))


def at_once(per_second: float, quantum_seconds: float) -> int:
    """How many may leave together, so that a fast pace needs few transactions."""
    return max(1, int(per_second * quantum_seconds))


def campaign_step(per_minute: int, texts: int) -> float:
    """Seconds between two steps of so many texts, so that in any minute no more leave than allowed."""
    return 60 / max(1, per_minute // texts)
