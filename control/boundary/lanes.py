"""How many requests of one organization are answered at once, so that the others find a connection."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

from hum.errors import RateLimited

#: How many requests of one organization may wait for each that is being answered.
WAITING = 50


@dataclass(slots=True)
class _Lane:
    room: asyncio.Semaphore
    users: int = field(default=0)


class Lanes:
    """`width` requests of each organization at once; those beyond wait `wait_seconds`, and are then refused."""

    def __init__(self, width: int, wait_seconds: float) -> None:
        self._width, self._wait_seconds = width, wait_seconds
        self._lanes: dict[UUID, _Lane] = {}

    @asynccontextmanager
    async def enter(self, organization: UUID, *, patiently: bool = False) -> AsyncIterator[None]:
        """Wait for a place, and keep it; `patiently`, for as long as that takes.  Raises RateLimited."""
        lane = self._lanes.setdefault(organization, _Lane(asyncio.Semaphore(self._width)))
        if lane.users >= self._width * (1 + WAITING):
            raise _too_many(self._width)
        lane.users += 1
        try:
            try:
                async with asyncio.timeout(None if patiently else self._wait_seconds):
                    await lane.room.acquire()
            except TimeoutError:
                raise _too_many(self._width) from None
            try:
                yield
            finally:
                lane.room.release()
        finally:
            lane.users -= 1
            if not lane.users:
                del self._lanes[organization]


def _too_many(width: int) -> RateLimited:
    return RateLimited(
        f"More than {width} requests of this organization are under way; send them one after another.",
        retry_after_seconds="1",
    )
