"""What happens to calls.  Pure: facts in, decisions out."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from control.base import hours
from control.base.job import Job
from control.calls.sentences import Sentence, sentence, spoken
from hum.v1 import runtime_pb2

#: An ended call is summarized, judged and indexed for search, before all other jobs.
AFTER_CALL = Job("after_call", concurrency=32, per_organization=8, priority=100, timeout_seconds=180)


LIVE = ("queued", "ringing", "in_progress")
#: How many streams a call may have: one, and one more if the first is lost.
MAX_STREAMS = 2
#: How often the carrier is told to open one: where processes share a port, it may come to one that takes no more calls
#: although another would.
MAX_OFFERS = 5
#: More turns than any stream has.
TURNS_OF_A_STREAM = 100_000
#: How many tool runs a call may have, and how many failures of one tool: one correction, then no more.
MAX_TOOL_RUNS, MAX_TOOL_FAILURES = 200, 2
#: How long a report that could not be stored is kept for investigation.
KEEP_SET_ASIDE = timedelta(days=30)
#: How long a media process that is gone is remembered: longer than any call.
KEEP_LINKS = timedelta(days=7)
#: At most this much of each of a contact's fields goes into the prompt.
CONTEXT_CHARS = 2000

#: How much of the conversation so far the agent of a call's next stream is given: turns, characters of each, and in all.
RECENT_TURNS, RECENT_TURN_CHARS, RECENT_CHARS = 100, 2_000, 20_000

#: Why a stream ended -> the call's status.  `carrier_lost` is not here: then the carrier decides what happens.
ENDINGS: Mapping[str, str] = {
    "caller": "completed",
    "agent": "completed",
    "hang_up": "completed",
    "max_duration": "completed",
    "idle": "completed",
    "drained": "completed",
    "model_refused": "failed",
    "model_lost": "failed",
    "carrier_protocol": "failed",
}
STREAM_LOST = "carrier_lost"
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


Decision = Connect | Refuse | Reject


@dataclass(frozen=True, slots=True)
class Facts:
    """What routing knows about an inbound call to one of our numbers."""

    blocked: bool
    number_active: bool
    definition: Mapping[str, Any] | None  # of the number's voice flow, if it has one
    business_hours_json: str | None
    time_zone: str
    full: bool = False  # no media process takes one more call
    #: Live calls of the organization, and those of them from this caller; 0 for a withheld number.
    live_calls: int = 0
    live_of_caller: int = 0


@dataclass(frozen=True, slots=True)
class Caps:
    """The most simultaneous calls.  Calls that ring at the very same moment may exceed them by a few."""

    of_organization: int
    of_caller: int


def route(facts: Facts, now: datetime, caps: Caps) -> Decision:
    """Decide what to do with an inbound call."""
    if facts.blocked:
        return Reject("blocked", "blocked")
    flow = facts.definition
    language = flow.get("language") if flow else None
    if flow is None or not facts.number_active:
        return Refuse(*sentence(Sentence.NOBODY, language), "failed", "no_flow")
    if facts.business_hours_json and not hours.is_open(hours.parse(facts.business_hours_json, facts.time_zone), now):
        own = flow.get("after_hours_message")
        if own:
            return Refuse(own, spoken(language) if language else None, "completed", "after_hours")
        return Refuse(*sentence(Sentence.CLOSED, language), "completed", "after_hours")
    if facts.live_of_caller >= caps.of_caller:
        return Refuse(*sentence(Sentence.BUSY, language), "busy", "calls_of_caller")
    if facts.live_calls >= caps.of_organization:
        return Refuse(*sentence(Sentence.BUSY, language), "busy", "calls_of_organization")
    if facts.full:
        return no_room(language)
    return Connect()


def no_room(language: str | None) -> Refuse:
    """No media process takes the call."""
    return Refuse(*sentence(Sentence.BUSY, language), "failed", "no_capacity")


def owes_lookup(looked_up_at: datetime | None, now: datetime, keep: timedelta) -> bool:
    """Whether a caller is due for a lookup at the carrier: the last one is older than `keep`.  Zero: never."""
    return keep > timedelta(0) and (looked_up_at is None or looked_up_at < now - keep)


@dataclass(frozen=True, slots=True)
class Streams:
    """How often a call's stream was offered to the carrier, and how often it was opened."""

    offered: int
    opened: int


def after_stream(status: str, streams: Streams, language: str | None, *, full: bool = False) -> Connect | Refuse | None:
    """What to do with a call whose stream has closed, or was refused; None for a call that is over.

    `full`: no media process takes another call.
    """
    if status not in LIVE:
        return None
    if not full and streams.opened < MAX_STREAMS and streams.offered < MAX_OFFERS:
        return Connect()
    if not streams.opened:
        return no_room(language)
    return Refuse(*sentence(Sentence.APOLOGY, language), "failed", "stream_lost")


def lost(*, joined: bool, was_answered: bool, carrier_status: str | None, is_long_lost: bool) -> tuple[str, str] | None:
    """What became of a call that nobody has, as status and reason; None while it may go on.

    `was_answered`: the carrier told its status, or (None) that it knows no such call.
    """
    if was_answered and carrier_status is not None:
        ended = CARRIER_ENDINGS.get(carrier_status)
        if ended is None:
            return None
        return ("completed", "stream_lost") if joined else (ended, "caller")
    if not was_answered and not is_long_lost:
        return None
    return ("failed", "stream_lost") if joined else ("failed", "no_stream")


def hung_up(*, joined: bool, was_going_on: bool) -> tuple[str, str]:
    """What becomes of a call that somebody ends at the carrier, as status and reason."""
    status = "completed" if joined else "canceled"
    return (status, "hang_up") if was_going_on else (status, "stream_lost" if joined else "caller")


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
            if placed.interruption.HasField("turn_seq"):
                placed.interruption.turn_seq += turns
        case "latency":
            placed.latency.turn_seq += turns
        case "announcement_played":
            placed.announcement_played.at_ms += offset_ms
    return placed


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
    definition: Mapping[str, Any], organization: str, time_zone: str, contact: Mapping[str, str | None], now: datetime
) -> str:
    """The model's instructions: the flow's prompt, the language, the time, and who is calling."""
    local = now.astimezone(ZoneInfo(time_zone))
    parts = [definition.get("system_prompt") or f"You answer the phone of {organization}. Be brief and helpful."]
    if language := definition.get("language"):
        parts.append(f"Speak {language} unless the caller speaks another language.")
    parts.append(
        "You are on a phone call. Speak in short sentences, without lists or markup. When the conversation is over, say "
        "goodbye and call the tool end_call."
    )
    parts.append(f"It is {local:%A, %d %B %Y, %H:%M} ({time_zone}).")
    # Each on one line: a name that somebody registered for a number must not pass for part of the prompt.
    known = [f"- {name}: {' '.join(text.split())[:CONTEXT_CHARS]}" for name, text in contact.items() if text]
    if known:
        parts.append("# Caller Context\n" + "\n".join(known))
    return "\n\n".join(parts)


def percentile(values: Sequence[int], share: float) -> int:
    """The nearest-rank percentile of a sequence that is not empty."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
