"""The budget of an organization's requests to another system, whose account and rate limit all organizations share."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from control.base.rates import Rates
from control.boundary.requestconcurrency import ConcurrencyLimits
from hum.clock import Clock, monotonic_ms


@dataclass(frozen=True, slots=True)
class BudgetLimits:
    """The rate limit of an organization's requests, and how many may be in flight.  `what` begins a refusal's message."""

    burst: int
    per_second: float
    in_flight: int
    what: str


class Budget:
    """The budgets of this process.  `wait_seconds`: how long a request may queue for its concurrency limit."""

    def __init__(self, limits: BudgetLimits, wait_seconds: float, clock: Clock = monotonic_ms) -> None:
        self._rates = Rates(limits.per_second, limits.burst, limits.what)
        self._concurrency, self._clock = ConcurrencyLimits(limits.in_flight, wait_seconds), clock

    @asynccontextmanager
    async def slot(self, org: UUID) -> AsyncIterator[None]:
        """Count a request, and admit it within the concurrency limit.  Raises RateLimited."""
        self._rates.consume(org.bytes, self._clock())
        async with self._concurrency.enter(org):
            yield
