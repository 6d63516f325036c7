"""The budget of carrier requests per organization: all organizations and their calls share the carrier account's rate limit."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from control.base.rates import Rates
from control.boundary.requestconcurrency import ConcurrencyLimits
from hum.clock import Clock, monotonic_ms

#: The rate limit of an organization's requests about numbers.
BURST, PER_SECOND = 60, 0.5
#: An organization's requests in flight.
AT_ONCE = 2


class Budget:
    """The budgets of this process.  `wait_seconds`: how long a request may queue for its concurrency limit."""

    def __init__(self, wait_seconds: float, clock: Clock = monotonic_ms) -> None:
        self._rates = Rates(PER_SECOND, BURST, "Too many requests about numbers at the carrier from your organization")
        self._concurrency, self._clock = ConcurrencyLimits(AT_ONCE, wait_seconds), clock

    @asynccontextmanager
    async def slot(self, org: UUID) -> AsyncIterator[None]:
        """Count a request, and admit it within the concurrency limit.  Raises RateLimited."""
        self._rates.consume(org.bytes, self._clock())
        async with self._concurrency.enter(org):
            yield
