"""Idle prompts for a silent caller, and the end of a call that has lasted too long.

By elapsed time, since comfort noise defeats a detector.  A turn or a digit from the caller, and the agent's voice,
restart the idle time.
"""

from dataclasses import dataclass
from enum import Enum, auto


class Due(Enum):
    """What is due to a silent or long call."""

    PROMPT = auto()
    CLOSE_IDLE = auto()
    WARN = auto()
    CLOSE_TOO_LONG = auto()


@dataclass(slots=True)
class IdleTimer:
    """The idle time and the duration of one call."""

    gaps_ms: tuple[int, ...]  # before each prompt, and then before the close
    max_call_ms: int
    # How long before the end of the longest call its end is announced; 0: never.
    warning_ms: int = 0
    _started_ms: float = 0.0
    _alive_ms: float = 0.0
    _prompted: int = 0
    _warned: bool = False

    def begin(self, now_ms: float) -> None:
        """Start the call's clock."""
        self._started_ms = self._alive_ms = now_ms

    def follow(self, gaps_ms: tuple[int, ...]) -> None:
        """Follow another agent's idle times; the call's longest duration stays."""
        self.gaps_ms = gaps_ms

    def agent_speaks(self, now_ms: float) -> None:
        self._alive_ms = now_ms

    def caller_acts(self, now_ms: float) -> None:
        self._alive_ms, self._prompted = now_ms, 0

    @property
    def prompted(self) -> int:
        """The number of prompts in a row that were due."""
        return self._prompted

    def due(self, now_ms: float, *, caller_speaks: bool = False, quiet: bool = True) -> Due | None:
        """Return what is due now, each once; None if nothing is.

        A prompt is not due while the caller speaks, nor the warning unless all is `quiet`: it interrupts no speech.
        """
        lasted_ms = now_ms - self._started_ms
        if lasted_ms >= self.max_call_ms:
            return Due.CLOSE_TOO_LONG
        if quiet and self.warning_ms and not self._warned and lasted_ms >= self.max_call_ms - self.warning_ms:
            self._warned = True
            return Due.WARN
        wait_ms = self.gaps_ms[min(self._prompted, len(self.gaps_ms) - 1)]
        if caller_speaks or now_ms - self._alive_ms < wait_ms:
            return None
        self._alive_ms = now_ms
        self._prompted += 1
        return Due.PROMPT if self._prompted < len(self.gaps_ms) else Due.CLOSE_IDLE
