"""A bounded worker pool that keeps the order per key, without a task for each pending piece of work."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

Work = Callable[[], Awaitable[None]]


class Pool:
    """Work per key: a key's pieces run one after another, up to `max_in_flight` keys at once."""

    def __init__(self, max_in_flight: int) -> None:
        self._max_in_flight = max_in_flight
        self._queues: dict[str, deque[Work]] = {}
        self._ready: deque[str] = deque()
        self.pending = 0
        """How many pieces are not done yet."""
        self._working = 0
        self._workers: set[asyncio.Task[None]] = set()

    def push(self, key: str, work: Work) -> None:
        """Run `work` after the work pushed earlier for the same key."""
        queue = self._queues.setdefault(key, deque())
        queue.append(work)
        self.pending += 1
        if len(queue) > 1:
            return
        self._ready.append(key)
        if self._working < self._max_in_flight:
            # Counted here and not by tasks: a worker without work is done only a little later.
            self._working += 1
            worker = asyncio.create_task(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)

    async def settled(self) -> None:
        """Wait until all work is done."""
        while self._workers:
            await asyncio.wait(self._workers)

    async def close(self) -> None:
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    async def _work(self) -> None:
        try:
            await self._drain()
        finally:
            self._working -= 1

    async def _drain(self) -> None:
        while self._ready:
            key = self._ready.popleft()
            queue = self._queues[key]
            try:
                await queue[0]()
            # Work that fails must not stop the work of other keys.
            except Exception as error:  # noqa: BLE001
                message = "work in a pool failed"
                asyncio.get_running_loop().call_exception_handler({"message": message, "exception": error})
            finally:
                queue.popleft()
                self.pending -= 1
                if queue:
                    self._ready.append(key)
                else:
                    del self._queues[key]
