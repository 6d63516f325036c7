"""A call's model, independent of who serves it: events from its session, and commands to it.

An adapter (media/models/) translates between a server's wire format and these.  Ids are the server's, and opaque.  Audio is
headerless G.711 mu-law, 8 kHz, 8 bytes per ms.  As on the caller's side, what comes with every message is a msgspec struct.
"""

from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from media.core.legmessages import Outcome

Role = Literal["caller", "agent"]
Author = Role | Literal["system"]  # system: what happened to the call
Eagerness = Literal["low", "medium", "high", "auto"]

#: A response of more audio (five minutes) or text counts as a fault, and so does a caller's turn of more text.
MAX_ANSWER_AUDIO_BYTES = 300 * 8_000
MAX_TEXT_CHARS = 32_768


@dataclass(frozen=True, slots=True)
class TurnModel:
    """A model that finds the ends of the caller's turns, and speaks when a response is requested."""

    name: str
    voice: str
    transcription: str  # the model that writes down the caller's turns
    language: str | None = None  # of the caller, ISO 639-1
    eagerness: Eagerness = "high"


@dataclass(frozen=True, slots=True)
class DuplexModel:
    """A model that hears the caller all the time and decides by itself when to speak and when to stop."""

    name: str
    voice: str


CallModel = TurnModel | DuplexModel


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool of the agent's.  ValueError if its parameters are no object, or it has no timeout, outcome or switch."""

    name: str
    description: str
    parameters_json: str  # a JSON Schema of an object
    timeout_ms: int = 0  # for the result
    # If set, the tool is not run: the call ends with this outcome after the agent has finished speaking.
    outcome: Outcome | None = None
    # If set, the tool is not run: the recording pauses or resumes.
    recording: Literal["pause", "resume"] | None = None

    def __post_init__(self) -> None:
        msgspec.json.decode(self.parameters_json, type=dict[str, Any])
        if self.outcome is None and self.recording is None and self.timeout_ms <= 0:
            raise ValueError(f"the tool {self.name} has no time limit")


@dataclass(frozen=True, slots=True)
class ModelUsed:
    """The usage of one response, or of one transcription of a caller's turn: tokens, new and cached, or time."""

    model: str
    audio_in: int = 0
    text_in: int = 0
    cached_audio_in: int = 0
    cached_text_in: int = 0
    audio_out: int = 0
    text_out: int = 0
    transcribed_ms: int = 0
    session_ms: int = 0  # of a session that costs by its duration
    spoken_ms: int = 0  # of speech that costs by its duration

    @property
    def is_something(self) -> bool:
        read = self.audio_in + self.text_in + self.cached_audio_in + self.cached_text_in
        return read + self.audio_out + self.text_out + self.transcribed_ms + self.session_ms + self.spoken_ms > 0


# Events: what the model's session tells.


class SessionBegun(msgspec.Struct, frozen=True):
    """The server has confirmed the session; it may say so more than once."""


class SessionRejected(msgspec.Struct, frozen=True):
    """The server refuses the session as it was asked for; `detail` is what it says about that."""

    detail: str


class CallerBegan(msgspec.Struct, frozen=True):
    """The caller began a turn, `session_ms` into the audio of this session."""

    turn_id: str
    session_ms: int


class CallerPaused(msgspec.Struct, frozen=True):
    """The caller's voice ended, `session_ms` into the audio of this session."""

    turn_id: str
    session_ms: int


class TurnCommitted(msgspec.Struct, frozen=True):
    """The caller's turn is over: it is in the conversation, and a response may follow."""

    turn_id: str


class CallerWords(msgspec.Struct, frozen=True):
    """A piece of the transcript of a caller's turn."""

    turn_id: str
    text: str


class CallerText(msgspec.Struct, frozen=True):
    """The whole transcript of a caller's turn, empty if there is none, and what it used; `failed`: what was said is unknown."""

    turn_id: str
    text: str = ""
    used: ModelUsed | None = None
    failed: bool = False


class ResponseBegan(msgspec.Struct, frozen=True):
    """The server began a response."""

    response_id: str


class ItemBegan(msgspec.Struct, frozen=True):
    """A response began to speak an item, whose audio and words follow."""

    response_id: str
    item_id: str


class ItemEnded(msgspec.Struct, frozen=True):
    """No audio of this item follows."""

    item_id: str


class AgentAudio(msgspec.Struct, frozen=True, gc=False):
    """A piece of an item's audio."""

    response_id: str
    item_id: str
    ulaw: bytes


class AgentWords(msgspec.Struct, frozen=True):
    """A piece of an item's text, which belongs to the audio that comes next."""

    item_id: str
    text: str


class AgentText(msgspec.Struct, frozen=True):
    """The whole text of an item."""

    item_id: str
    text: str


class ResponseEnded(msgspec.Struct, frozen=True):
    """A response is over, and what it used; `broken`: cancelled, or cut short by the server."""

    response_id: str
    how: Literal["complete", "failed", "broken"]
    used: ModelUsed | None = None


