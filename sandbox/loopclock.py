"""The clock for servers: `time.monotonic()` and the event loop's timers."""

import asyncio
import selectors
import time

from sandbox.clock import Do


class _Jump(selectors.DefaultSelector):
    """A selector that advances the virtual clock instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("deadlock: every task waits, and no timer is pending")
        if not ready and timeout is not None:
            self.now += max(0.0, timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop that never waits: when no callback is ready, its time jumps to the next timer.

    Only for code without sockets and threads: waiting for those takes no virtual time.
    """

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.now


def now() -> float:
    """Return `time.monotonic()`, or the running loop's time if that is virtual; in seconds."""
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
        """Cancel every pending timer."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
