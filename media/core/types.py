"""What goes into a conversation (the plan, commands) and what comes out (actions, events).

Times named `_ms` are milliseconds: `now_ms` on the process's monotonic clock, `at_ms`, `start_ms` and `end_ms` on the
call's clock, which is the carrier's `media.timestamp` (0 at the start of the stream).  Audio is headerless G.711
mu-law, 8 kHz, 8 bytes per ms.  Field names ending in `_json` hold JSON text.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from typing import Any, Literal

import msgspec

from media.core.leg import Leave, Outcome, ToLeg

Eagerness = Literal["low", "medium", "high", "auto"]
Role = Literal["caller", "agent"]
ToolStatus = Literal["ok", "failed"]


class ClipKind(StrEnum):
    """The fixed sentences that a conversation plays by itself."""

    ANNOUNCEMENT = "announcement"  # this call is recorded
    GREETING = "greeting"
    RESUMED = "resumed"  # instead of the greeting, when a call continues after its stream was lost
    HOLD = "hold"  # the model is away, or an answer is very slow
    FILLER = "filler"  # an answer is slow to come
    IDLE = "idle"  # are you still there
    GOODBYE = "goodbye"
    APOLOGY = "apology"  # the model cannot be reached


@dataclass(frozen=True, slots=True)
class Clip:
    """A fixed sentence; `audio` is None if it has not been rendered yet."""

    text: str
    audio: bytes | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """What the agent may do.  ValueError unless `parameters_json` is an object and there is a timeout or an outcome."""

    name: str
    description: str
    parameters_json: str  # a JSON Schema of an object
    timeout_ms: int = 0  # how long the call waits for the result
    outcome: Outcome | None = None  # if set, it is not run: the call ends so, once the agent's last words were heard

    def __post_init__(self) -> None:
        msgspec.json.decode(self.parameters_json, type=dict[str, Any])
        if self.outcome is None and self.timeout_ms <= 0:
            raise ValueError(f"the tool {self.name} has no time limit")


@dataclass(frozen=True, slots=True)
class CallPlan:
    """Everything a conversation must know before its first frame, including every time constant.

    ValueError if two tools have the same name.
    """

    instructions: str
    voice: str
    model: str
    transcription_model: str
    language: str | None = None
    clips: Mapping[ClipKind, Clip] = field(default_factory=dict)
    fillers: tuple[Clip, ...] = ()  # rendered ones, played in turn
    tools: tuple[Tool, ...] = ()
    recording: bool = False
    announce_recording: bool = False
    interruptible: bool = True
    protect_announcement: bool = True
    cut_after_ms: int = 350
    resume_after_ms: int = 200
    false_hear_ms: int = 1_000  # how long an answer waits for a caller whom our detector hears and the model does not
    open_turn_ms: int = 9_000  # and for a turn that the model does not end, though our detector hears nobody
    unaware_ms: int = 250  # a caller who speaks so soon after an answer has begun did not hear it begin
    eagerness: Eagerness = "high"
    max_call_ms: int = 1_800_000
    idle_after_ms: int = 12_000  # silence before each idle prompt, and before the close after the last one
    idle_prompts: int = 2
    idle_gaps_ms: tuple[int, ...] = ()  # silence before each prompt, where that differs from `idle_after_ms`
    idle_texts: tuple[str, ...] = ()  # of each prompt, where they differ from the clip
    filler_after_ms: int = 750  # silence before an answer, after which a filler is played
    close_deadline_ms: int = 15_000  # a spoken close that takes longer is cut by the hang-up
    transcript_deadline_ms: int = 4_000  # how long a caller's turn waits for its text
    digits_pause_ms: int = 1_500
    lead_low_ms: int = 200
    message_ms: int = 107  # not a multiple of a frame: the ledger learns from where in a frame a message ends
    quiet_append_ms: int = 100  # caller audio without a voice, while no turn is open, is sent in pieces this long
    one_way_guess_ms: int = 40  # until the first mark has come back
    session_ms: int = 3_000  # how long the server may take to begin a session on an open socket
    answer_ms: int = 6_000  # a response without any event for so long is lost, and its session with it
    hold_after_ms: int = (
        2_000  # silence before a waiting caller hears the hold phrase; twice as long before the next one
    )
    retry_ms: int = 100  # before the model is dialled again; doubles with each failure
    patience_ms: int = 8_000  # how long the call goes on without a model
    losses_per_minute: int = 4  # sessions lost; one more ends the call
    losses_per_call: int = 12
    catch_up_ms: int = 2_000  # how long a new session may take to detect a turn that the last one missed
    under_way_ms: int = 500  # between reports of unfinished turns
    so_far: tuple[tuple[Role, str], ...] = ()  # what was heard in the call's earlier streams, oldest first

    def __post_init__(self) -> None:
        if len({tool.name for tool in self.tools}) < len(self.tools):
            raise ValueError("two tools have the same name")


# Actions: what the shell has to do, in this order.  Those that come with every frame are msgspec structs, which take a
# third of the time of a frozen dataclass.


class ToModel(msgspec.Struct, frozen=True, gc=False):
    """One text frame for the model's socket."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class DialModel:
    """Connect to the model (again) after about `wait_ms`; then call `model_ready` or `model_lost`."""

    wait_ms: float


