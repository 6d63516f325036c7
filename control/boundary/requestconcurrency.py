"""Concurrency limits of organizations, so that no organization takes all database connections."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

from hum.contract.errors import RateLimited

#: How many requests of an organization may be queued for each one in flight.
QUEUED_PER_SLOT = 50


@dataclass(slots=True)
class _Slots:
    semaphore: asyncio.Semaphore
    users: int = field(default=0)


class ConcurrencyLimits:
    """The concurrency limit of organizations: `width` requests in flight, and others queued up to `wait_seconds`.

    `noun`: what is limited, if not requests.
    """

    def __init__(self, width: int, wait_seconds: float, noun: str = "requests") -> None:
        self._width, self._wait_seconds, self._noun = width, wait_seconds, noun
        self._organizations: dict[UUID, _Slots] = {}

    @asynccontextmanager
    async def enter(self, organization: UUID, *, patiently: bool = False) -> AsyncIterator[None]:
        """Wait for a slot and hold it while the context is open.

        With `patiently`, the wait has no time limit.  Raises RateLimited after the time limit, or if the queue is full.
        """
        slots = self._organizations.setdefault(organization, _Slots(asyncio.Semaphore(self._width)))
        if slots.users >= self._width * (1 + QUEUED_PER_SLOT):
            raise self._too_many()
        slots.users += 1
        try:
            try:
                async with asyncio.timeout(None if patiently else self._wait_seconds):
                    await slots.semaphore.acquire()
            except TimeoutError:
                raise self._too_many() from None
            try:
                yield
            finally:
                slots.semaphore.release()
        finally:
            slots.users -= 1
            if not slots.users:
                del self._organizations[organization]

    def _too_many(self) -> RateLimited:
        return RateLimited(
            f"More than {self._width} {self._noun} of this organization are in flight; send them one after another.",
            retry_after_seconds="1",
        )
