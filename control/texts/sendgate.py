"""The gate of outbound texts: whether and when one may be sent.  Pure.

It decides when a text is written, and again just before the request to the carrier.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from control.base import hours as opening_hours
from control.texts import quiethours
from control.texts.quiethours import HonoredHours


@dataclass(frozen=True, slots=True)
class SendFacts:
    """The facts that the gate decides by."""

    closed: bool
    opted_out: bool
    #: The organization has the number, the number can text, and its texts are on.
    can_send: bool
    #: The text leaves only while all of these are open; none for a text that honors no hours.
    honored: tuple[HonoredHours, ...]
    #: A mandatory reply (to STOP, HELP): sent to opted-out contacts too, at any hour.
    is_system: bool
    #: The requested time; None: at once.
    wanted_at: datetime | None
    expires_at: datetime | None
    #: The contact is a phone number: alphanumeric senders and short codes can't be texted.
    is_reachable: bool = True
    #: The organization's plan allows another text.  Checked when a text is written, not when it is sent.
    is_within_plan: bool = True
    #: Until then the contact is awake: they have written just now.
    awake_until: datetime | None = None

    def hours_at(self, at: datetime) -> tuple[HonoredHours, ...]:
        """Return the hours that a text at this time must be within."""
        if self.is_system:
            return ()
        if self.awake_until is None or at >= self.awake_until:
            return self.honored
        return tuple(
            rule
            for rule in self.honored
            if rule.name != quiethours.RECIPIENT_HOURS or opening_hours.is_open(rule.hours, at)
        )

    def open_until(self, at: datetime, latest: datetime) -> datetime:
        """Return until when a text that may leave now may arrive; at most `latest`."""
        rules = self.hours_at(at)
        if not self.is_system and self.awake_until is not None and len(rules) < len(self.honored):
            latest = min(latest, self.awake_until)
        return opening_hours.open_until([rule.hours for rule in rules], at, latest)


@dataclass(frozen=True, slots=True)
class Send:
    """The decision to send now."""


@dataclass(frozen=True, slots=True)
class Wait:
    """The decision to send at `until`.  `held_by`: the hours that it waits for; None: the requested time."""

    until: datetime
    held_by: str | None


@dataclass(frozen=True, slots=True)
class Stop:
    """The decision never to send, with the message's status and the reason."""

    status: str
    reason: str


Decision = Send | Wait | Stop
PLAN_LIMIT = "plan_limit"
SEND = Send()


def decide_send(facts: SendFacts, now: datetime) -> Decision:
    """Return the decision, in the contract's order: closed, opted out, plan, expiry, quiet hours."""
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
    requested_at = facts.wanted_at if facts.wanted_at is not None and facts.wanted_at > now else now
    opening = quiethours.opening(facts.hours_at(requested_at), requested_at)
    if opening is not None and opening.at > requested_at:
        opening = quiethours.opening(facts.hours_at(opening.at), requested_at)
    if opening is None:
        return Stop("expired", "never_open")
    opens_at = opening.at
    if facts.expires_at is not None and opens_at >= facts.expires_at and opens_at > now:
        return Stop("expired", "expired")
    if opens_at > requested_at:
        return Wait(opens_at, opening.held_by)
    return SEND if requested_at <= now else Wait(requested_at, None)


def minute(at: datetime) -> datetime:
    """Round up to a full minute: scheduled texts leave at full minutes."""
    whole = at.replace(second=0, microsecond=0)
    return whole if whole == at else whole + timedelta(minutes=1)
