"""How much of the carrier one organization takes: its account, and what that may be asked in a second, are all organizations',
and their calls'.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from control.base.rates import Rates
from control.boundary.lanes import Lanes
from hum.clock import Clock, monotonic_ms

#: Requests about numbers that one organization may make at once, and so many more each second.
BURST, PER_SECOND = 60, 0.5
#: Of these, how many are under way at a time.
AT_ONCE = 2


class Budget:
    """The budgets of this process; whoever waits for a place waits `wait_seconds`."""

    def __init__(self, wait_seconds: float, clock: Clock = monotonic_ms) -> None:
        self._rates = Rates(PER_SECOND, BURST, "Too many requests about numbers at the carrier from your organization")
        self._lanes, self._clock = Lanes(AT_ONCE, wait_seconds), clock

    @asynccontextmanager
    async def one(self, org: UUID) -> AsyncIterator[None]:
        """Count a request, and keep a place for it.  Raises RateLimited."""
        self._rates.take(org.bytes, self._clock())
        async with self._lanes.enter(org):
            yield
