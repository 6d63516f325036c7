"""Whether the agent waits for the caller to finish before it begins to speak.

Two detectors hear the caller: ours, at once, and the model's, which alone knows when a turn is over.  While both hear
them, or the turn is open, nothing begins.  Either may be wrong or stuck, so the wait for one alone has an end.
"""

from typing import Final

_NEVER: Final = float("inf")


class Caller:
    __slots__ = (
        "_false_hear_ms",
        "_open_turn_ms",
        "_ours",
        "_since_ms",
        "_theirs",
        "ignored",
        "unaware_ms",
    )

    def __init__(self, false_hear_ms: float, open_turn_ms: float, unaware_ms: float) -> None:
        """How long our detector alone, or an open turn alone, keeps the agent from speaking, and how long it takes a caller to
        become aware that it does.
        """
        self.unaware_ms = unaware_ms
        self.ignored = False  # the call is closing: nobody waits any more
        self._false_hear_ms, self._open_turn_ms = false_hear_ms, open_turn_ms
        self._ours = self._theirs = False
        self._since_ms = -_NEVER  # when either changed last

    def heard(self, hears: bool, now_ms: float) -> bool:
        """Our detector hears the caller, or does not; returns whether that is news."""
        if hears is self._ours:
            return False
        self._ours, self._since_ms = hears, now_ms
        return True

    def turn(self, is_open: bool, now_ms: float) -> None:
        """The model has heard a turn begin, or has taken it."""
        if is_open is not self._theirs:
            self._theirs, self._since_ms = is_open, now_ms

    def speaks(self, now_ms: float) -> bool:
        """Whether to wait for the caller."""
        if self.ignored or not (self._ours or self._theirs):
            return False
        if self._ours and self._theirs:
            return True
        return now_ms - self._since_ms < (self._false_hear_ms if self._ours else self._open_turn_ms)
