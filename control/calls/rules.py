"""What happens to calls.  Pure: facts in, decisions out."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from control.base import hours, prompting
from control.base.job import Job
from control.calls import capacity
from control.calls.owed import Message, Owed
from control.calls.sentences import Sentence, sentence, spoken
from hum.v1 import runtime_pb2

#: An ended call is summarized, judged and indexed for search, before all other jobs.
AFTER_CALL = Job("after_call", concurrency=32, per_organization=8, priority=100, timeout_seconds=180)


LIVE = ("queued", "ringing", "in_progress")
#: How many streams a call may open within STREAMS_WITHIN: streams lost minutes apart are no reason to end a call, streams
#: lost one after the other are.
MAX_STREAMS, STREAMS_WITHIN = 3, timedelta(minutes=1)
#: How often the carrier is told in vain to open one: where processes share a port, it may come to one that takes no more
#: calls although another would.
MAX_OFFERS = 12
#: More turns than any stream has.
TURNS_OF_A_STREAM = 100_000
#: How many tool runs a call may have, and how many failures of one tool: one correction, then no more.
MAX_TOOL_RUNS, MAX_TOOL_FAILURES = 200, 2
#: How many entries on the keypad a call keeps, and how many keys of each.
MOST_KEYPAD_ENTRIES, MOST_KEYS = 500, 64
#: How many sounds a call keeps that did not stop its agent, as a media process tells of one stream (`media/core/refusals.py`).
MOST_REFUSED_ONSETS = 50
KEYS = frozenset("0123456789*#ABCD")
#: How often a call may be handed to another flow's agent: agents that hand it back and forth come to an end.
MAX_FLOW_SWITCHES = 5
#: How long a report that could not be stored is kept for investigation.
KEEP_SET_ASIDE = timedelta(days=30)
#: How long a media process that is gone is remembered: longer than any call.
KEEP_LINKS = timedelta(days=7)
#: How much of the conversation so far the agent of a call's next stream is given: turns, characters of each, and in all.
RECENT_TURNS, RECENT_TURN_CHARS, RECENT_CHARS = 100, 2_000, 20_000

#: Why a stream ended -> the call's status.  `carrier_lost` is not here: then the carrier decides what happens.
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
#: Why a call ended that nobody could answer, since control was away.
AWAY_REASON = "control_away"
#: The carrier's status of a call that was answered.
ANSWERED = "in-progress"
#: The carrier's status of a call that never had a stream -> the call's status.
CARRIER_ENDINGS: Mapping[str, str] = {
    "busy": "busy",
    "no-answer": "no_answer",
    "failed": "failed",
    "canceled": "canceled",
    "completed": "canceled",
}


@dataclass(frozen=True, slots=True)
class Connect:
    """Connect the caller to the agent."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Say a sentence, in its language if that is known, and hang up; the call is recorded with this status and reason."""

    text: str
    language: str | None
    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class Reject:
    """Don't answer."""

    status: str
    reason: str


Decision = Connect | Message | Refuse | Reject


@dataclass(frozen=True, slots=True)
class Facts:
    """What routing knows about an inbound call to one of our numbers."""

    blocked: bool
    number_active: bool
    definition: Mapping[str, Any] | None  # of the number's voice flow, if it has one
    business_hours_json: str | None
    time_zone: str
    #: The organization's plan allows another minute.
    is_within_plan: bool = True


def route(facts: Facts, now: datetime) -> Decision:
    """Decide what to do with an inbound call; whether there is a place for it is not known yet."""
    if facts.blocked:
        return Reject("blocked", "blocked")
    flow = facts.definition
    language = flow.get("language") if flow else None
    if flow is None or not facts.number_active:
        return Refuse(*sentence(Sentence.NOBODY, language), "failed", "no_flow")
    if not facts.is_within_plan:
        return Refuse(*sentence(Sentence.NOBODY, language), "failed", "plan_limit")
    return Connect() if is_open(facts.business_hours_json, facts.time_zone, now) else after_hours(flow)


def is_open(business_hours_json: str | None, time_zone: str, now: datetime) -> bool:
    """Whether calls are answered now; without hours they always are."""
    return not business_hours_json or hours.is_open(hours.parse(business_hours_json, time_zone), now)


def after_hours(flow: Mapping[str, Any]) -> Decision:
    """What a caller gets who calls outside the hours of the flow that would have answered."""
    if flow.get("voicemail_enabled"):
        return Message("after_hours")
    language = flow.get("language")
    if own := flow.get("after_hours_message"):
        return Refuse(own, spoken(language) if language else None, "completed", "after_hours")
    return Refuse(*sentence(Sentence.CLOSED, language), "completed", "after_hours")


def route_tag(route_tags_json: str, tags: Sequence[str]) -> str | None:
    """The flow that answers a contact with these tags, by the first member of the map that is one of them; None: no other."""
    own = {tag.casefold() for tag in tags}
    routes = json.loads(route_tags_json)
    return next((str(flow) for tag, flow in routes.items() if tag.casefold() in own), None)