@dataclass(frozen=True, slots=True)
class RunTool:
    """Run a tool; then call `tool_result`.  A ToolFinished with the same id means that the result is not needed."""

    call_id: str  # the model's, of this function call
    name: str
    arguments_json: str


@dataclass(frozen=True, slots=True)
class StartRecording:
    """The announcement was heard (or none is due): what follows may be stored."""


class RecordCaller(msgspec.Struct, frozen=True, gc=False):
    """Caller audio as received, beginning at `at_ms`."""

    payload: bytes
    at_ms: int


class RecordAgent(msgspec.Struct, frozen=True, gc=False):
    """Agent audio as heard by the caller, beginning at `at_ms`; spans come in order and never overlap."""

    payload: bytes
    at_ms: int


class Moment(Enum):
    """Something whose instant counts when it is written, not when it is decided."""

    CLEARED = auto()  # the caller spoke over the agent, which was stopped
    ASKED = auto()  # the model was asked for an answer
    ANSWERED = auto()  # the first audio of an answer was sent


@dataclass(frozen=True, slots=True)
class Stamp:
    """Write the actions before this; then call `written` with the time."""

    moment: Moment


@dataclass(frozen=True, slots=True)
class Report:
    """A fact for control."""

    event: "Event"


Action = ToLeg | ToModel | DialModel | RunTool | StartRecording | RecordCaller | RecordAgent | Stamp | Report | Leave


Emit = Callable[[Action], None]


# Events: what a report may say.


@dataclass(frozen=True, slots=True)
class CallStarted:
    stream_id: str  # the carrier's


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of a transcript, only while the call is watched."""

    role: Role
    item_id: str
    text: str
    start_ms: int


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """A final turn, in the order of speech.  `seq` counts from 1; for callers, `heard_text` is their own text."""

    seq: int
    role: Role
    text: str
    heard_text: str
    start_ms: int
    end_ms: int
    interrupted: bool
    item_id: str


@dataclass(frozen=True, slots=True)
class UnderWay:
    """The turns that are not final: their ends, texts and even numbers may still change.

    Reported every `under_way_ms`, if anything changed; replaces the report before it.
    """

    turns: tuple[TurnEnded, ...]


@dataclass(frozen=True, slots=True)
class BargedIn:
    """The caller spoke over the agent.

    `clear_reaction_ms` counts from when the first voiced frame can have arrived, by the carrier's clock, until the
    `clear` was written: it includes the time that frames lay unread while we were late.  Reported after the turn that
    was spoken over, which `turn_seq` names; None if nothing of it was heard.
    """

    at_ms: int
    item_id: str
    heard_ms: int
    clear_reaction_ms: int
    verdict: Literal["cut", "resumed"]
    turn_seq: int | None = None


@dataclass(frozen=True, slots=True)
class LatencyMeasured:
    """One answer, at the caller's edge; the parts do not add up, since the network's share is in `total_ms` alone.

    total_ms        caller's last voiced frame -> first frame of the answer heard
    first_sound_ms  the same, to the first agent audio of any kind (a filler counts)
    model_ms        last voiced frame sent -> turn detected, plus response.create written -> first audio delta received
    ours_ms         last voiced frame received -> sent to the model, plus turn detected -> response.create written, plus
                    first delta received -> first media written; the rest of a filler that the answer waits for is in
                    `total_ms` alone
    """

    turn_seq: int
    total_ms: int
    first_sound_ms: int
    model_ms: int
    ours_ms: int


@dataclass(frozen=True, slots=True)
class Digits:
    digits: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class AnnouncementPlayed:
    """Proven by a mark that was played, not flushed."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """Always followed by a ToolFinished of the same id."""

    call_id: str
    name: str
    arguments_json: str


@dataclass(frozen=True, slots=True)
class ToolFinished:
    call_id: str
    output_json: str
    status: ToolStatus


@dataclass(frozen=True, slots=True)
class ModelLost:
    reason: str


@dataclass(frozen=True, slots=True)
class CallEnded:
    """`reason` is a reason code (`StreamEnded.reason`); `detail` says what was wrong, if anything was."""

    reason: str
    detail: str
    at_ms: int


Event = (
    CallStarted
    | Delta
    | TurnEnded
    | UnderWay
    | BargedIn
    | LatencyMeasured
    | Digits
    | AnnouncementPlayed
    | ToolCalled
    | ToolFinished
    | ModelLost
    | CallEnded
)


# Commands: what control may ask of a running conversation.


@dataclass(frozen=True, slots=True)
class EndCall:
    """Hang up for `reason`; with `spoken`, after the goodbye was heard."""

    reason: str
    spoken: bool = False


@dataclass(frozen=True, slots=True)
class Watch:
    """Somebody is watching the live transcript: report deltas for `for_ms` from now."""

    for_ms: int


Command = EndCall | Watch
