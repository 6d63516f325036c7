"""The only module that reads a clock.  Other code gets the time, or one of these functions, as a parameter."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], float]


def monotonic_ms() -> float:
    """Return milliseconds on a clock that never jumps; only differences are meaningful."""
    return time.monotonic() * 1000.0


def cpu_ms() -> float:
    """Return the milliseconds of processor time that all threads of this process have used."""
    return time.process_time() * 1000.0


def now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)
