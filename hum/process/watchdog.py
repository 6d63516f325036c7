"""The watchdog, which ends a stuck process so that its supervisor restarts it.

A stuck event loop serves neither callers nor `/readyz`, and would stay stuck for ever.
"""

import asyncio
import faulthandler
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

STATUS = 70  # EX_SOFTWARE of sysexits.h
CHECKS = 10
#: A thread that never releases the interpreter lock blocks the watchdog's thread too.  A timer that does not need the
#: lock then ends the process after this many times `seconds`; it also ends one that was stopped (SIGSTOP) for that
#: long.
HARD_LIMIT_FACTOR = 10


def _end() -> None:
    """Dump the stack of each thread, and exit."""
    with suppress(OSError):
        os.write(sys.stderr.fileno(), b"hum: this process is stuck and exits; its threads:\n")
    faulthandler.dump_traceback()
    os._exit(STATUS)


class Watchdog:
    """A watchdog that, between `start` and `stop`, ends the process if `beat` is not called for `seconds`."""

    def __init__(self, seconds: float, end: Callable[[], None] = _end) -> None:
        self._seconds, self._end = seconds, end
        self._beats = 0
        self._stopped = threading.Event()

    def beat(self) -> None:
        """Record that the watched loop runs."""
        self._beats += 1

    def start(self) -> None:
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def _watch(self) -> None:
        # Count checks instead of reading the clock: a process that was stopped for a minute has missed only one.
        seen, missed = -1, 0
        while not self._stopped.wait(self._seconds / CHECKS):
            faulthandler.dump_traceback_later(self._seconds * HARD_LIMIT_FACTOR, exit=True)
            seen, missed = self._beats, 0 if self._beats != seen else missed + 1
            if missed >= CHECKS:
                self._end()
                break
        faulthandler.cancel_dump_traceback_later()


@asynccontextmanager
async def watch_loop(seconds: float) -> AsyncIterator[None]:
    """Watch the running event loop while the context lasts."""
    watchdog, loop = Watchdog(seconds), asyncio.get_running_loop()
    timer: asyncio.Handle

    def beat() -> None:
        nonlocal timer
        watchdog.beat()
        timer = loop.call_later(seconds / CHECKS, beat)

    timer = loop.call_soon(beat)
    watchdog.start()
    try:
        yield
    finally:
        timer.cancel()
        watchdog.stop()
