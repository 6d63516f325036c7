"""What is done together is done for everybody, and nobody fails for another one."""

import asyncio
from collections.abc import Sequence

import pytest

from control.texts.batcher import Batcher


class Desk:
    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.alone: list[int] = []
        self.gate = asyncio.Event()
        self.batcher = Batcher(self.all, self.one, 4)

    async def all(self, items: Sequence[int]) -> set[int]:
        """Below 0: the batch fails.  Above 100: it is left to `one`."""
        self.batches.append(list(items))
        await self.gate.wait()
        if any(each < 0 for each in items):
            raise ValueError
        return {place for place, each in enumerate(items) if each > 100}

    async def one(self, item: int) -> None:
        self.alone.append(item)
        if item < 0:
            raise KeyError(item)


async def test_what_comes_meanwhile_is_done_together() -> None:
    desk = Desk()
    asked = [asyncio.create_task(desk.batcher.process(n)) for n in range(6)]
    late = asyncio.create_task(desk.batcher.process(200))
    await asyncio.sleep(0)
    desk.gate.set()
    await asyncio.gather(*asked, late)
    assert desk.batches == [[0, 1, 2, 3], [4, 5, 200]] and desk.alone == [200]


async def test_one_that_fails_fails_alone() -> None:
    desk = Desk()
    desk.gate.set()
    found = await asyncio.gather(*(desk.batcher.process(n) for n in (1, -2, 3)), return_exceptions=True)
    assert desk.alone == [1, -2, 3] and [type(each) for each in found] == [type(None), KeyError, type(None)]


async def test_who_leaves_is_done_all_the_same() -> None:
    desk = Desk()
    first, second = (asyncio.create_task(desk.batcher.process(n)) for n in (1, 2))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    desk.gate.set()
    await second
    assert desk.batches == [[1, 2]]
