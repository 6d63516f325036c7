"""Prompts for a silent caller, and the end of a call that has gone on too long: by elapsed time, since comfort noise
defeats a detector.  A sign of life is a turn or a digit from the caller, or the agent's voice.
"""

from dataclasses import dataclass
from enum import Enum, auto


class Due(Enum):
    PROMPT = auto()
    CLOSE_IDLE = auto()
    CLOSE_TOO_LONG = auto()


@dataclass(slots=True)
class Silence:
    idle_after_ms: int
    prompts: int
    max_call_ms: int
    gaps_ms: tuple[int, ...] = ()  # before each of the first prompts, in place of `idle_after_ms`
    _started_ms: float = 0.0
    _alive_ms: float = 0.0
    _prompted: int = 0

    def begin(self, now_ms: float) -> None:
        """The call has started."""
        self._started_ms = self._alive_ms = now_ms

    def agent_speaks(self, now_ms: float) -> None:
        self._alive_ms = now_ms

    def caller_acts(self, now_ms: float) -> None:
        self._alive_ms, self._prompted = now_ms, 0

    @property
    def prompted(self) -> int:
        """How many prompts in a row were due."""
        return self._prompted

    def due(self, now_ms: float, *, caller_speaks: bool = False) -> Due | None:
        """What is due now; each is returned once.  A prompt is not due while the caller speaks."""
        if now_ms - self._started_ms >= self.max_call_ms:
            return Due.CLOSE_TOO_LONG
        wait_ms = self.gaps_ms[self._prompted] if self._prompted < len(self.gaps_ms) else self.idle_after_ms
        if caller_speaks or now_ms - self._alive_ms < wait_ms:
            return None
        self._alive_ms = now_ms
        self._prompted += 1
        return Due.PROMPT if self._prompted <= self.prompts else Due.CLOSE_IDLE
