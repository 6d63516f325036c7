"""The clock for servers: `time.monotonic()` and the event loop's timers."""

import asyncio
import time

from sandbox.clock import Do


class LoopClock:
    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._timers: set[asyncio.TimerHandle] = set()

    @property
    def now(self) -> float:
        return time.monotonic()

    def at(self, when: float, do: Do) -> None:
        def due() -> None:
            self._timers.discard(timer)
            do()

        timer = self._loop.call_later(max(0.0, when - time.monotonic()), due)
        self._timers.add(timer)

    def stop(self) -> None:
        """Cancel everything that is still pending."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
