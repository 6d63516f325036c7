"""The clock for servers: `time.monotonic()` and the event loop's timers."""

import asyncio
import selectors
import time

from sandbox.clock import Do


class _Jump(selectors.DefaultSelector):
    """Instead of waiting it moves the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("nothing will ever happen any more: everybody waits, and no timer runs")
        if not ready and timeout is not None:
            self.now += max(0.0, timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop that never waits: when nothing is left to do, its time jumps to the next timer.

    Only for code without sockets and threads: what they wait for takes no virtual time.
    """

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.now


def now() -> float:
    """`time.monotonic()`, or the running loop's time if that is virtual."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return time.monotonic()
    return loop.time() if isinstance(loop, VirtualLoop) else time.monotonic()


class LoopClock:
    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._timers: set[asyncio.TimerHandle] = set()

    @property
    def now(self) -> float:
        return now()

    def at(self, when: float, do: Do) -> None:
        def due() -> None:
            self._timers.discard(timer)
            do()

        timer = self._loop.call_later(max(0.0, when - now()), due)
        self._timers.add(timer)

    def stop(self) -> None:
        """Cancel everything that is still pending."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
