"""Mark numbers: which were sent before the last clear, and which measure the round trip to the carrier."""

from enum import Enum, auto
from typing import Final

#: In flight at once; a carrier that never echoes must not cost memory.
MAX_PINGS: Final = 16
#: How often the round trip to the carrier is measured while the agent is silent.
PING_MS: Final = 400.0
FIRST_PING_MS: Final = 60.0  # the same, until it is well known


class Age(Enum):
    """A mark's age, relative to the clears."""

    CURRENT = auto()  # after the last clear
    # Before the last clear: it may have been played, or flushed.
    BEFORE_CLEAR = auto()
    FORGOTTEN = auto()  # before the clear before that


_CURRENT: Final = Age.CURRENT  # looked up for every mark


class Marks:
    """The marks of one call.  Numbers rise from 1."""

    __slots__ = ("_fence", "_fence_before", "_last", "_pinged_ms", "_pings")

    def __init__(self) -> None:
        self._last = self._fence = self._fence_before = 0
        self._pings: dict[int, float] = {}
        self._pinged_ms = 0.0

    def next(self) -> int:
        self._last += 1
        return self._last

    def ping(self, now_ms: float) -> int:
        """Return a mark to send while nothing is queued: it comes straight back, and measures the round trip."""
        number = self.next()
        self._pinged_ms = self._pings[number] = now_ms
        if len(self._pings) > MAX_PINGS:
            del self._pings[next(iter(self._pings))]
        return number

    def fence(self, now_ms: float) -> int:
        """Return the mark to send behind a clear."""
        self._pings.clear()
        self._fence_before, self._fence = self._fence, self.ping(now_ms)
        return self._fence

    def age(self, number: int) -> Age:
        if number >= self._fence:
            return _CURRENT
        return Age.BEFORE_CLEAR if number >= self._fence_before else Age.FORGOTTEN

    def pinged(self, number: int) -> float | None:
        """Return when this ping was sent, once; None if the mark is no pending ping."""
        return self._pings.pop(number, None)

    def ping_due_ms(self, *, well_known: bool) -> float:
        return self._pinged_ms + (PING_MS if well_known else FIRST_PING_MS)
