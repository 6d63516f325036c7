"""Work that goes out in order for each key, a bounded number of pieces at a time, without a task for each that waits."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

Work = Callable[[], Awaitable[None]]


class Pool:
    def __init__(self, most_at_a_time: int) -> None:
        self._most = most_at_a_time
        self._lines: dict[str, deque[Work]] = {}
        self._ready: deque[str] = deque()
        self.waiting = 0
        """How many pieces are not done yet."""
        self._working = 0
        self._workers: set[asyncio.Task[None]] = set()

    def push(self, key: str, work: Work) -> None:
        """Do this after all that was pushed for the same key."""
        line = self._lines.setdefault(key, deque())
        line.append(work)
        self.waiting += 1
        if len(line) > 1:
            return
        self._ready.append(key)
        if self._working < self._most:
            self._working += 1  # not the tasks: one that has found nothing more to do is over a little later
            worker = asyncio.create_task(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)

    async def settled(self) -> None:
        """Until nothing waits any more."""
        while self._workers:
            await asyncio.wait(self._workers)

    async def close(self) -> None:
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    async def _work(self) -> None:
        try:
            await self._work_off()
        finally:
            self._working -= 1

    async def _work_off(self) -> None:
        while self._ready:
            key = self._ready.popleft()
            line = self._lines[key]
            try:
                await line[0]()
            except Exception as error:  # noqa: BLE001 - it holds up nobody else's work
                message = "work in a pool failed"
                asyncio.get_running_loop().call_exception_handler({"message": message, "exception": error})
            finally:
                line.popleft()
                self.waiting -= 1
                if line:
                    self._ready.append(key)
                else:
                    del self._lines[key]
