"""The onset gate: whether an onset over the agent is the caller's, and neither a voice in their room nor the agent's echo."""

from media.core.background import Background
from media.core.backlog import Backlog
from media.core.echo import EchoGate, Played
from media.core.refusedonsets import Refusals
from media.core.types import Emit, Onset, Refusal


class OnsetGate:
    """Judges the onsets on one caller's line, and reports those that it refused."""

    __slots__ = ("_background", "echo", "refusals")

    def __init__(self, played: Played, history: Backlog, emit: Emit) -> None:
        """Create the gate of a line; `history` has the line's newest frames."""
        self._background = Background()
        self.echo = EchoGate(played, history)
        self.refusals = Refusals(emit)

    def turn_frame(self, level_db: float) -> None:
        """Learn from 20 ms of a voice while the agent is silent."""
        self._background.turn_frame(level_db)

    def frame(self, level_db: float, now_ms: float, *, loud: bool, voiced: bool, overlap: bool) -> None:
        """Learn from 20 ms of the line while the agent is audible; in an overlap it was silenced, and has no echo."""
        self._background.frame(level_db, loud=loud)
        if not overlap:
            self.echo.frame(level_db, now_ms, voiced=voiced)

    def passes(self, level_db: float, loud_frames: int, now_ms: float, at_ms: int, onset: Onset) -> bool:
        """Return whether an onset, `at_ms` in the call, is the caller's; it has been loud for this many frames."""
        reason: Refusal = "echo"
        if not self._background.passes(level_db):
            reason = "background"
        elif self.echo.passes(level_db, loud_frames, now_ms):
            self.refusals.passed()
            return True
        self.refusals.refused(at_ms, onset, reason)
        return False
