"""The end of a call: a silent caller, a call that lasts too long, a close that waits for the last words."""

from typing import Final

from media.core.idletimer import IdleTimer
from media.core.legmessages import HangUp, MoveOn, Outcome
from media.core.machinemessage import MachineMessage
from media.core.plans import CallPlan, PromptKind

#: Most time for a spoken close, and for a message to a machine.
CLOSE_DEADLINE_MS: Final = 15_000.0
LONGEST_MESSAGE_MS: Final = 180_000.0


class Ending:
    """The close of one call: the first that was begun."""

    __slots__ = ("_deadline_ms", "_last_words_by_ms", "closing", "idle_timer", "last", "machine", "outcome")

    def __init__(self, plan: CallPlan) -> None:
        self.closing = False  # ends after everything was heard
        self.outcome: Outcome = HangUp("caller")  # used once it is closing
        # The prompt still to be said, once no overlap is pending.
        self.last: PromptKind | None = None
        self.machine = MachineMessage()
        limits = plan.limits
        self.idle_timer = IdleTimer(plan.silences.idle_gaps_ms, limits.max_call_ms, limits.limit_warning_ms)
        self._deadline_ms = 0.0
        self._last_words_by_ms: float | None = None

    def begin(self, outcome: Outcome, deadline_ms: float, last: PromptKind | None) -> None:
        """End the call with this outcome after everything was heard, `last` included, or at the deadline."""
        if not self.closing:
            self.closing, self.outcome, self._deadline_ms, self.last = True, outcome, deadline_ms, last

    def is_hearing_last_words(self, by_ms: float, now_ms: float, *, speaks: bool, silent: bool) -> bool | None:
        """Return whether the caller is still hearing the agent's last words; None if there were none.

        They end at `by_ms` at the latest.
        """
        if self._last_words_by_ms is None:
            if not speaks:
                return None
            self._last_words_by_ms = by_ms
        return not silent and now_ms < self._last_words_by_ms

    def revoke_last_words(self) -> None:
        """Revoke the last words: the call continues."""
        self._last_words_by_ms = None

    def due(self, now_ms: float, *, silent: bool) -> bool:
        """Return whether to leave now; `silent` if nothing is heard, and nothing is about to be."""
        return self.closing and (silent or now_ms >= self._deadline_ms)


def farewell(outcome: Outcome) -> PromptKind:
    """Return the prompt that precedes leaving if the agent says nothing."""
    return PromptKind.HOLD if isinstance(outcome, MoveOn) else PromptKind.GOODBYE
