"""Waits of tests: for a condition, never for a time.  A wait that is met costs nothing, whatever its deadline."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

#: The one deadline: on a machine that others keep busy, everything here takes less.
PATIENCE_S = 60.0


def patience() -> asyncio.Timeout:
    """Fail the block, with TimeoutError, if it is still waiting after the deadline."""
    return asyncio.timeout(PATIENCE_S)


async def until(met: Callable[[], T | Awaitable[T]], every_s: float = 0.01, within_s: float = PATIENCE_S) -> T:
    """Return the first true value of `met()`, asking again and again.  Raises TimeoutError after the deadline."""
    async with asyncio.timeout(within_s):
        while True:
            value = met()
            if inspect.isawaitable(value):
                value = await value
            if value:
                return value
            await asyncio.sleep(every_s)
