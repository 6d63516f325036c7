"""Rules of calls: routing, next steps, endings, limits.  Pure: facts in, decisions out."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from control.base import hours, prompting
from control.base.say import spoken
from control.calls import capacity, concurrentcalls
from control.calls.prompts import Prompt, localized
from control.livecall.nextsteps import Message, NextStep
from control.livecall.rules import CARRIER_ENDINGS, LIVE, TURNS_OF_A_STREAM
from hum.v1 import runtime_pb2

#: How many streams a call may open within STREAMS_WITHIN before it is ended; streams that are lost minutes apart don't
#: end it.
MAX_STREAMS, STREAMS_WITHIN = 3, timedelta(minutes=1)
#: How many offered streams may fail to open: where processes share a port, the kernel may choose a process that takes
#: no more calls although another one does.
MAX_OFFERS = 12
#: How many tool runs a call may have, and how many failures of one tool: the model may correct itself once.
MAX_TOOL_RUNS, MAX_TOOL_FAILURES = 200, 2
#: How many keypad entries are stored of a call, and how many keys of each.
MAX_KEYPAD_ENTRIES, MAX_KEYS = 500, 64
#: How many refused onsets are stored of a call, as many as a media process reports of a stream
#: (`media/core/refusals.py`).
MAX_REFUSED_ONSETS = 50
KEYS = frozenset("0123456789*#ABCD")
#: How often a call may be handed to another flow's agent, so that agents can't hand it back and forth for ever.
MAX_FLOW_SWITCHES = 5
#: How long a quarantined report is retained for investigation.
KEEP_SET_ASIDE = timedelta(days=30)
#: How long the row of a media process that is gone is retained: longer than any call.
KEEP_LINKS = timedelta(days=7)
#: How much of the conversation the agent of a call's next stream gets: turns, characters of each, characters in all.
RECENT_TURNS, RECENT_TURN_CHARS, RECENT_CHARS = 100, 2_000, 20_000

#: Reason of a stream's end -> the call's status.  `carrier_lost` is missing, since then the carrier decides what
#: happens.
ENDINGS: Mapping[str, str] = {
    "caller": "completed",
    "connection_lost": "completed",
    "agent": "completed",
    "hang_up": "completed",
    "max_duration": "completed",
    "idle": "completed",
    "machine": "completed",
    "fax": "completed",
    "drained": "completed",
    "message_taken": "completed",
    "no_message": "completed",
    "message_failed": "failed",
    "model_refused": "failed",
    "model_lost": "failed",
    "carrier_protocol": "failed",
}
STREAM_LOST = "carrier_lost"


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


Decision = Connect | Message | Refuse | Reject


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts by which an inbound call to one of our numbers is routed."""

    blocked: bool
    number_active: bool
    #: The definition of the number's voice flow, if it has one.
    definition: Mapping[str, Any] | None
    business_hours_json: str | None
    time_zone: str
    #: The organization's plan allows another minute.
    is_within_plan: bool = True


def route(facts: Facts, now: datetime) -> Decision:
    """Decide what to do with an inbound call, before its admission to a media process."""
    if facts.blocked:
        return Reject("blocked", "blocked")
    flow = facts.definition
    language = flow.get("language") if flow else None
    if flow is None or not facts.number_active:
        return Refuse(*localized(Prompt.UNAVAILABLE, language), "failed", "no_flow")
    if not facts.is_within_plan:
        return Refuse(*localized(Prompt.UNAVAILABLE, language), "failed", "plan_limit")
    return Connect() if is_open(facts.business_hours_json, facts.time_zone, now) else after_hours(flow)


def is_open(business_hours_json: str | None, time_zone: str, now: datetime) -> bool:
    """Tell whether calls are answered now; without hours they always are."""
    return not business_hours_json or hours.is_open(hours.parse(business_hours_json, time_zone), now)


def after_hours(flow: Mapping[str, Any]) -> Decision:
    """Decide what to do with a call outside the business hours of its flow."""
    if flow.get("voicemail_enabled"):
        return Message("after_hours")
    language = flow.get("language")
    if message := flow.get("after_hours_message"):
        return Refuse(message, spoken(language) if language else None, "completed", "after_hours")
    return Refuse(*localized(Prompt.CLOSED, language), "completed", "after_hours")


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
    return Refuse(*localized(Prompt.BUSY, language), NO_PLACE[reason], reason)


def no_capacity(language: str | None) -> Refuse:
    """Return the refusal of a call that no media process takes."""
    return Refuse(*localized(Prompt.BUSY, language), "failed", capacity.NO_CAPACITY)


@dataclass(frozen=True, slots=True)
class Streams:
    """The numbers of a call's streams that were offered and opened, without those that were left on purpose.

    `lately`: how many were opened within STREAMS_WITHIN.
    """

    offered: int
    opened: int
    lately: int


def after_stream(
    status: str, streams: Streams, language: str | None, due: NextStep | None = None, *, full: bool = False
) -> Connect | Refuse | NextStep | None:
    """Decide what to do with a call after its stream has closed or was refused; None for a call that is over.

    `due`: the step for which its last stream was left.  `full`: no media process takes another call.
    """
    if status not in LIVE:
        return None
    if due is not None and not isinstance(due, Message):
        return due
    if not full and streams.lately < MAX_STREAMS and streams.offered - streams.opened < MAX_OFFERS:
        return due or Connect()
    if not streams.opened:
        return no_capacity(language)
    return Refuse(*localized(Prompt.APOLOGY, language), "failed", "stream_lost")


