"""What goes into a conversation (the plan, commands) and what comes out (actions, events).

Times named `_ms` are milliseconds: `now_ms` on the process's monotonic clock, `at_ms`, `start_ms` and `end_ms` on the
call's clock, which is the carrier's `media.timestamp` (0 at the start of the stream).  Audio is headerless G.711
mu-law, 8 kHz, 8 bytes per ms.  Field names ending in `_json` hold JSON text.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from typing import Any, Literal, final

import msgspec

from media.core.leg import Leave, Outcome, ToLeg

Eagerness = Literal["low", "medium", "high", "auto"]
Role = Literal["caller", "agent"]
Author = Role | Literal["system"]  # of what the model knows: also what happened to the call besides
ToolStatus = Literal["ok", "failed"]


class ClipKind(StrEnum):
    """The fixed sentences that a conversation plays by itself."""

    ANNOUNCEMENT = "announcement"  # this call is recorded
    GREETING = "greeting"
    RESUMED = "resumed"  # instead of the greeting, when a call continues after its stream was lost
    HOLD = "hold"  # the model is away, or an answer is very slow
    FILLER = "filler"  # an answer is slow to come
    IDLE = "idle"  # are you still there
    LIMIT = "limit"  # the call will end soon, since it has lasted too long
    GOODBYE = "goodbye"
    APOLOGY = "apology"  # the model cannot be reached
    DICTATED = "dictated"  # not fixed: a person who follows the call wants it said
    MACHINE = "machine"  # left with a machine that has answered our call
    TONES = "tones"  # keys for another system's menu; not one of a flow's sentences


@dataclass(frozen=True, slots=True)
class Clip:
    """A fixed sentence; `audio` is None if it has not been rendered yet."""

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
    tone_ms: int = 500  # of audio before a key is reported: its tone


@dataclass(frozen=True, slots=True)
class Tool:
    """What the agent may do.  ValueError unless `parameters_json` is an object and there is a timeout, an outcome or a
    switch of the recording.
    """

    name: str
    description: str
    parameters_json: str  # a JSON Schema of an object
    timeout_ms: int = 0  # how long the call waits for the result
    outcome: Outcome | None = None  # if set, it is not run: the call ends so, once the agent's last words were heard
    recording: Literal["pause", "resume"] | None = None  # if set, it is not run: the recording pauses or resumes

    def __post_init__(self) -> None:
        msgspec.json.decode(self.parameters_json, type=dict[str, Any])
        if self.outcome is None and self.recording is None and self.timeout_ms <= 0:
            raise ValueError(f"the tool {self.name} has no time limit")


@dataclass(frozen=True, slots=True)
class CallPlan:
    """Everything a conversation must know before its first frame, including every time constant.

    ValueError if two tools have the same name.
    """

    instructions: str  # without who calls
    voice: str
    model: str
    transcription_model: str
    caller_context: str = ""  # the last part of the instructions: who calls
    language: str | None = None
    clips: Mapping[ClipKind, Clip] = field(default_factory=dict)
    fillers: tuple[Clip, ...] = ()  # rendered ones, played in turn
    tools: tuple[Tool, ...] = ()
    recording: bool = False
    pauses: PauseRules = field(default_factory=PauseRules)
    recording_paused: bool = False  # the call's last stream was lost in a pause
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
    idle_gaps_ms: tuple[
        int, ...
    ] = ()  # before each prompt, and then the close, where that differs from `idle_after_ms`
    idle_clips: tuple[Clip, ...] = ()  # each prompt, where they differ from the clip
    limit_warning_ms: int = 0  # so long before the longest call ends, the clip for that is played; 0: never
    filler_after_ms: int = 750  # silence before an answer, after which a filler is played
    close_deadline_ms: int = 15_000  # a spoken close that takes longer is cut by the hang-up
    mailbox_ms: int = 180_000  # the same for a message that is left with a machine
    opens: bool = False  # the agent has called: it speaks first, also without a greeting
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
    so_far: tuple[tuple[Author, str], ...] = ()  # what was heard in the call's earlier streams, oldest first; and hints

    def __post_init__(self) -> None:
        if len({tool.name for tool in self.tools}) < len(self.tools):
            raise ValueError("two tools have the same name")


@dataclass(frozen=True, slots=True)
class MailboxPlan:
    """Everything a mailbox must know before its first frame."""

    openings: tuple[Clip, ...] = ()  # before the beep; rendered ones, as all of its clips are
    thanks: Clip | None = None
    goodbye: Clip | None = None  # to a caller who said nothing
    apology: Clip | None = None
    silence_ms: int = 6_000  # after which a message is over
    longest_ms: int = 180_000
    least_ms: int = 400  # less of a voice than this is no message
    proof_ms: int = 1_000  # how long the beep's mark may take to come back
    close_deadline_ms: int = 15_000
    lead_low_ms: int = 200
    message_ms: int = 107
    one_way_guess_ms: int = 40


# Actions: what the shell has to do, in this order.  Those that come with every frame are msgspec structs, which take a
# third of the time of a frozen dataclass.


@final
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
    off_record: bool = False  # while recording is paused, or for a tool that may not be recorded


@dataclass(frozen=True, slots=True)
class StartRecording:
    """The announcement was heard (or none is due): it, and what follows, may be stored."""

    announced: "tuple[RecordAgent, ...]" = ()


@dataclass(frozen=True, slots=True)
class StartMessage:
    """The caller's audio from `at_ms` on is a message; then call `message_failed` if it can't be stored."""

    at_ms: int


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
    """What was recorded from `from_ms` on becomes silence, as far as it is not on disk yet: at least the last two seconds."""

    from_ms: int


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

    Reported every `under_way_ms`, if anything changed; replaces the report before it.
    """

    turns: tuple[TurnEnded, ...]


