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
        self._pending: dict[Shell, None] = {}  # those without a `start`, oldest first; not calls yet
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def calls(self) -> int:
        """How many streams have started."""
        return len(self.open) - len(self._pending)

    def add(self, shell: Shell, max_pending: int) -> None:
        """Add one that has just been opened; beyond so many without a `start`, the oldest of them is closed."""
        self.open.add(shell)
        self._empty.clear()
        self._pending[shell] = None
        if len(self._pending) > max_pending:
            next(iter(self._pending)).evict()

    def start(self, shell: Shell) -> None:
        self._pending.pop(shell, None)
        self._publish_count()

    def remove(self, shell: Shell) -> None:
        self.open.discard(shell)
        self._pending.pop(shell, None)
        self._publish_count()
        if not self.open:
            self._empty.set()

    async def wait_until_empty(self, seconds: float, hurry: asyncio.Event) -> bool:
        """Whether the last stream ended within `seconds`, and before `hurry` was set."""
        waiters = [asyncio.create_task(event.wait()) for event in (self._empty, hurry)]
        await asyncio.wait(waiters, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for waiter in waiters:
            waiter.cancel()
        return self._empty.is_set()

    def _publish_count(self) -> None:
        metrics.CALLS.set(self.calls)
        self.on_calls(self.calls)
