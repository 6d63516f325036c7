"""Doing at once what many ask for at the same moment: while one batch is under way, the next one gathers."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Generic, TypeVar

from hum.telemetry import log

LOG = log(__name__)
T = TypeVar("T")


class Together(Generic[T]):
    """`do` returns when its item is done, and raises what came of it.

    `all` does several, and returns the places of those that it left, or does none and raises.  Those are done one by one, so that
    no item fails for another one's fault.  An item whose asker is gone is done all the same.
    """

    def __init__(
        self,
        all: Callable[[Sequence[T]], Awaitable[Collection[int]]],
        one: Callable[[T], Awaitable[None]],
        most: int,
    ) -> None:
        self._all, self._one, self._most = all, one, most
        self._waiting: list[tuple[T, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None

    async def do(self, item: T) -> None:
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="together")
        await done

    async def _run(self) -> None:
        batch: list[tuple[T, asyncio.Future[None]]] = []
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                await self._take(batch)
        finally:
            for _, done in (*batch, *self._waiting):  # only a loop that ends leaves any
                done.cancel()
            self._waiting, self._task = [], None

    async def _take(self, batch: Sequence[tuple[T, asyncio.Future[None]]]) -> None:
        left: Collection[int] = range(len(batch))
        try:
            left = await self._all([item for item, _ in batch])
        except Exception as error:  # noqa: BLE001 - one of them may be the reason: then it is raised there
            if len(batch) > 1:
                LOG.warning("a batch is done one by one", count=len(batch), error=repr(error)[:200])
        for place, (item, done) in enumerate(batch):
            failed: Exception | None = None
            if place in left:
                try:
                    await self._one(item)
                except Exception as error:  # noqa: BLE001 - raised where the item came from
                    failed = error
            if done.done():
                continue  # who asked is gone
            if failed is None:
                done.set_result(None)
            else:
                done.set_exception(failed)