#: Why a call gets no place -> its status.
NO_PLACE: Mapping[str, str] = {
    capacity.NO_CAPACITY: "failed",
    capacity.OF_CALLER: "busy",
    capacity.OF_ORGANIZATION: "busy",
}


def no_place(reason: str | None, language: str | None) -> Refuse | None:
    """What the caller gets when there is no place for the call; None for any other reason."""
    if reason is None or reason not in NO_PLACE:
        return None
    return Refuse(*sentence(Sentence.BUSY, language), NO_PLACE[reason], reason)


def no_room(language: str | None) -> Refuse:
    """No media process takes the call."""
    return Refuse(*sentence(Sentence.BUSY, language), "failed", capacity.NO_CAPACITY)


def owes_lookup(looked_up_at: datetime | None, now: datetime, keep: timedelta) -> bool:
    """Whether a caller is due for a lookup at the carrier: the last one is older than `keep`.  Zero: never."""
    return keep > timedelta(0) and (looked_up_at is None or looked_up_at < now - keep)


@dataclass(frozen=True, slots=True)
class Streams:
    """How often a call's stream was offered to the carrier and opened, without the streams that were left on purpose.

    `lately`: how many were opened within STREAMS_WITHIN.
    """

    offered: int
    opened: int
    lately: int


def after_stream(
    status: str, streams: Streams, language: str | None, due: Owed | None = None, *, full: bool = False
) -> Connect | Refuse | Owed | None:
    """What to do with a call whose stream has closed, or was refused; None for a call that is over.

    `due`: what its last stream was left for.  `full`: no media process takes another call.
    """
    if status not in LIVE:
        return None
    if due is not None and not isinstance(due, Message):
        return due
    if not full and streams.lately < MAX_STREAMS and streams.offered - streams.opened < MAX_OFFERS:
        return due or Connect()
    if not streams.opened:
        return no_room(language)
    return Refuse(*sentence(Sentence.APOLOGY, language), "failed", "stream_lost")


def lost(
    *, joined: bool, was_answered: bool, carrier_status: str | None, is_long_lost: bool, dialled: str | None = None
) -> tuple[str, str] | None:
    """What became of a call that nobody has, as status and reason; None while it may go on.

    `was_answered`: the carrier told its status, or (None) that it knows no such call.  `is_long_lost`: a media process that
    had it would have reported its end by now, as it does once control is back.  `dialled`: of a call in a dial, which only
    the carrier has, and for hours perhaps: why it ended if it did.
    """
    if dialled is not None:
        goes_on = carrier_status is not None and carrier_status not in CARRIER_ENDINGS
        return ("completed", dialled) if was_answered and not goes_on else None
    if not is_long_lost and (joined or not was_answered):
        return None
    if was_answered and carrier_status is not None:
        ended = CARRIER_ENDINGS.get(carrier_status)
        if ended is None:
            return None
        return ("completed", "stream_lost") if joined else (ended, "caller")
    return ("failed", "stream_lost") if joined else ("failed", "no_stream")


def not_connected(refusal: str | None) -> tuple[str, str]:
    """What becomes of a call from a browser that never had a stream, as status and reason; None: its media process has not
    answered in time.
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
    """What becomes of a call that somebody ends at the carrier, as status and reason.  `placed`: we called."""
    status = "completed" if joined else "canceled"
    if was_going_on or (placed and not joined):
        return status, "hang_up"
    return status, "stream_lost" if joined else "caller"


def placed_in_call(report: runtime_pb2.Report, stream_number: int, offset_ms: int) -> runtime_pb2.Report:
    """A report of a later stream, moved from its stream's own count of turns and milliseconds to the call's.

    Turns of different streams never share a number, however late they come, and stay in the order of speech.
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
    """The keys among these characters, in their order; at most `MOST_KEYS`."""
    return "".join(key for key in pressed if key in KEYS)[:MOST_KEYS]


def recent_turns(heard: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The latest turns (role, text), oldest first, that the agent of a call's next stream is given."""
    kept: list[tuple[str, str]] = []
    room = RECENT_CHARS
    for role, text in reversed(heard):
        text = text[-RECENT_TURN_CHARS:]  # its end is where the conversation stands
        room -= len(text)
        if room < 0:
            break
        kept.append((role, text))
    return kept[::-1]


def instructions(
    definition: Mapping[str, Any],
    organization: str,
    time_zone: str,
    who: str,
    now: datetime,
    *,
    is_open: bool = True,
    task: str = "",
) -> str:
    """The model's instructions: the flow's prompt, the language, the time, why it calls, and who is calling."""
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
    parts += [task, who]
    return "\n\n".join(filter(None, parts))


def percentile(values: Sequence[int], share: float) -> int:
    """The nearest-rank percentile of a sequence that is not empty."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def seconds_left(longest: int, answered_at: datetime | None, at: datetime) -> int:
    """How long a stream that begins now may last: a call's longest time is counted from its answer, over all its streams.  At
    least a second, in which its goodbye begins.
    """
    lasted = (at - answered_at).total_seconds() if answered_at else 0.0
    return max(1, longest - max(0, int(lasted)))
