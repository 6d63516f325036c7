"""Whether and when an outbound text may be sent.  Pure: asked when it is written, and again just before the carrier is."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from control.base.hours import Hours, first_open, is_open


@dataclass(frozen=True, slots=True)
class Kept:
    """Hours that a text keeps, and whose they are: `organization_hours` or `recipient_hours`."""

    whose: str
    hours: Hours


@dataclass(frozen=True, slots=True)
class Facts:
    closed: bool
    opted_out: bool
    #: The number is the organization's, at the carrier, able to text, and texts are on.
    can_send: bool
    #: Of all of them, the text leaves only when each is open; none for a text that honors no hours.
    kept: tuple[Kept, ...]
    #: A reply that the rules of texting themselves ask for: it goes to opted-out contacts, at any hour.
    is_system: bool
    #: As somebody wished it; None: at once.
    wanted_at: datetime | None
    expires_at: datetime | None
    #: The contact is a phone number: texts of names and short codes can't be answered.
    is_reachable: bool = True
    #: The organization's plan allows another text.  Asked where one is written: what is written, the plan has allowed.
    is_within_plan: bool = True


@dataclass(frozen=True, slots=True)
class Send:
    """Ask the carrier now."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Ask it then; `held_by`: whose hours it waits for, None: it is the time that was wished for."""

    until: datetime
    held_by: str | None


@dataclass(frozen=True, slots=True)
class Stop:
    """Never ask it; the message's status, and the reason."""

    status: str
    reason: str


Decision = Send | Wait | Stop
PLAN_LIMIT = "plan_limit"
SEND = Send()


def decide(facts: Facts, now: datetime) -> Decision:
    """In the contract's order: closed, opted out, its plan, its time, quiet hours."""
    if facts.closed and not facts.is_system:
        return Stop("canceled", "closed")
    if not facts.is_reachable:
        return Stop("failed", "no_number")
    if not facts.can_send:
        return Stop("failed", "number_off")
    if facts.opted_out and not facts.is_system:
        return Stop("opted_out", "opted_out")
    if not facts.is_within_plan and not facts.is_system:
        return Stop("failed", PLAN_LIMIT)
    if facts.expires_at is not None and now >= facts.expires_at:
        return Stop("expired", "expired")
    wanted = facts.wanted_at if facts.wanted_at is not None and facts.wanted_at > now else now
    opens = first_open([each.hours for each in facts.kept], wanted) if not facts.is_system else wanted
    if opens is None:
        return Stop("expired", "never_open")
    if facts.expires_at is not None and opens >= facts.expires_at and opens > now:
        return Stop("expired", "expired")
    if opens > wanted:
        return Wait(opens, next(each.whose for each in facts.kept if not is_open(each.hours, wanted)))
    return SEND if wanted <= now else Wait(wanted, None)


def minute(at: datetime) -> datetime:
    """The first full minute from then on: texts that were scheduled leave at full minutes."""
    whole = at.replace(second=0, microsecond=0)
    return whole if whole == at else whole + timedelta(minutes=1)