def orphan_ending(
    *, joined: bool, was_answered: bool, carrier_status: str | None, is_long_lost: bool, dialled: str | None = None
) -> tuple[str, str] | None:
    """Return the final status and reason of an orphaned call, or None if it may still be live.

    `was_answered`: the carrier returned the call's status, or (None) that it has no such call.  `is_long_lost`: enough
    time has passed for a media process to report the call's end, even after an outage of control.  `dialled`: for a
    call in a dial, which only the carrier has, perhaps for hours: the reason if it has ended.
    """
    if dialled is not None:
        is_live = carrier_status is not None and carrier_status not in CARRIER_ENDINGS
        return ("completed", dialled) if was_answered and not is_live else None
    if not is_long_lost and (joined or not was_answered):
        return None
    if was_answered and carrier_status is not None:
        ended = CARRIER_ENDINGS.get(carrier_status)
        if ended is None:
            return None
        return ("completed", "stream_lost") if joined else (ended, "caller")
    return ("failed", "stream_lost") if joined else ("failed", "no_stream")


def not_connected(refusal: str | None) -> tuple[str, str]:
    """Return the status and reason of a browser's call that never had a stream.

    `refusal`: the kind of the media process's reply; None if none came in time.
    """
    match refusal:
        case None:
            return ("failed", "no_answer")
        case "bad_offer":
            return ("failed", "bad_offer")
        case "refused":
            return ("failed", "no_capacity")
        case _:
            return ("failed", "not_connected")


def hung_up(*, joined: bool, was_going_on: bool, placed: bool = False) -> tuple[str, str]:
    """Return the status and reason of a call that a person ends at the carrier.

    `was_going_on`: the carrier still had the call.  `placed`: the call is outbound.
    """
    status = "completed" if joined else "canceled"
    if was_going_on or (placed and not joined):
        return status, "hang_up"
    return status, "stream_lost" if joined else "caller"


def placed_in_call(report: runtime_pb2.Report, stream_number: int, offset_ms: int) -> runtime_pb2.Report:
    """Return a stream's report with its turn numbers and milliseconds moved from the stream's count to the call's.

    So turns of different streams never share a number, however late they arrive, and stay in the order of speech.
    """
    turns = (stream_number - 1) * TURNS_OF_A_STREAM
    if turns == offset_ms == 0:
        return report
    placed = runtime_pb2.Report()
    placed.CopyFrom(report)
    match placed.WhichOneof("report"):
        case "turn":
            placed.turn.seq += turns
            placed.turn.start_ms += offset_ms
            placed.turn.end_ms += offset_ms
        case "interruption":
            placed.interruption.at_ms += offset_ms
            if placed.interruption.HasField("decided_ms"):
                placed.interruption.decided_ms += offset_ms
            if placed.interruption.HasField("turn_seq"):
                placed.interruption.turn_seq += turns
        case "refused_onset":
            placed.refused_onset.at_ms += offset_ms
            placed.refused_onset.until_ms += offset_ms
        case "latency":
            placed.latency.turn_seq += turns
        case "recording_pause":
            placed.recording_pause.start_ms += offset_ms
            if placed.recording_pause.HasField("end_ms"):
                placed.recording_pause.end_ms += offset_ms
        case "intervention" | "digits" | "flow_took_over" | "announcement_played" as kind:
            getattr(placed, kind).at_ms += offset_ms
    return placed


def keys(pressed: str) -> str:
    """Return the keys among these characters, in their order, at most `MAX_KEYS`."""
    return "".join(key for key in pressed if key in KEYS)[:MAX_KEYS]


def recent_turns(turns_heard: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the latest turns (role, text), oldest first, for the agent of a call's next stream."""
    recent: list[tuple[str, str]] = []
    remaining_chars = RECENT_CHARS
    for role, text in reversed(turns_heard):
        # The end of a turn is the latest state of the conversation.
        text = text[-RECENT_TURN_CHARS:]
        remaining_chars -= len(text)
        if remaining_chars < 0:
            break
        recent.append((role, text))
    return recent[::-1]


def instructions(
    definition: Mapping[str, Any],
    organization: str,
    time_zone: str,
    caller_context: str,
    now: datetime,
    *,
    is_open: bool = True,
    task: str = "",
) -> str:
    """Return the model's instructions: the flow's prompt, language, time, outbound task and caller context."""
    parts = [definition.get("system_prompt") or f"You answer the phone of {organization}. Be brief and helpful."]
    if language := definition.get("language"):
        parts.append(f"Speak {language} unless the caller speaks another language.")
    parts.append(
        "You are on a phone call. Speak in short sentences, without lists or markup. When the conversation is over, say "
        "goodbye and call the tool end_call."
    )
    parts.append(prompting.clock(now, time_zone))
    if not is_open:
        parts.append("The business is closed now. Offer no transfer to anybody, whatever was said above.")
    parts += [task, caller_context]
    return "\n\n".join(filter(None, parts))


def percentile(values: Sequence[int], share: float) -> int:
    """Return the nearest-rank percentile of a sequence that is not empty."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def seconds_left(longest: int, answered_at: datetime | None, at: datetime) -> int:
    """Return how many seconds a stream that begins now may last.

    A call's limit counts from its answer, over all its streams.  At least 1, so that the goodbye begins.
    """
    lasted_seconds = (at - answered_at).total_seconds() if answered_at else 0.0
    return max(1, longest - max(0, int(lasted_seconds)))
