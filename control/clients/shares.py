"""How many requests to customers' URLs one organization has under way, in all and to one host, so that others find a connection."""

import asyncio
from collections.abc import Callable, Hashable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Generic, TypeVar

from control.base.egress import Outside, Reason

Owner = TypeVar("Owner", bound=Hashable)
#: How many requests of one organization may wait for each that is under way.
WAITING = 10
FULL = "Too many requests of this organization are under way."


@dataclass(slots=True)
class _Share:
    room: asyncio.Semaphore
    users: int = 0  # who are under way, and who wait


class Shares(Generic[Owner]):
    """`width` requests of each owner at once; those beyond wait, first come, first served."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._shares: dict[Owner, _Share] = {}

    async def enter(self, owner: Owner, seconds: float) -> Callable[[], None]:
        """Wait so long for a place; what is returned gives it back, and must be called once.  Raises Outside."""
        share = self._shares.setdefault(owner, _Share(asyncio.Semaphore(self._width)))
        if share.users >= self._width * (1 + WAITING):
            raise Outside(Reason.CONNECT, FULL)
        share.users += 1
        with ExitStack() as held:
            held.callback(self._left, owner, share)
            try:
                async with asyncio.timeout(seconds):
                    await share.room.acquire()
            except TimeoutError:
                raise Outside(Reason.CONNECT, FULL) from None
            held.callback(share.room.release)
            return held.pop_all().close

    def _left(self, owner: Owner, share: _Share) -> None:
        share.users -= 1
        if not share.users:
            del self._shares[owner]
