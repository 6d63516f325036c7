"""Batches of concurrent requests: while one batch is in flight, the next one gathers."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Generic, TypeVar

from hum.observe.logs import log

LOG = log(__name__)
T = TypeVar("T")


class Batcher(Generic[T]):
    """A queue of items that are processed in batches; `process` returns when its item is done, or raises the item's error.

    `all` processes a batch and returns the indexes of items that it skipped, or raises and processes none.  Skipped items are
    processed one by one, so no item fails because of another.  An item is processed even if its caller is canceled.
    """

    def __init__(
        self,
        all: Callable[[Sequence[T]], Awaitable[Collection[int]]],
        one: Callable[[T], Awaitable[None]],
        most: int,
    ) -> None:
        self._all, self._one, self._most = all, one, most
        self._queue: list[tuple[T, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None

    async def process(self, item: T) -> None:
        """Process an item in the next batch.  Raises the item's error."""
        done = asyncio.get_running_loop().create_future()
        self._queue.append((item, done))
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="batch")
        await done

    async def _run(self) -> None:
        batch: list[tuple[T, asyncio.Future[None]]] = []
        try:
            while self._queue:
                batch, self._queue = self._queue[: self._most], self._queue[self._most :]
                await self._process(batch)
        finally:
            # Items remain only if the event loop is ending.
            for _, done in (*batch, *self._queue):
                done.cancel()
            self._queue, self._task = [], None

    async def _process(self, batch: Sequence[tuple[T, asyncio.Future[None]]]) -> None:
        remaining: Collection[int] = range(len(batch))
        try:
            remaining = await self._all([item for item, _ in batch])
        # Any item may have made the batch fail: one by one, that item raises its error again.
        except Exception as error:  # noqa: BLE001
            if len(batch) > 1:
                LOG.warning(
                    "a batch failed; its items are processed one by one", count=len(batch), error=repr(error)[:200]
                )
        for index, (item, done) in enumerate(batch):
            failed: Exception | None = None
            if index in remaining:
                try:
                    await self._one(item)
                # The item's own: `process` raises it.
                except Exception as error:  # noqa: BLE001
                    failed = error
            if done.done():
                continue  # the caller was canceled
            if failed is None:
                done.set_result(None)
            else:
                done.set_exception(failed)
