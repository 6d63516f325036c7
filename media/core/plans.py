"""The plans of a call: everything that a core must know before its first frame.

Plain values, all of them given: the defaults are the deployment's settings and the contract's (`media/plan.py`).  Fields named
`_ms` are milliseconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from media.core.modelmessages import Author, CallModel, Tool


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
class AgentPlan:
    """Who speaks for the organization.  ValueError if two tools have the same name."""

    instructions: str  # without the caller's context
    model: CallModel
    caller_context: str = ""  # appended to the instructions
    tools: tuple[Tool, ...] = ()
    # Why the agent is not offered other tools, by name.
    unavailable_tools: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len({tool.name for tool in self.tools}) < len(self.tools):
            raise ValueError("two tools have the same name")


@dataclass(frozen=True, slots=True)
class TurnTaking:
    """How caller and agent take turns."""

    interruptible: bool
    protect_announcement: bool
    cut_after_ms: int  # of the caller's voice over the agent's
    resume_after_ms: int  # of silence after less than that
    false_hear_ms: int  # most wait for our detector alone
    open_turn_ms: int  # most wait for an open turn alone
    unaware_ms: int  # until a caller notices the agent
    digits_pause_ms: int  # after the last key of an entry


@dataclass(frozen=True, slots=True)
class Silences:
    """What is said into a silence, and how long it may last."""

    filler_after_ms: int  # before a filler is played, if there is one
    # Before a waiting caller hears the hold message; twice as long before the next one.
    hold_after_ms: int
    # Before each idle prompt, and then before the close.
    idle_gaps_ms: tuple[int, ...]
    idle_prompts: tuple[Prompt, ...] = ()  # fewer than gaps: the others are silent
    fillers: tuple[Prompt, ...] = ()  # rendered, played in turn


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
class RecordingPlan:
    """Whether the call is recorded, and what is left out."""

    recording: bool
    announce_recording: bool
    recording_paused: bool  # the last stream ended in a pause
    pauses: PauseRules


@dataclass(frozen=True, slots=True)
class ModelPatience:
    """How long a call waits for its model, and how often it may lose it."""

    session_ms: int  # for the server to begin a session
    answer_ms: int  # most time between a response's events
    transcript_deadline_ms: int  # how long a turn waits for its text
    retry_ms: int  # first back-off; doubles per failure
    patience_ms: int  # longest time without a model
    losses_per_minute: int  # sessions lost; one more ends the call
    losses_per_call: int


@dataclass(frozen=True, slots=True)
class DurationLimits:
    """The longest call."""

    max_call_ms: int
    limit_warning_ms: int  # before its end; 0: never


@dataclass(frozen=True, slots=True)
class CallPlan:
    """Everything a conversation must know before its first frame."""

    agent: AgentPlan
    turns: TurnTaking
    silences: Silences
    recording: RecordingPlan
    patience: ModelPatience
    limits: DurationLimits
    under_way_ms: int  # between reports of unfinished turns
    prompts: Mapping[PromptKind, Prompt]
    opens: bool = False  # our call: the agent speaks first
    # What was heard in the call's earlier streams, oldest first; and hints.
    history: tuple[tuple[Author, str], ...] = ()


@dataclass(frozen=True, slots=True)
class MailboxPlan:
    """Everything a mailbox must know before its first frame."""

    silence_ms: int  # after which a message is over
    longest_ms: int
    least_ms: int  # less voice than this is no message
    openings: tuple[Prompt, ...] = ()  # rendered, played before the beep
    thanks: Prompt | None = None
    goodbye: Prompt | None = None  # to a caller who said nothing
    apology: Prompt | None = None
