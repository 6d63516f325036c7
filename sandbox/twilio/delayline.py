"""One direction of a network path: delay and jitter, but no reordering."""

import random
from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class DelayLine(Generic[Item]):
    """A queue whose items arrive late.  Pure: time is an argument, and jitter is drawn from a seeded generator."""

    def __init__(self, delay_ms: float = 0.0, jitter_ms: float = 0.0, seed: int = 0) -> None:
        self._delay_ms = delay_ms
        self._jitter_ms = jitter_ms
        self._random = random.Random(seed)
        self._in_flight: deque[tuple[float, Item]] = deque()
        self._last_due_ms = 0.0

    def send(self, now_ms: float, item: Item) -> None:
        due_ms = now_ms + self._delay_ms + self._random.uniform(0.0, self._jitter_ms)
        self._last_due_ms = max(self._last_due_ms, due_ms)
        self._in_flight.append((self._last_due_ms, item))

    def arrived(self, now_ms: float) -> list[tuple[float, Item]]:
        """Remove and return the messages that have arrived by now, each with its time of arrival."""
        items: list[tuple[float, Item]] = []
        while self._in_flight and self._in_flight[0][0] <= now_ms:
            items.append(self._in_flight.popleft())
        return items

    def next_ms(self) -> float | None:
        return self._in_flight[0][0] if self._in_flight else None
