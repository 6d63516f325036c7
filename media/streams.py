"""The open streams of one process, and which of them are calls."""

import asyncio
from collections.abc import Callable

from media import metrics
from media.shell import Shell


class Streams:
    """The open streams.  A stream is a call from its `start` on; `on_calls` gets the number of calls whenever it may change."""

    def __init__(self) -> None:
        self.open: set[Shell] = set()
        self.on_calls: Callable[[int], None] = lambda _: None
        #: The streams without a `start`, oldest first; they are not calls yet.
        self._pending: dict[Shell, None] = {}
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def calls(self) -> int:
        """The number of streams that have started."""
        return len(self.open) - len(self._pending)

    def add(self, shell: Shell, max_pending: int) -> None:
        """Add a new stream; if more than `max_pending` have no `start`, close the oldest of those."""
        self.open.add(shell)
        self._empty.clear()
        self._pending[shell] = None
        if len(self._pending) > max_pending:
            next(iter(self._pending)).evict()

    def start(self, shell: Shell) -> None:
        """Count a stream as a call."""
        self._pending.pop(shell, None)
        self._publish_count()

    def remove(self, shell: Shell) -> None:
        """Remove a closed stream."""
        self.open.discard(shell)
        self._pending.pop(shell, None)
        self._publish_count()
        if not self.open:
            self._empty.set()

    async def wait_until_empty(self, seconds: float, hurry: asyncio.Event) -> bool:
        """Wait until no stream is open, for `seconds` or until `hurry` is set; return whether none is."""
        waiters = [asyncio.create_task(event.wait()) for event in (self._empty, hurry)]
        await asyncio.wait(waiters, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for waiter in waiters:
            waiter.cancel()
        return self._empty.is_set()

    def _publish_count(self) -> None:
        metrics.CALLS.set(self.calls)
        self.on_calls(self.calls)
