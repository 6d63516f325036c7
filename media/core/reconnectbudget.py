"""The reconnect budget: how much of a failing model a call tolerates, and the back-off before it dials again.

There are two budgets: time without a session (patience), and the number of sessions lost, since one that opens and
breaks again and again never exhausts the first.
"""

from collections import deque
from typing import Final

from media.core.plans import ModelPatience

MINUTE_MS: Final = 60_000.0
#: Longest back-off, so that a model that is available again is noticed soon.
LONGEST_WAIT_MS: Final = 1_000.0
MOST_DOUBLINGS: Final = 10
_NEVER: Final = float("inf")


class ReconnectBudget:
    """The reconnect budget of one call."""

    __slots__ = ("_failures", "_lost", "_patience", "_recent", "outage_since_ms")

    def __init__(self, patience: ModelPatience) -> None:
        # Since when there has been no session; infinity if there is one.
        self.outage_since_ms = _NEVER
        self._patience = patience
        self._failures = 0  # since the last complete response
        self._lost = 0  # sessions, in the whole call
        self._recent: deque[float] = deque(maxlen=patience.losses_per_minute + 1)

    def start_outage(self, now_ms: float) -> None:
        """Start the time without a session, unless there was none before."""
        self.outage_since_ms = min(self.outage_since_ms, now_ms)

    def end_outage(self) -> None:
        """Stop the time without a session."""
        self.outage_since_ms = _NEVER

    def response_complete(self) -> None:
        """Reset the back-off: a complete response proves that the model works."""
        self._failures = 0

    def lost(self, now_ms: float, *, confirmed: bool) -> None:
        """Record a connection that is lost or could not be made; `confirmed` if it had a session."""
        self.start_outage(now_ms)
        self._failures += 1
        if confirmed:
            self._lost += 1
            self._recent.append(now_ms)

    @property
    def wait_ms(self) -> float:
        """The back-off before the next dial; doubles with each failure."""
        doublings = min(self._failures - 1, MOST_DOUBLINGS)
        return min(LONGEST_WAIT_MS, self._patience.retry_ms * 2**doublings) if self._failures else 0.0

    def exhausted(self, now_ms: float) -> str:
        """Return why the budget is exhausted, in words; "" if it is not."""
        patience, recent = self._patience, self._recent
        if self._lost > patience.losses_per_call:
            return f"the model was lost {self._lost} times in this call"
        if len(recent) > patience.losses_per_minute and now_ms - recent[0] < MINUTE_MS:
            return f"the model was lost {len(recent)} times within a minute"
        if now_ms - self.outage_since_ms >= patience.patience_ms:
            return f"there was no model for {patience.patience_ms / 1000:g} s"
        return ""
