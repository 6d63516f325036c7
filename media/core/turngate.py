"""The turn gate: whether the agent waits for the caller to finish before it begins to speak.

Two detectors hear the caller: ours, at once, and the server's, which alone performs endpointing.  Either may be wrong
or stuck, so waiting for one alone has a limit.

Theory of operation.  `update_voice` brings what our detector hears, `update_turn` whether the server has an open turn.
The gate is closed while `speaks`.

                  our detector hears nobody             our detector hears the caller
    no turn       open                                  closed, for `false_hear_ms` at most
    open turn     closed, for `open_turn_ms` at most    closed

The limits count from the last change of either.  Once `ignored`, the gate stays open: the call is closing.

At the gate wait the request for a response (`replies`), the first audio of one or of a dictated text (`playout`), a
tail that counts as unsaid (`floor`) and the idle prompts (`conversation`).

Example, a caller who speaks for a second, and a server that ends a turn after 500 ms of silence:

        0 ms                       the caller begins
       60 ms  update_voice(True)   closed until 1,060 ms, unless the server hears a turn
      200 ms  update_turn(True)    closed: both hear the caller
    1,200 ms  update_voice(False)  closed until 10,200 ms, unless the turn ends: it may be a pause
    1,500 ms  update_turn(False)   open: the response is requested

Had the caller gone on at 1,400 ms, `update_voice(True)` at 1,460 ms would keep the gate closed over the end of the
turn, and the response would wait for the end of the next one.
"""

from typing import Final

_NEVER: Final = float("inf")


class TurnGate:
    """The turn gate of one call."""

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
        """Create an open gate.  A caller takes `unaware_ms` to notice that the agent has begun to speak."""
        self.unaware_ms = unaware_ms
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
        """Return whether the gate is closed: the agent should wait for the caller."""
        if self.ignored or not (self._detector_hears or self._turn_open):
            return False
        if self._detector_hears and self._turn_open:
            return True
        return now_ms - self._since_ms < (self._false_hear_ms if self._detector_hears else self._open_turn_ms)
