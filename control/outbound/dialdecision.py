"""The rules of outbound calls: when a call is placed, and what follows from each attempt.  Pure: facts in, decisions out."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta

from control.base import hours, phone
from control.base.hours import Hours, first_open

MAX_ATTEMPTS, RETRY_AFTER_SECONDS, RING_SECONDS = 1, 300, 30
#: The limit of a call's scheduled time.
FURTHEST = timedelta(days=366)
#: The hours for calls of an organization without business hours.
DECENT_HOURS = (time(8), time(21))
#: A number that may be in more time zones than this counts as one of unknown time zone.
MOST_ZONES = 4

#: The carrier's final statuses -> the result of an attempt.
ENDINGS: Mapping[str, str] = {
    "completed": "completed",
    "busy": "busy",
    "no-answer": "no_answer",
    "failed": "failed",
    "canceled": "canceled",
}
#: Results after which an attempt may be repeated.
RETRIED = frozenset({"busy", "no_answer"})
#: The end reason of an unanswered call, by the result of its last attempt.
REASONS: Mapping[str, str] = {"completed": "caller", "failed": "carrier", "canceled": "hang_up"}


@dataclass(frozen=True, slots=True)
class OutboundLimits:
    """The limits of one organization, and how long a due call may wait."""

    live_calls: int
    a_day: int
    #: Orders, and attempts, for one number.
    a_day_to_one: int
    patience: timedelta
    #: How long an organization at one of its limits is skipped.
    pause_seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class DialFacts:
    """The facts about a due call."""

    blocked: bool
    has_flow: bool
    number_active: bool
    #: The hours that it honors; empty: none.
    hours: tuple[Hours, ...]
    wanted_at: datetime
    live_calls: int
    placed_in_a_day: int
    #: The organization's plan allows another minute.
    is_within_plan: bool = True
    #: When the number may be called again that was called too often; None: now.
    callee_free_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PlaceCall:
    """The decision to place the call now."""


@dataclass(frozen=True, slots=True)
class DeferCall:
    """The decision to wait until then.  `wanted`: its lateness counts from then, too."""

    until: datetime
    waits_for: str
    wanted: bool = True


@dataclass(frozen=True, slots=True)
class Pass:
    """The decision to skip the organization, which is at a limit."""

    seconds: float


@dataclass(frozen=True, slots=True)
class End:
    """The decision never to place the call."""

    status: str
    reason: str


Decision = PlaceCall | DeferCall | Pass | End


def decide(facts: DialFacts, now: datetime, limits: OutboundLimits) -> Decision:
    """Decide what to do with a due call."""
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
        return DeferCall(opens, "quiet_hours")
    if not facts.is_within_plan:
        return End("failed", "plan_limit")
    if facts.callee_free_at is not None and facts.callee_free_at > now:
        return DeferCall(min(facts.callee_free_at, facts.wanted_at + limits.patience), "turn", wanted=False)
    if facts.live_calls >= limits.live_calls or facts.placed_in_a_day >= limits.a_day:
        return Pass(limits.pause_seconds)
    return PlaceCall()


@dataclass(frozen=True, slots=True)
class Retry:
    """The decision to call the number again then."""

    at: datetime


def after_attempt(result: str, made: int, max_attempts: int, wait_seconds: int, now: datetime) -> Retry | End:
    """Decide what follows from the `made`th attempt, which ended without a conversation."""
    if result in RETRIED and made < max_attempts:
        return Retry(now + timedelta(seconds=wait_seconds))
    return End(result, REASONS.get(result, result))


# --- hours --------------------------------------------------------------------------------------------------------


def quiet_hours(business_hours_json: str | None, organization_zone: str, to_e164: str) -> tuple[Hours, ...]:
    """Return the hours in which a number may be called; all of them must be open.

    They are the organization's hours, or 08:00 to 21:00, in each time zone that the number may be in, else in the organization's.
    """
    if business_hours_json:
        own = hours.parse(business_hours_json, organization_zone)
    else:
        own = hours.parse("{}", organization_zone)
        own = replace(own, week=((DECENT_HOURS,),) * len(hours.WEEKDAYS))
    zones = phone.time_zones(to_e164)
    return tuple(replace(own, zone=zone) for zone in zones) if 0 < len(zones) <= MOST_ZONES else (own,)
