"""One direction of a network path: delay and jitter, but no reordering."""

import random
from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Line(Generic[Item]):
    """Pure: time is an argument, and jitter is drawn from a seeded generator."""

    def __init__(self, delay_ms: float = 0.0, jitter_ms: float = 0.0, seed: int = 0) -> None:
        self._delay_ms = delay_ms
        self._jitter_ms = jitter_ms
        self._random = random.Random(seed)
        self._under_way: deque[tuple[float, Item]] = deque()
        self._last_due_ms = 0.0

    def send(self, now_ms: float, item: Item) -> None:
        due_ms = now_ms + self._delay_ms + self._random.uniform(0.0, self._jitter_ms)
        self._last_due_ms = max(self._last_due_ms, due_ms)
        self._under_way.append((self._last_due_ms, item))

    def arrived(self, now_ms: float) -> list[tuple[float, Item]]:
        """Take the messages that have arrived by now, each with its time of arrival."""
        there: list[tuple[float, Item]] = []
        while self._under_way and self._under_way[0][0] <= now_ms:
            there.append(self._under_way.popleft())
        return there

    def next_ms(self) -> float | None:
        return self._under_way[0][0] if self._under_way else None
