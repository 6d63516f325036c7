"""What comes out of a call's core: actions, and events for control.

Times named `_ms` are milliseconds: `now_ms` on the process's monotonic clock, `at_ms`, `start_ms` and `end_ms` on
the call's clock, which is the carrier's `media.timestamp` (0 at the start of the stream).  Audio is headerless G.711
mu-law, 8 kHz, 8 bytes per ms.  Field names ending in `_json` hold JSON text.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal, final

import msgspec

from media.core.legmessages import Leave, ToLeg
from media.core.modelmessages import ModelCommand, ModelUsed, Role, StageUsed

ToolStatus = Literal["ok", "failed"]


# Actions, for the shell to carry out in order.  Frequent ones are msgspec structs: a third of a frozen dataclass's time.


@final
class ToModel(msgspec.Struct, frozen=True, gc=False):
    """A command for the model's session."""

    command: ModelCommand


@dataclass(frozen=True, slots=True)
class DialModel:
    """Connect to the model (again) after about `wait_ms`; then call `model_ready` or `model_lost`."""

    wait_ms: float


@dataclass(frozen=True, slots=True)
class RunTool:
    """Run a tool; then call `tool_result`.  A ToolFinished with the same id means that the result is no longer needed."""

    tool_call_id: str  # the model's, of this function call
    name: str
    arguments_json: str
    off_record: bool = False  # its contents are not recorded


@dataclass(frozen=True, slots=True)
class StartRecording:
    """Store the announcement, if there was one, and what follows."""

    announced: "tuple[RecordAgent, ...]" = ()


@dataclass(frozen=True, slots=True)
class StartMessage:
    """Store the caller's audio from `at_ms` on as a message, first what came before this; call `message_failed` if that fails."""

    at_ms: int
    spoken: "tuple[RecordCaller, ...]" = ()


class RecordCaller(msgspec.Struct, frozen=True, gc=False):
    """Caller audio as received, beginning at `at_ms`."""

    payload: bytes
    at_ms: int


class RecordAgent(msgspec.Struct, frozen=True, gc=False):
    """Agent audio as heard by the caller, beginning at `at_ms`; spans come in order and never overlap."""

    payload: bytes
    at_ms: int


@dataclass(frozen=True, slots=True)
class Unrecord:
    """Silence what was recorded from `from_ms` on, as far as it is not on disk yet: at least the last two seconds."""

    from_ms: int


class Moment(Enum):
    """An event that is timed when it is written, not when it is decided."""

    CLEARED = auto()  # a barge-in silenced the agent
    REQUESTED = auto()  # a response was requested
    RESPONDED = auto()  # a response's first audio was sent


@dataclass(frozen=True, slots=True)
class Stamp:
    """Write the actions before this; then call `written` with the time."""

    moment: Moment


@dataclass(frozen=True, slots=True)
class Report:
    """A fact for control."""

    event: "Event"


