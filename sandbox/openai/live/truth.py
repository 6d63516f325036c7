"""The ground truth of a Live session, readable during the session and afterwards."""

from dataclasses import dataclass, field
from typing import Any

from sandbox.openai.live.record import LiveRecord
from sandbox.openai.truth import SessionTruth


@dataclass(slots=True)
class LiveTruth(SessionTruth):
    """A session's truth, with what was said, appended and delegated in it."""

    live: LiveRecord = field(default_factory=LiveRecord)

    def spoken(self) -> str:
        """Return the model's words that were sent, in order."""
        return self.live.spoken()

    def as_json(self, *, audio: bool = False) -> dict[str, Any]:
        """Return the record; with `audio`, audio as base64, else only its size in bytes."""
        return SessionTruth.as_json(self, audio=audio) | self.live.as_json()
