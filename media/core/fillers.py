"""Fillers and hold messages: what breaks the silence while the caller waits.

A filler is played once for each turn with a late response, the hold message when the wait continues or the model is
unavailable.  The wait is counted from the end of the last sound, the caller's turn or the agent.
"""

from dataclasses import dataclass
from typing import Final

_NEVER: Final = float("inf")


@dataclass(slots=True)
class Fillers:
    """The caller's wait, and what was played during it."""

    after_ms: float  # infinity: never
    hold_after_ms: float
    # Number of the caller's turn that awaits its response.
    _turn: int = 0
    _pending: bool = False  # that turn has had no filler yet
    _holds: int = 0  # hold messages during this wait
    _quiet_ms: float = 0.0  # when the silence began

    def restart(self, at_ms: float) -> None:
        """Restart the wait: the agent was heard until then, or the caller pressed keys."""
        self._quiet_ms = max(self._quiet_ms, at_ms)

    def filler_due_ms(self, turn: int, voiced_ms: float) -> float:
        """Return when a filler is due for this turn; infinity if never.  The caller's voice ended at `voiced_ms`."""
        if turn != self._turn:
            self._turn, self._pending = turn, True
            self._quiet_ms = max(self._quiet_ms, voiced_ms)
        return self._quiet_ms + self.after_ms if self._pending else _NEVER

    def filler_queued(self) -> None:
        """Record that a filler is queued."""
        self._pending = False

    def hold_due_ms(self, since_ms: float) -> float:
        """Return when the hold message is due, the wait having begun at `since_ms`."""
        self._quiet_ms = max(self._quiet_ms, since_ms)
        return self._quiet_ms + (2 if self._holds else 1) * self.hold_after_ms

    def hold_queued(self) -> None:
        """Record that the hold message is queued."""
        self._holds += 1

    def end(self) -> None:
        """End the wait."""
        self._holds = 0
