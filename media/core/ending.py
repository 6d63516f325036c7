"""When a call ends, and how: a silent caller, a call that lasts too long, a close that waits for the last words."""

from media.core.leg import HangUp, Outcome
from media.core.silence import Silence
from media.core.types import CallPlan


class Ending:
    """Tracks one close: the first that was begun."""

    __slots__ = ("_deadline_ms", "_patience_ms", "closing", "outcome", "silence")

    def __init__(self, plan: CallPlan) -> None:
        self.closing = False  # the call ends once everything was heard
        self.outcome: Outcome = HangUp("caller")  # how, once it is closing
        self.silence = Silence(plan.idle_after_ms, plan.idle_prompts, plan.max_call_ms, plan.idle_gaps_ms)
        self._patience_ms = plan.close_deadline_ms
        self._deadline_ms = 0.0

    def begin(self, outcome: Outcome, now_ms: float) -> None:
        """End the call with this outcome once everything was heard, or that has taken too long."""
        if not self.closing:
            self.closing, self.outcome, self._deadline_ms = True, outcome, now_ms + self._patience_ms

    def due(self, now_ms: float, *, silent: bool) -> bool:
        """Whether to leave now; `silent` if nothing is heard, and nothing is about to be."""
        return self.closing and (silent or now_ms >= self._deadline_ms)
