"""The record of a realtime session, written while it runs.  Pure."""

from dataclasses import dataclass, field
from typing import Any

from realtime.conversation import RealtimeItem


@dataclass(frozen=True, slots=True)
class Act:
    """An action of the client on an item or a response that the server accepted."""

    id: str
    at_monotonic: float
    audio_end_ms: int | None = None


@dataclass(slots=True)
class SessionRecord:
    """Times are seconds on the session's clock.  Audio is in the format of its direction, as on the wire."""

    id: str
    model: str
    appends: list[tuple[float, int]] = field(default_factory=list)
    """(when, bytes) of each input_audio_buffer.append."""
    heard: bytearray = field(default_factory=bytearray)
    """All caller audio."""
    understood: dict[str, str] = field(default_factory=dict)
    """The text of each caller item, by item id."""
    items: dict[str, RealtimeItem] = field(default_factory=dict)
    """Every item ever created, even if deleted; `audio` of the model's own items is all that was sent."""
    truncations: list[Act] = field(default_factory=list)
    deletions: list[Act] = field(default_factory=list)
    cancels: list[Act] = field(default_factory=list)
    charged: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Model and usage of each response and transcription that was reported to the client."""
    session: dict[str, Any] = field(default_factory=dict)
    """The current configuration."""

    def append(self, at: float, payload: bytes) -> None:
        self.appends.append((at, len(payload)))
        self.heard += payload

    def charge(self, model: str, usage: dict[str, Any]) -> None:
        self.charged.append((model, usage))

    def note(self, direction: str, event: dict[str, Any], at: float) -> None:
        """Record an event that was `received` or `sent`; does nothing unless a subclass overrides it."""
