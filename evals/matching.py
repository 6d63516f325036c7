"""Patterns of a suite, matched within a second: one that backtracks for ever is an error and stops no run."""

import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SECONDS = 1.0


class PatternTooSlow(Exception):  # noqa: N818
    """A pattern did not match a text in time."""


def found(pattern: str, text: str, seconds: float = SECONDS) -> bool:
    """Tell whether the pattern is in the text, in any case of letters.  Raises PatternTooSlow."""
    with _at_most(seconds, pattern):
        return re.search(pattern, text, re.IGNORECASE | re.DOTALL) is not None


@contextmanager
def _at_most(seconds: float, pattern: str) -> Iterator[None]:
    """Interrupt the main thread after so many seconds; the regular expressions' engine looks for signals as it works."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_: int, __: FrameType | None) -> None:
        raise PatternTooSlow(f"{pattern!r} took more than {seconds:g} s; write a simpler pattern")

    earlier = signal.signal(signal.SIGALRM, stop)
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, left, interval)
        signal.signal(signal.SIGALRM, earlier)
