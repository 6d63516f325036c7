"""Virtual time for the pure parts: an agenda that advances only when its owner advances it.  Pure, deterministic."""

import heapq
import itertools
from collections.abc import Callable

Do = Callable[[], None]


class Agenda:
    """Pending actions by due time; actions due at the same instant run in the order in which they were added."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now
        self._due: list[tuple[float, int, Do]] = []
        self._count = itertools.count()

    def at(self, when: float, do: Do) -> None:
        heapq.heappush(self._due, (when, next(self._count), do))

    def next_at(self) -> float | None:
        return self._due[0][0] if self._due else None

    def advance(self, now: float) -> None:
        """Run every action that is due by `now`, each at its own instant."""
        while self._due and self._due[0][0] <= now:
            when, _, do = heapq.heappop(self._due)
            self.now = max(self.now, when)
            do()
        self.now = max(self.now, now)