class FunctionNamed(msgspec.Struct, frozen=True):
    """The name of the function that the item calls, before its arguments."""

    item_id: str
    name: str


class FunctionCalled(msgspec.Struct, frozen=True):
    """The model calls a function; without a name here, it is the one that was named for this item."""

    response_id: str
    item_id: str
    tool_call_id: str
    arguments_json: str
    name: str = ""


class StreamAudio(msgspec.Struct, frozen=True, gc=False):
    """The next piece of what a duplex model says, at the pace at which it is heard, silence included."""

    ulaw: bytes


class StreamWords(msgspec.Struct, frozen=True):
    """Words of a duplex session, and when they were said, on its clock."""

    role: Role
    text: str
    start_ms: int
    end_ms: int


class TaskDelegated(msgspec.Struct, frozen=True):
    """A duplex model leaves a task to us, at this time on the session's clock; what it is, the conversation says."""

    delegation_id: str
    session_ms: int


class SessionUsed(msgspec.Struct, frozen=True):
    """How long a session has lasted, as it is charged."""

    session_ms: int


class SessionOver(msgspec.Struct, frozen=True):
    """The server has ended the session; `session_ms` as in SessionUsed, if it says so."""

    reason: str
    session_ms: int | None = None


class CommandRefused(msgspec.Struct, frozen=True):
    """The server refuses a command; None if it does not say which one."""

    request_id: str | None


class StageUsed(msgspec.Struct, frozen=True):
    """A model of several stages has asked one of them; `error` says how that failed."""

    stage: Literal["ears", "mind", "mouth"]
    took_ms: int
    used: ModelUsed
    error: str = ""


class ResponseGoesOn(msgspec.Struct, frozen=True):
    """A response is alive, though nothing of it came that is used here."""


class Unused(msgspec.Struct, frozen=True):
    """Something that is not used here."""


class MalformedEvent(msgspec.Struct, frozen=True):
    """Something that is no event, or lacks what its kind must have."""


ModelEvent = (
    SessionBegun
    | SessionRejected
    | CallerBegan
    | CallerPaused
    | TurnCommitted
    | CallerWords
    | CallerText
    | ResponseBegan
    | ItemBegan
    | ItemEnded
    | AgentAudio
    | AgentWords
    | AgentText
    | ResponseEnded
    | FunctionNamed
    | FunctionCalled
    | StreamAudio
    | StreamWords
    | TaskDelegated
    | SessionUsed
    | SessionOver
    | CommandRefused
    | StageUsed
    | ResponseGoesOn
    | Unused
    | MalformedEvent
)


# Commands: what the core asks of the session.


class BeginSession(msgspec.Struct, frozen=True):
    """Configure a session on the new socket: the agent's instructions, with the caller's context, and its tools.

    A duplex session also gets the conversation so far, which it can't be sent later.
    """

    instructions: str
    tools: tuple[Tool, ...] = ()
    history: tuple[tuple[Author, str], ...] = ()


class ReplaceInstructions(msgspec.Struct, frozen=True):
    """Replace the instructions, for responses from now on."""

    instructions: str


class CallerAudio(msgspec.Struct, frozen=True, gc=False):
    """Append the caller's audio."""

    ulaw: bytes


class AddMessage(msgspec.Struct, frozen=True):
    """Add a text to the conversation, after the item `after` or at the end.

    It is what the agent said without the model, what the caller typed, or what an earlier session heard.
    """

    author: Author
    text: str
    after: str | None = None


class RequestResponse(msgspec.Struct, frozen=True):
    """Have the model respond; with `instructions`, as these say instead of the session's."""

    request_id: str
    instructions: str | None = None


class CancelResponse(msgspec.Struct, frozen=True):
    """Cancel a response; None for the one that was requested last and has no id yet."""

    response_id: str | None


class ItemHeard(msgspec.Struct, frozen=True):
    """Tell how much of an item the caller heard, within its audio; 0: nothing, so that it was not said."""

    item_id: str
    heard_ms: int


class FunctionResult(msgspec.Struct, frozen=True):
    """Answer a function call."""

    tool_call_id: str
    output_json: str


class Tell(msgspec.Struct, frozen=True):
    """Tell a duplex model something: a rule to follow, a fact to know, or what to say; the answer to a task if it has its id."""

    how: Literal["rule", "fact", "say"]
    text: str
    delegation_id: str | None = None


class EndSession(msgspec.Struct, frozen=True):
    """End a duplex session, which costs until then."""


TurnCommand = (
    BeginSession
    | ReplaceInstructions
    | CallerAudio
    | AddMessage
    | RequestResponse
    | CancelResponse
    | ItemHeard
    | FunctionResult
)
DuplexCommand = BeginSession | CallerAudio | Tell | EndSession
ModelCommand = TurnCommand | DuplexCommand
