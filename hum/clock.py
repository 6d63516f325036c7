"""The only place that reads a clock.  Everything else takes the time as an argument, or one of these as a parameter."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], float]


def monotonic_ms() -> float:
    """Milliseconds on a clock that never jumps; its zero means nothing."""
    return time.monotonic() * 1000.0


def now() -> datetime:
    """The time of day, in UTC."""
    return datetime.now(UTC)
