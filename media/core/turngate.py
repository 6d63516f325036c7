"""The turn gate: whether the agent waits for the caller to finish before it begins to speak.

Two detectors hear the caller: ours, at once, and the server's, which alone performs endpointing.  While both hear
the caller, no response begins.  Either may be wrong or stuck, so waiting for one alone has a limit.
"""

from typing import Final

_NEVER: Final = float("inf")


class TurnGate:
    """The caller's turn as both detectors hear it."""

    __slots__ = (
        "_detector_hears",
        "_false_hear_ms",
        "_open_turn_ms",
        "_since_ms",
        "_turn_open",
        "ignored",
        "unaware_ms",
    )

    def __init__(self, false_hear_ms: float, open_turn_ms: float, unaware_ms: float) -> None:
        """Create the gate.

        `false_hear_ms` limits how long our detector alone delays the agent, `open_turn_ms` how long an open turn
        alone does.  A caller takes `unaware_ms` to notice that the agent has begun to speak.
        """
        self.unaware_ms = unaware_ms
        # Set when the call is closing: the agent waits for the caller no longer.
        self.ignored = False
        self._false_hear_ms, self._open_turn_ms = false_hear_ms, open_turn_ms
        self._detector_hears = self._turn_open = False
        # When either detector last changed.
        self._since_ms = -_NEVER

    def update_voice(self, hears: bool, now_ms: float) -> bool:
        """Record whether our detector hears the caller; return whether that changed."""
        if hears is self._detector_hears:
            return False
        self._detector_hears, self._since_ms = hears, now_ms
        return True

    def update_turn(self, is_open: bool, now_ms: float) -> None:
        """Record whether the server has an open turn."""
        if is_open is not self._turn_open:
            self._turn_open, self._since_ms = is_open, now_ms

    def speaks(self, now_ms: float) -> bool:
        """Return whether the agent should wait for the caller."""
        if self.ignored or not (self._detector_hears or self._turn_open):
            return False
        if self._detector_hears and self._turn_open:
            return True
        return now_ms - self._since_ms < (self._false_hear_ms if self._detector_hears else self._open_turn_ms)
