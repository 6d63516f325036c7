"""Concurrency limits of requests to customers' URLs, per organization and host, so that none takes all connections."""

import asyncio
from collections.abc import Callable, Hashable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Generic, TypeVar

from control.base.egress import EgressError, Reason

Owner = TypeVar("Owner", bound=Hashable)
#: Queued requests of an owner, per request in flight.
QUEUE_FACTOR = 10
FULL = "Too many requests of this organization are in flight."


@dataclass(slots=True)
class _Share:
    slots: asyncio.Semaphore
    requests: int = 0  # in flight and queued


class Shares(Generic[Owner]):
    """A limit of `width` concurrent requests per owner; more are queued, first come, first served."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._shares: dict[Owner, _Share] = {}

    async def acquire(self, owner: Owner, seconds: float) -> Callable[[], None]:
        """Wait up to `seconds` for a slot; return its release, to be called once.  Raises EgressError."""
        share = self._shares.setdefault(owner, _Share(asyncio.Semaphore(self._width)))
        if share.requests >= self._width * (1 + QUEUE_FACTOR):
            raise EgressError(Reason.CONNECT, FULL)
        share.requests += 1
        with ExitStack() as releases:
            releases.callback(self._release, owner, share)
            try:
                async with asyncio.timeout(seconds):
                    await share.slots.acquire()
            except TimeoutError:
                raise EgressError(Reason.CONNECT, FULL) from None
            releases.callback(share.slots.release)
            return releases.pop_all().close

    def _release(self, owner: Owner, share: _Share) -> None:
        share.requests -= 1
        if not share.requests:
            del self._shares[owner]
