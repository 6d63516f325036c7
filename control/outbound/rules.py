"""When a call is placed, by whose number, and what follows from each attempt.  Pure: facts in, decisions out."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta

from control.base import hours, phone
from control.base.hours import Hours, first_open

MAX_ATTEMPTS, RETRY_AFTER_SECONDS, RING_SECONDS = 1, 300, 30
#: A call is ordered at most so far ahead.
FURTHEST = timedelta(days=366)
#: Calls to people when an organization has no business hours of its own.
DECENT_HOURS = (time(8), time(21))
#: A number that may be in more time zones than this is in none that we know.
MOST_ZONES = 4

#: The carrier's status -> how an attempt ended.
ENDINGS: Mapping[str, str] = {
    "completed": "completed",
    "busy": "busy",
    "no-answer": "no_answer",
    "failed": "failed",
    "canceled": "canceled",
}
#: How an attempt ended that may be made again.
RETRIED = frozenset({"busy", "no_answer"})
#: Why a call ended that nobody spoke in, by how its last attempt did.
REASONS: Mapping[str, str] = {"completed": "caller", "failed": "carrier", "canceled": "hang_up"}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one organization may do, and how long a call may wait for its turn."""

    live_calls: int
    a_day: int
    a_day_to_one: int
    patience: timedelta
    #: How long an organization at one of its limits is passed over.
    pause_seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about a call that is due."""

    blocked: bool
    has_flow: bool
    number_active: bool
    #: The hours that it keeps; empty: none.
    hours: tuple[Hours, ...]
    wanted_at: datetime
    live_calls: int
    placed_in_a_day: int
    #: The organization's plan allows another minute.
    is_within_plan: bool = True


@dataclass(frozen=True, slots=True)
class Dial:
    """Place it now."""


@dataclass(frozen=True, slots=True)
class Defer:
    """Not before then; so it is not late then either."""

    until: datetime
    waits_for: str


@dataclass(frozen=True, slots=True)
class Pass:
    """Its organization is at a limit: others first."""

    seconds: float


@dataclass(frozen=True, slots=True)
class End:
    """It is never placed."""

    status: str
    reason: str


Decision = Dial | Defer | Pass | End


def decide(facts: Facts, now: datetime, limits: Limits) -> Decision:
    """What to do with a call that is due."""
    if facts.blocked:
        return End("blocked", "blocked")
    if not facts.has_flow:
        return End("failed", "no_flow")
    if not facts.number_active:
        return End("failed", "no_number")
    if now - facts.wanted_at > limits.patience:
        return End("failed", "too_late")
    opens = first_open(facts.hours, now)
    if opens is None:
        return End("failed", "quiet_hours")
    if opens > now:
        return Defer(opens, "quiet_hours")
    if not facts.is_within_plan:
        return End("failed", "plan_limit")
    if facts.live_calls >= limits.live_calls or facts.placed_in_a_day >= limits.a_day:
        return Pass(limits.pause_seconds)
    return Dial()


@dataclass(frozen=True, slots=True)
class Again:
    """Call the number again then."""

    at: datetime


def after_attempt(result: str, made: int, max_attempts: int, wait_seconds: int, now: datetime) -> Again | End:
    """What follows from an attempt that ended without a conversation; it was the `made`th."""
    if result in RETRIED and made < max_attempts:
        return Again(now + timedelta(seconds=wait_seconds))
    return End(result, REASONS.get(result, result))


# --- hours --------------------------------------------------------------------------------------------------------


def quiet_hours(business_hours_json: str | None, organization_zone: str, to_e164: str) -> tuple[Hours, ...]:
    """When this number may be called: in the organization's hours, or from 08:00 to 21:00, by the clock of the called number
    where its time zone is known.  A number in one of several zones is called when all of them are open.
    """
    if business_hours_json:
        own = hours.parse(business_hours_json, organization_zone)
    else:
        own = hours.parse("{}", organization_zone)
        own = replace(own, week=((DECENT_HOURS,),) * len(hours.WEEKDAYS))
    zones = phone.time_zones(to_e164)
    return tuple(replace(own, zone=zone) for zone in zones) if 0 < len(zones) <= MOST_ZONES else (own,)
