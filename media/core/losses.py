"""How much of a failing model a call tolerates, and how soon it dials again.

Two budgets: time without a session (patience), and the number of sessions lost, since one that opens and breaks again and
again never exhausts anybody's patience.
"""

from collections import deque
from typing import Final

from media.core.types import CallPlan

MINUTE_MS: Final = 60_000.0
LONGEST_WAIT_MS: Final = 1_000.0  # before a dial, so that a model that is back is noticed soon
MOST_DOUBLINGS: Final = 10
_NEVER: Final = float("inf")


class Losses:
    __slots__ = ("_failures", "_lost", "_plan", "_recent", "away_ms")

    def __init__(self, plan: CallPlan) -> None:
        self.away_ms = _NEVER  # since when there has been no session; infinity if there is one
        self._plan = plan
        self._failures = 0  # since the last complete answer
        self._lost = 0  # sessions, in the whole call
        self._recent: deque[float] = deque(maxlen=plan.losses_per_minute + 1)

    def away(self, now_ms: float) -> None:
        """There is no session from now on, unless there was none before."""
        self.away_ms = min(self.away_ms, now_ms)

    def back(self) -> None:
        """There is a session again."""
        self.away_ms = _NEVER

    def answered(self) -> None:
        """An answer is complete: the model works."""
        self._failures = 0

    def lost(self, now_ms: float, *, stood: bool) -> None:
        """A connection is lost or could not be made; `stood` if it had a session."""
        self.away(now_ms)
        self._failures += 1
        if stood:
            self._lost += 1
            self._recent.append(now_ms)

    @property
    def wait_ms(self) -> float:
        """How long to wait before the next dial; doubles with each failure."""
        doublings = min(self._failures - 1, MOST_DOUBLINGS)
        return min(LONGEST_WAIT_MS, self._plan.retry_ms * 2**doublings) if self._failures else 0.0

    def enough(self, now_ms: float) -> str:
        """Why the call is to be given up, in words; empty if it is to go on."""
        plan, recent = self._plan, self._recent
        if self._lost > plan.losses_per_call:
            return f"the model was lost {self._lost} times in this call"
        if len(recent) > plan.losses_per_minute and now_ms - recent[0] < MINUTE_MS:
            return f"the model was lost {len(recent)} times within a minute"
        if now_ms - self.away_ms >= plan.patience_ms:
            return f"there was no model for {plan.patience_ms / 1000:g} s"
        return ""
