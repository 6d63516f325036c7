"""What breaks the silence while the caller waits: a filler, once for each turn whose answer takes too long, and the hold
phrase, when the wait goes on or the model is away.

The wait is counted from the end of whatever was heard last, the caller's turn or the agent.
"""

from dataclasses import dataclass
from typing import Final

_NEVER: Final = float("inf")


@dataclass(slots=True)
class Fillers:
    after_ms: float  # infinity: never
    hold_after_ms: float
    _turn: int = 0  # number of the caller's turn that awaits its answer
    _pending: bool = False  # that turn has had no filler yet
    _holds: int = 0  # hold phrases during this wait
    _quiet_ms: float = 0.0  # when the silence began

    def sound(self, at_ms: float) -> None:
        """The agent was heard until then, or the caller pressed keys."""
        self._quiet_ms = max(self._quiet_ms, at_ms)

    def waiting(self, turn: int, voiced_ms: float) -> float:
        """When a filler is due for this turn, given that the caller's voice ended at `voiced_ms`; infinity if never."""
        if turn != self._turn:
            self._turn, self._pending = turn, True
            self._quiet_ms = max(self._quiet_ms, voiced_ms)
        return self._quiet_ms + self.after_ms if self._pending else _NEVER

    def filled(self) -> None:
        self._pending = False

    def holding(self, since_ms: float) -> float:
        """When the hold phrase is due, the wait having begun at `since_ms`."""
        self._quiet_ms = max(self._quiet_ms, since_ms)
        return self._quiet_ms + (2 if self._holds else 1) * self.hold_after_ms

    def held(self) -> None:
        self._holds += 1

    def over(self) -> None:
        """The wait is over."""
        self._holds = 0