#: Why a sound was taken for a voice: the detector was sure of it; it was not, and the pitch moved, or there was breath before it; a
#: hiss; or webrtcvad alone, where the detector is turned off.
Onset = Literal["voice", "pitch", "breath", "hiss", "webrtcvad"]
#: Why an overlap ended as it did: the caller spoke for long enough, fell silent before, it was the agent's own echo, the caller sent no
#: audio any more, or the call ended.
Reason = Literal["kept_speaking", "fell_silent", "echo", "no_audio", "call_ended"]


@dataclass(frozen=True, slots=True)
class BargedIn:
    """The caller spoke over the agent.

    `clear_reaction_ms` counts from when the first voiced frame can have arrived, by the carrier's clock, until the
    `clear` was written: it includes the time that frames lay unread while we were late.  Reported after the turn that
    was spoken over, which `turn_seq` names; None if nothing of it was heard.  `decided_ms` is when the verdict was reached, on
    the clock of `at_ms`, and `spoken_ms` the caller's voice that it counted.
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
    """A sound like a voice over the agent that did not stop it: the echo gate took it for the agent's own, first and last at these times."""

    at_ms: int
    until_ms: int
    onset: Onset


@dataclass(frozen=True, slots=True)
class OnsetsRefused:
    """How many there were beside those that were told one by one."""

    more: int


@dataclass(frozen=True, slots=True)
class ModelUsed:
    """What one response, or the transcription of a turn of the caller's, used: tokens, new and from the cache, or time."""

    model: str
    audio_in: int = 0
    text_in: int = 0
    cached_audio_in: int = 0
    cached_text_in: int = 0
    audio_out: int = 0
    text_out: int = 0
    transcribed_ms: int = 0

    @property
    def is_something(self) -> bool:
        read = self.audio_in + self.text_in + self.cached_audio_in + self.cached_text_in
        return read + self.audio_out + self.text_out + self.transcribed_ms > 0


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
    """The message that a StartMessage began is over; not `kept`: nothing was said."""

    kept: bool


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
class Answered:
    """What became of a command: it was carried out, the call is over, or there is no room for more of it."""

    id: str
    outcome: Literal["done", "over", "full"]


@dataclass(frozen=True, slots=True)
class Intervened:
    """A person told the agent something, or had it say something; or it learned what became of what waited for one."""

    id: str
    kind: Literal["instruct", "say", "news"]
    text: str
    by: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class FlowSwitched:
    """Another flow's agent has the call from now on."""

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
    | Answered
    | Intervened
    | FlowSwitched
    | CallEnded
)
