"""What goes into a conversation (the plan, commands) and what comes out (actions, events).

Times named `_ms` are milliseconds: `now_ms` on the process's monotonic clock, `at_ms`, `start_ms` and `end_ms` on
the call's clock, which is the carrier's `media.timestamp` (0 at the start of the stream).  Audio is headerless G.711
mu-law, 8 kHz, 8 bytes per ms.  Field names ending in `_json` hold JSON text.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from typing import Literal, final

import msgspec

from media.core.legmessages import Leave, ToLeg
from media.core.modelmessages import Author, ModelCommand, ModelUsed, Role, Tool, TurnModel

ToolStatus = Literal["ok", "failed"]


class PromptKind(StrEnum):
    """The prompts that a conversation plays by itself."""

    ANNOUNCEMENT = "announcement"  # this call is recorded
    GREETING = "greeting"
    RESUMED = "resumed"  # the greeting after a lost stream
    HOLD = "hold"  # the model is unavailable or very slow
    FILLER = "filler"  # a response is slow to come
    IDLE = "idle"  # are you still there
    LIMIT = "limit"  # the longest call ends soon
    GOODBYE = "goodbye"
    APOLOGY = "apology"  # no model can be reached
    DICTATED = "dictated"  # a person's text, not a fixed prompt
    MACHINE = "machine"  # a message for an answering machine
    TONES = "tones"  # keys for another system's menu


@dataclass(frozen=True, slots=True)
class Prompt:
    """A sentence that is spoken to the caller; `audio` is None if it has not been rendered yet."""

    text: str
    audio: bytes | None = None


@dataclass(frozen=True, slots=True)
class PauseRules:
    """What pauses the recording besides the agent's tool, and for how long."""

    on_keys: bool = False
    phrases: tuple[str, ...] = ()  # of the agent
    tools: frozenset[str] = frozenset()
    longest_ms: int = 120_000
    keys_ms: int = 5_000  # after the last key
    tone_ms: int = 500  # audio before a key's report: its tone


@dataclass(frozen=True, slots=True)
class CallPlan:
    """Everything a conversation must know before its first frame.  ValueError if two tools have the same name."""

    instructions: str  # without the caller's context
    model: TurnModel
    caller_context: str = ""  # appended to the instructions
    prompts: Mapping[PromptKind, Prompt] = field(default_factory=dict)
    fillers: tuple[Prompt, ...] = ()  # rendered, played in turn
    tools: tuple[Tool, ...] = ()
    # Why the agent is not offered other tools, by name.
    unavailable_tools: Mapping[str, str] = field(default_factory=dict)
    recording: bool = False
    pauses: PauseRules = field(default_factory=PauseRules)
    recording_paused: bool = False  # the last stream ended in a pause
    announce_recording: bool = False
    interruptible: bool = True
    protect_announcement: bool = True
    cut_after_ms: int = 350
    resume_after_ms: int = 200
    false_hear_ms: int = 1_000  # most wait for our detector alone
    open_turn_ms: int = 9_000  # most wait for an open turn alone
    unaware_ms: int = 250  # until a caller notices the agent
    max_call_ms: int = 1_800_000
    idle_after_ms: int = 12_000  # silence before each prompt or close
    idle_prompt_count: int = 2
    # Before each prompt, and then the close, where that differs from `idle_after_ms`.
    idle_gaps_ms: tuple[int, ...] = ()
    idle_prompts: tuple[Prompt, ...] = ()  # where they differ from each other
    limit_warning_ms: int = 0  # before the longest call ends; 0: never
    filler_after_ms: int = 750  # silence before a filler is played
    close_deadline_ms: int = 15_000  # most time for a spoken close
    mailbox_ms: int = 180_000  # the same for a message to a machine
    opens: bool = False  # our call: the agent speaks first
    transcript_deadline_ms: int = 4_000  # how long a turn waits for its text
    digits_pause_ms: int = 1_500
    lead_low_ms: int = 200
    # Not a multiple of a frame: the ledger learns from where in a frame a message ends.
    message_ms: int = 147
    # Caller audio without a voice, while no turn is open, is sent in pieces of this length.
    quiet_append_ms: int = 200
    one_way_guess_ms: int = 40  # until the first mark has come back
    session_ms: int = 3_000  # for the server to begin a session
    answer_ms: int = 6_000  # most time between a response's events
    # Silence before a waiting caller hears the hold message; twice as long before the next one.
    hold_after_ms: int = 2_000
    retry_ms: int = 100  # first back-off; doubles per failure
    patience_ms: int = 8_000  # longest time without a model
    losses_per_minute: int = 4  # sessions lost; one more ends the call
    losses_per_call: int = 12
    catch_up_ms: int = 2_000  # for a new session to find missed turns
    under_way_ms: int = 500  # between reports of unfinished turns
    # What was heard in the call's earlier streams, oldest first; and hints.
    history: tuple[tuple[Author, str], ...] = ()

    def __post_init__(self) -> None:
        if len({tool.name for tool in self.tools}) < len(self.tools):
            raise ValueError("two tools have the same name")


@dataclass(frozen=True, slots=True)
class MailboxPlan:
    """Everything a mailbox must know before its first frame."""

    openings: tuple[Prompt, ...] = ()  # rendered, played before the beep
    thanks: Prompt | None = None
    goodbye: Prompt | None = None  # to a caller who said nothing
    apology: Prompt | None = None
    silence_ms: int = 6_000  # after which a message is over
    longest_ms: int = 180_000
    least_ms: int = 400  # less voice than this is no message
    proof_ms: int = 1_000  # for the beep's mark to come back
    close_deadline_ms: int = 15_000
    lead_low_ms: int = 200
    message_ms: int = 147
    one_way_guess_ms: int = 40


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
    """Another flow's agent has taken over the call."""

    flow_id: str
    flow_version: int
    at_ms: int


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
    | RefusedOnset
    | OnsetsRefused
    | LatencyMeasured
    | ModelUsed
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
