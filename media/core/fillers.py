"""When a filler breaks the silence before an answer: once for each turn whose answer takes too long.

The wait is counted from the end of whatever was heard last, the caller's turn or the agent.
"""

from dataclasses import dataclass


@dataclass(slots=True)
class Fillers:
    after_ms: float  # infinity: never
    _turn: int = 0  # number of the caller's turn that awaits its answer
    _pending: bool = False  # that turn has had no filler yet
    _quiet_ms: float = 0.0  # when the silence began

    def sound(self, at_ms: float) -> None:
        """The agent was heard until then, or the caller pressed keys."""
        self._quiet_ms = max(self._quiet_ms, at_ms)

    def waiting(self, turn: int, voiced_ms: float) -> float:
        """When a filler is due for this turn, given that the caller's voice ended at `voiced_ms`; infinity if never."""
        if turn != self._turn:
            self._turn, self._pending = turn, True
            self._quiet_ms = max(self._quiet_ms, voiced_ms)
        return self._quiet_ms + self.after_ms if self._pending else float("inf")

    def filled(self) -> None:
        self._pending = False