Action = (
    ToLeg
    | ToModel
    | DialModel
    | RunTool
    | StartRecording
    | StartMessage
    | RecordCaller
    | RecordAgent
    | Unrecord
    | Stamp
    | Report
    | Leave
)


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

    Reported every `under_way_ms` if anything changed; replaces the previous report.
    """

    turns: tuple[TurnEnded, ...]


#: The evidence for an onset: the detector was sure of a voice; it was not, and the pitch moved, or there was breath before it; a
#: hiss; or webrtcvad alone, where the detector is turned off.
Onset = Literal["voice", "pitch", "breath", "hiss", "webrtcvad"]
#: The reason for a verdict: the caller spoke for long enough or not, it was the agent's echo, no more audio came, or the call ended.
Reason = Literal["kept_speaking", "fell_silent", "echo", "no_audio", "call_ended"]
Refusal = Literal["echo", "background"]  # what an onset that did not silence the agent was taken for


@dataclass(frozen=True, slots=True)
class BargedIn:
    """The caller spoke over the agent.  Reported after the turn spoken over, `turn_seq`; None if none of it was heard.

    `clear_reaction_ms` counts from when the first voiced frame can have arrived, by the carrier's clock, until the
    `clear` was written: it includes the time that frames lay unread while we were late.  `decided_ms` is when the
    verdict was reached, on the clock of `at_ms`, and `spoken_ms` the caller's voice that it counted.
    """

    at_ms: int
    item_id: str
    heard_ms: int
    clear_reaction_ms: int
    verdict: Literal["cut", "resumed"]
    turn_seq: int | None = None
    onset: Onset = "voice"
    reason: Reason = "kept_speaking"
    decided_ms: int = 0
    spoken_ms: int = 0


@dataclass(frozen=True, slots=True)
class RefusedOnset:
    """A sound like a voice that did not stop the agent; its first and last onset were at these times."""

    at_ms: int
    until_ms: int
    onset: Onset
    reason: Refusal = "echo"


@dataclass(frozen=True, slots=True)
class OnsetsRefused:
    """The number of refused onsets beyond those reported one by one."""

    more: int


@dataclass(frozen=True, slots=True)
class LatencyMeasured:
    """One response, at the caller's edge; the parts do not add up, since the network's share is in `total_ms` alone.

    total_ms        caller's last voiced frame -> first frame of the response heard
    first_sound_ms  the same, to the first agent audio of any kind (a filler counts)
    model_ms        last voiced frame sent -> turn detected, plus request written -> first audio delta received
    ours_ms         last voiced frame received -> sent to the model, plus turn detected -> request written, plus
                    first delta received -> first media written; the wait for the rest of a filler is in
                    `total_ms` alone
    """

    turn_seq: int
    total_ms: int
    first_sound_ms: int
    model_ms: int
    ours_ms: int


@dataclass(frozen=True, slots=True)
class Digits:
    digits: str  # of an entry so far, with each key
    at_ms: int  # of its first key


@dataclass(frozen=True, slots=True)
class RecordingPaused:
    """Reported when a pause begins, without its end, and once more when it is over."""

    start_ms: int
    end_ms: int | None
    cause: str


@dataclass(frozen=True, slots=True)
class AnnouncementPlayed:
    """Proven by a mark that was played, not flushed."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class MessageTaken:
    """The message that a StartMessage began is complete; it is not `kept` if nothing was said."""

    kept: bool


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """Always followed by a ToolFinished of the same id."""

    tool_call_id: str
    name: str
    arguments_json: str


@dataclass(frozen=True, slots=True)
class ToolFinished:
    tool_call_id: str
    output_json: str
    status: ToolStatus


@dataclass(frozen=True, slots=True)
class ModelLost:
    reason: str


@dataclass(frozen=True, slots=True)
class CommandReply:
    """The reply to a command: done, too late because the call is over, or refused because there are too many."""

    id: str
    outcome: Literal["done", "over", "full"]


@dataclass(frozen=True, slots=True)
class Intervened:
    """A person instructed the agent or dictated a text, or the agent was told the result of a person's decision."""

    id: str
    kind: Literal["instruct", "say", "news"]
    text: str
    by: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class FlowSwitched:
    """Another flow's agent has taken over the call; `model`: which it speaks with."""

    flow_id: str
    flow_version: int
    at_ms: int
    model: str = ""


@dataclass(frozen=True, slots=True)
class CallEnded:
    """`reason` is a reason code (`StreamEnded.reason`); `detail` says what was wrong, if anything was.

    `untranscribed_ms` is the caller's voice in turns whose transcript never came.
    """

    reason: str
    detail: str
    at_ms: int
    untranscribed_ms: int = 0


Event = (
    CallStarted
    | Delta
    | TurnEnded
    | UnderWay
    | BargedIn
    | RefusedOnset
    | OnsetsRefused
    | LatencyMeasured
    | ModelUsed
    | StageUsed
    | Digits
    | RecordingPaused
    | AnnouncementPlayed
    | MessageTaken
    | ToolCalled
    | ToolFinished
    | ModelLost
    | CommandReply
    | Intervened
    | FlowSwitched
    | CallEnded
)
