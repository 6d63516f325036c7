"""Turns at the processor, for what would hold the event loop, and with it everybody's calls."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from hum import rpc

ResultT = TypeVar("ResultT")


class ComputingTurns:
    """Pieces of work that each run in a thread, one at a time and in the order in which they came."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    def are_taken(self) -> bool:
        """Whether something is computed now."""
        return self._lock.locked()

    async def take(self, work: Callable[[], ResultT]) -> ResultT:
        """Return what `work` returns, which must be short.  Its thread goes on when this is cancelled, and keeps its turn."""
        async with self._lock:
            return await rpc.run_to_completion(asyncio.to_thread(work))
