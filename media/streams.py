"""The streams of one process: which are open, which of them are calls, and when the last one has ended."""

import asyncio
from collections.abc import Callable

from media import metrics
from media.shell import Shell


class Streams:
    """A stream is a call from its `start` on; `on_calls` is called with their number when one begins or ends."""

    def __init__(self) -> None:
        self.open: set[Shell] = set()
        self.on_calls: Callable[[int], None] = lambda _: None
        self._waiting: dict[Shell, None] = {}  # those without a `start`, oldest first; not calls yet
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def calls(self) -> int:
        """How many streams have started."""
        return len(self.open) - len(self._waiting)

    def add(self, shell: Shell, most_waiting: int) -> None:
        """Add one that has just been opened; beyond so many without a `start`, the oldest of them is closed."""
        self.open.add(shell)
        self._empty.clear()
        self._waiting[shell] = None
        if len(self._waiting) > most_waiting:
            next(iter(self._waiting)).crowd_out()

    def start(self, shell: Shell) -> None:
        self._waiting.pop(shell, None)
        self._count()

    def remove(self, shell: Shell) -> None:
        self.open.discard(shell)
        self._waiting.pop(shell, None)
        self._count()
        if not self.open:
            self._empty.set()

    async def emptied(self, seconds: float, hurry: asyncio.Event) -> bool:
        """Whether the last stream ended within `seconds`, and before `hurry` was set."""
        waiting = [asyncio.create_task(event.wait()) for event in (self._empty, hurry)]
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for each in waiting:
            each.cancel()
        return self._empty.is_set()

    def _count(self) -> None:
        metrics.CALLS.set(self.calls)
        self.on_calls(self.calls)
