"""What is recorded about a realtime session while it runs.  Pure."""

from dataclasses import dataclass, field
from typing import Any

from sandbox.openai.conversation import Item


@dataclass(frozen=True, slots=True)
class Act:
    """Something the client did to an item or a response, accepted by the server."""

    id: str
    at_monotonic: float
    audio_end_ms: int | None = None


@dataclass(slots=True)
class Record:
    """Times are seconds on the session's clock.  Audio is in the format of its direction, as on the wire."""

    id: str
    model: str
    appends: list[tuple[float, int]] = field(default_factory=list)
    """(when, bytes) of each input_audio_buffer.append."""
    heard: bytearray = field(default_factory=bytearray)
    """All caller audio."""
    understood: dict[str, str] = field(default_factory=dict)
    """The text of each caller item, by item id."""
    items: dict[str, Item] = field(default_factory=dict)
    """Every item that ever existed, even if deleted; for the model's own, `audio` is everything that was sent."""
    truncations: list[Act] = field(default_factory=list)
    deletions: list[Act] = field(default_factory=list)
    cancels: list[Act] = field(default_factory=list)
    charged: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """The model and usage of each response and transcription that it told the client of."""
    session: dict[str, Any] = field(default_factory=dict)
    """The current configuration."""

    def append(self, at: float, payload: bytes) -> None:
        self.appends.append((at, len(payload)))
        self.heard += payload

    def charge(self, model: str, usage: dict[str, Any]) -> None:
        self.charged.append((model, usage))

    def note(self, direction: str, event: dict[str, Any], at: float) -> None:
        """An event was `received` or `sent`.  Does nothing here; subclasses may record it."""
