"""Time as the pure parts see it: an agenda that moves only when its owner moves it.  Pure, deterministic."""

import heapq
import itertools
from collections.abc import Callable
from typing import Protocol

Do = Callable[[], None]


class Clock(Protocol):
    """A clock, and what is to happen later on it, in seconds.  Sockets bring the event loop's, tests and benchmarks an `Agenda`."""

    @property
    def now(self) -> float: ...
    def at(self, when: float, do: Do) -> None: ...


class Agenda:
    """What is due when; what is due at one instant happens in the order in which it was put down."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now
        self._due: list[tuple[float, int, Do]] = []
        self._count = itertools.count()

    def at(self, when: float, do: Do) -> None:
        heapq.heappush(self._due, (when, next(self._count), do))

    def next_at(self) -> float | None:
        return self._due[0][0] if self._due else None

    def advance(self, now: float) -> None:
        """Let everything happen that is due by `now`, each at its own instant."""
        while self._due and self._due[0][0] <= now:
            when, _, do = heapq.heappop(self._due)
            self.now = max(self.now, when)
            do()
        self.now = max(self.now, now)
