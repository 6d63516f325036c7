"""The ground truth of a realtime session, readable during the session and afterwards."""

import base64
import time
from dataclasses import dataclass, field
from typing import Any

from realtime.record import Act, SessionRecord
from sandbox.twilio.journal import Journal

AUDIO_FIELDS = {
    "input_audio_buffer.append": "audio",
    "response.output_audio.delta": "delta",
    "session.output_audio.delta": "delta",
}


@dataclass(slots=True)
class SessionTruth(SessionRecord):
    """Times are `time.monotonic()` in seconds."""

    opened_at: float = field(default_factory=time.monotonic)
    closed_at: float | None = None
    close_code: int | None = None
    journal: Journal = field(default_factory=Journal)
    """Every event except `input_audio_buffer.append`; `direction` is received or sent; `body` counts audio in bytes."""

    def received(self, type: str) -> list[dict[str, Any]]:
        return self._bodies(type, "received")

    def sent(self, type: str) -> list[dict[str, Any]]:
        return self._bodies(type, "sent")

    async def until_received(self, type: str) -> dict[str, Any]:
        """Wait for the first client event of that type.  Raises LookupError if the session ends without it."""
        body: dict[str, Any] = (await self.journal.find(type, direction="received"))["body"]
        return body

    async def until_sent(self, type: str) -> dict[str, Any]:
        """Wait for the first server event of that type.  Raises LookupError if the session ends without it."""
        body: dict[str, Any] = (await self.journal.find(type, direction="sent"))["body"]
        return body

    def spoken(self) -> str:
        """Return the model's words, in order, without those that truncations cut."""
        spoken_items = [item for item in self.items.values() if item.words]
        return " ".join(item.transcript() for item in spoken_items).strip()

    def note(self, direction: str, event: dict[str, Any], at: float) -> None:
        name = AUDIO_FIELDS.get(event["type"])
        body = event
        if name is not None:
            body = {key: value for key, value in event.items() if key != name}
            body["audio_bytes"] = len(event[name]) * 3 // 4 - event[name][-2:].count("=")
        self.journal.note(event["type"], at=at, direction=direction, body=body)

    def close(self, code: int) -> None:
        if self.closed_at is None:
            self.closed_at, self.close_code = time.monotonic(), code
            self.journal.close()

    def as_json(self, *, audio: bool = False) -> dict[str, Any]:
        """Return the record; with `audio`, audio as base64, else only its size in bytes."""

        def sound(payload: bytearray) -> str | int:
            return base64.b64encode(payload).decode() if audio else len(payload)

        return {
            "id": self.id,
            "model": self.model,
            "opened_at": self.opened_at,
            "closed_at": self.closed_at,
            "close_code": self.close_code,
            "session": self.session,
            "events": self.journal.events,
            "appends": self.appends,
            "heard": sound(self.heard),
            "understood": self.understood,
            "charged": self.charged,
            "items": [
                {
                    "item": item.wire,
                    "audio": sound(item.audio),
                    "generated_text": "".join(word.text for word in item.words),
                    "truncated_ms": item.truncated_ms,
                }
                for item in self.items.values()
            ],
            "truncations": [_act(act) for act in self.truncations],
            "deletions": [_act(act) for act in self.deletions],
            "cancels": [_act(act) for act in self.cancels],
        }

    def _bodies(self, type: str, direction: str) -> list[dict[str, Any]]:
        return [entry["body"] for entry in self.journal.of(type) if entry["direction"] == direction]


def _act(act: Act) -> dict[str, Any]:
    return {"id": act.id, "at_monotonic": act.at_monotonic, "audio_end_ms": act.audio_end_ms}
