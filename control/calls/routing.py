"""The routing of inbound calls: by blocklist, number, plan and hours.  Pure: facts in, decisions out."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from control.base import hours
from control.base.say import spoken
from control.calls import capacity, concurrentcalls
from control.calls.prompts import CallerPrompt, localized
from control.livecall.nextsteps import TakeMessage


@dataclass(frozen=True, slots=True)
class Connect:
    """The decision to connect the caller to the agent."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """The decision to speak a prompt, in its language if known, and hang up, with the call's status and reason."""

    text: str
    language: str | None
    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class Reject:
    """The decision not to answer, with the call's status and `end_reason`."""

    status: str
    reason: str


Decision = Connect | TakeMessage | Refuse | Reject


@dataclass(frozen=True, slots=True)
class RoutingFacts:
    """The facts by which an inbound call to one of our numbers is routed."""

    blocked: bool
    number_active: bool
    #: The definition of the number's voice flow, if it has one.
    definition: Mapping[str, Any] | None
    business_hours_json: str | None
    time_zone: str
    #: The organization's plan allows another minute.
    is_within_plan: bool = True


def route(facts: RoutingFacts, now: datetime) -> Decision:
    """Decide what to do with an inbound call, before its admission to a media process."""
    if facts.blocked:
        return Reject("blocked", "blocked")
    flow = facts.definition
    language = flow.get("language") if flow else None
    if flow is None or not facts.number_active:
        return Refuse(*localized(CallerPrompt.UNAVAILABLE, language), "failed", "no_flow")
    if not facts.is_within_plan:
        return Refuse(*localized(CallerPrompt.UNAVAILABLE, language), "failed", "plan_limit")
    return Connect() if is_open(facts.business_hours_json, facts.time_zone, now) else after_hours(flow)


def is_open(business_hours_json: str | None, time_zone: str, now: datetime) -> bool:
    """Tell whether calls are answered now; without hours they always are."""
    return not business_hours_json or hours.is_open(hours.parse(business_hours_json, time_zone), now)


def after_hours(flow: Mapping[str, Any]) -> Decision:
    """Decide what to do with a call outside the business hours of its flow."""
    if flow.get("voicemail_enabled"):
        return TakeMessage("after_hours")
    language = flow.get("language")
    if message := flow.get("after_hours_message"):
        return Refuse(message, spoken(language) if language else None, "completed", "after_hours")
    return Refuse(*localized(CallerPrompt.CLOSED, language), "completed", "after_hours")


def route_tag(route_tags_json: str, tags: Sequence[str]) -> str | None:
    """Return the flow of the map's first entry that is one of the contact's tags, or None."""
    contact_tags = {tag.casefold() for tag in tags}
    routes = json.loads(route_tags_json)
    return next((str(flow) for tag, flow in routes.items() if tag.casefold() in contact_tags), None)


#: Reason of a refused admission -> the call's status.
NO_PLACE: Mapping[str, str] = {
    capacity.NO_CAPACITY: "failed",
    concurrentcalls.OF_CALLER: "busy",
    concurrentcalls.OF_ORGANIZATION: "busy",
}


def no_place(reason: str | None, language: str | None) -> Refuse | None:
    """Return the refusal of a call without a place; None for a reason that is not about places."""
    if reason is None or reason not in NO_PLACE:
        return None
    return Refuse(*localized(CallerPrompt.BUSY, language), NO_PLACE[reason], reason)


def no_capacity(language: str | None) -> Refuse:
    """Return the refusal of a call that no media process takes."""
    return Refuse(*localized(CallerPrompt.BUSY, language), "failed", capacity.NO_CAPACITY)
