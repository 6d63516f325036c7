"""When a step that looks for work looks again: often while something happens, ever more rarely while nothing does.

    requests, reports, media processes ──▶ control ── hint, at most one a second ──▶ workers
    work that was found, a job, a due time ──▶ this worker itself

A step that looked every second of a minute without work has looked 59 times for nothing.  So it waits a share of the time since anything
last happened: what it finds late is late by no more than that share of its age.  A hint ends the wait.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import random

from control.bus import Bus, BusChannel
from hum.clock import Clock, monotonic_ms
from hum.observe.logs import log
from storage.db import BUSY, UNAVAILABLE

LOG = log(__name__)
#: Share of the time since something happened that a step waits.
SHARE = 0.1
#: The longest wait of a step: what no hint, due time or outlook tells of, such as a row that an operator changed, waits for it.
NET_SECONDS = 300.0
#: Part by which a wait is shorter at random, so that the steps of all workers do not come to look at one moment.
JITTER = 0.2
#: Milliseconds between hints.  Until then a step waits `SHARE` of it, which is no longer than the shortest wait of any step.
HINT_MS = 1_000.0

#: Something happens in control.
ACTIVE = BusChannel("hum_active", str, str, is_polled=False)


class Activity:
    """When something last happened, as far as this process knows."""

    def __init__(self, clock: Clock = monotonic_ms) -> None:
        self._clock, self._at_ms = clock, clock()
        self._waiting = set[Callable[[], None]]()

    @property
    def quiet_seconds(self) -> float:
        return max(0.0, self._clock() - self._at_ms) / 1000

    def note(self) -> None:
        """Record that something happened, and end the long waits of all steps."""
        self._at_ms = self._clock()
        for hurry in tuple(self._waiting):
            hurry()

    @contextmanager
    def hurrying(self, hurry: Callable[[], None]) -> Iterator[None]:
        """Call `hurry` when something happens in this block."""
        self._waiting.add(hurry)
        try:
            yield
        finally:
            self._waiting.discard(hurry)


class StepPace:
    """The pace of one step, whose shortest wait is `every_seconds` and whose longest `net_seconds`."""

    def __init__(
        self,
        activity: Activity,
        every_seconds: float,
        net_seconds: float = NET_SECONDS,
        chance: Callable[[], float] = random,
    ) -> None:
        self._activity, self._chance = activity, chance
        self._every_seconds, self._net_seconds = every_seconds, max(every_seconds, net_seconds)

    def wait_seconds(self) -> float:
        """Return how long to wait before the next look."""
        wait_seconds = min(self._net_seconds, SHARE * self._activity.quiet_seconds)
        return max(self._every_seconds, wait_seconds * (1 - JITTER * self._chance()))

    async def rest(self, *ends: asyncio.Event) -> bool:
        """Wait for the next look, or until one of these events; return whether no hint came in a wait longer than the shortest."""
        wait_seconds = self.wait_seconds()
        if wait_seconds <= self._every_seconds:
            await first_of(ends, wait_seconds)
            return False
        hurried = asyncio.Event()
        with self._activity.hurrying(hurried.set):
            await first_of((*ends, hurried), wait_seconds)
        if any(end.is_set() for end in ends):
            return False
        if hurried.is_set():
            # As soon as a step would have looked that had never slowed down.
            await first_of(ends, self._every_seconds * self._chance())
        return not hurried.is_set()


async def first_of(events: tuple[asyncio.Event, ...], seconds: float) -> None:
    """Wait until one of these events is set, for at most so many seconds."""
    if any(event.is_set() for event in events):
        return
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


class ActivityHints:
    """Control's hints to the workers that something happens."""

    def __init__(self, bus: Bus, clock: Clock = monotonic_ms) -> None:
        self._bus, self._clock, self._next_ms = bus, clock, float("-inf")
        self._sending: asyncio.Task[None] | None = None

    def note(self) -> None:
        """Tell the workers that something happens, unless they were told within the last second."""
        if (now_ms := self._clock()) >= self._next_ms:
            self._next_ms = now_ms + HINT_MS
            self._sending = asyncio.create_task(self._send(), name="activity hint")

    async def _send(self) -> None:
        try:
            await self._bus.publish(ACTIVE, "")
        except (*UNAVAILABLE, *BUSY) as error:
            # The workers' outlook sees what was written.
            LOG.warning("could not tell the workers that something happens", error=repr(error)[:200])
