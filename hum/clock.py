"""The only module that reads a clock.  All other code takes the time, or one of these functions, as a parameter."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], float]


def monotonic_ms() -> float:
    """Milliseconds on a clock that never jumps; only differences are meaningful."""
    return time.monotonic() * 1000.0


def cpu_ms() -> float:
    """Milliseconds of processor time that this process has used, with all its threads."""
    return time.process_time() * 1000.0


def now() -> datetime:
    """The time of day, in UTC."""
    return datetime.now(UTC)
