"""The parts that a session shares with its answers.  Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from realtime.codec import Codec
from realtime.conversation import RealtimeConversation
from realtime.ids import NewId
from realtime.metering import Meter
from realtime.mind import Mind, Voiced
from realtime.record import SessionRecord

Do = Callable[[], None]


class Clock(Protocol):
    """A clock with timers, in seconds.  Servers use the event loop's, tests and benchmarks an agenda."""

    @property
    def now(self) -> float: ...
    def at(self, when: float, do: Do) -> None: ...


class Senses(Protocol):
    """Speech recognition and synthesis.  Each calls `then` once, now or later, with an Exception on failure.

    `utter` may return what stops it; `then` is not called after that.
    """

    def utter(self, text: str, voice: str, codec: Codec, then: Callable[[Voiced | Exception], None]) -> Do | None: ...
    def hear(self, codec: Codec, audio: bytes, then: Callable[[str | Exception], None]) -> None: ...


class Rules(Protocol):
    """How the server hears turns and sends speech; times in ms."""

    @property
    def eagerness_ms(self) -> Mapping[str, int]:
        """The silence that ends a turn for semantic_vad."""

    @property
    def speech_dbfs(self) -> float:
        """The level from which a frame is speech."""

    @property
    def onset_ms(self) -> int:
        """The length of continuous speech that begins a turn."""

    @property
    def padded_turns(self) -> bool:
        """Whether the times of a turn include the prefix and the silence around its speech, as documented for server_vad."""

    @property
    def transcription_delay_ms(self) -> float:
        """From the text of a turn until the client gets it."""

    @property
    def chunk_ms(self) -> int:
        """The audio in one event."""

    @property
    def speed(self) -> float:
        """Audio is sent at this multiple of real time."""

    @property
    def word_lead_ms(self) -> int:
        """A word's text comes at least this long before its sound."""

    @property
    def session_limit_s(self) -> float:
        """The longest session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """`send` takes each complete server event."""

    send: Callable[[dict[str, Any]], None]
    conversation: RealtimeConversation
    truth: SessionRecord
    mind: Mind
    senses: Senses
    rules: Rules
    clock: Clock
    new_id: NewId
    meter: Meter = field(default_factory=Meter)

    def emit(self, type: str, fields: dict[str, Any]) -> None:
        self.send({"type": type, "event_id": self.new_id("event"), **fields})
