"""The parts that a session shares with its answers.  Pure."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from sandbox.clock import Clock
from sandbox.openai.codec import Codec
from sandbox.openai.conversation import RealtimeConversation
from sandbox.openai.ids import NewId
from sandbox.openai.metering import Meter
from sandbox.openai.record import SessionRecord
from sandbox.openai.script import Tone, Turn
from sandbox.openai.settings import Faults, Settings
from sandbox.speech.sound import Word


@dataclass(frozen=True, slots=True)
class Voiced:
    """An utterance's audio in the wire format, and the times of its words."""

    payload: bytes
    words: list[Word]


class Senses(Protocol):
    """Speech recognition and synthesis.  Each calls `then` once, now or later, with an Exception on failure."""

    def utter(self, text: str, voice: str, codec: Codec, then: Callable[[Voiced | Exception], None]) -> None: ...
    def tone(self, tone: Tone, codec: Codec) -> Voiced: ...
    def hear(self, codec: Codec, audio: bytes, then: Callable[[str | Exception], None]) -> None: ...


class Player(Protocol):
    """A position in a script."""

    def next_turn(self) -> Turn | None: ...
    def by_rule(self, caller_text: str, called: list[str]) -> Turn | None: ...
    def otherwise(self) -> Turn | None: ...


@dataclass(frozen=True, slots=True)
class Stage:
    """`send` takes each complete server event."""

    send: Callable[[dict[str, Any]], None]
    conversation: RealtimeConversation
    truth: SessionRecord
    player: Player
    senses: Senses
    settings: Settings
    faults: Faults
    clock: Clock
    new_id: NewId
    meter: Meter = field(default_factory=Meter)

    def emit(self, type: str, fields: dict[str, Any]) -> None:
        self.send({"type": type, "event_id": self.new_id("event"), **fields})
