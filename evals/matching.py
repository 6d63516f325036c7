"""Patterns of a suite, matched within a second of computing: one that backtracks for ever is an error and stops no run."""

import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SECONDS = 1.0


class PatternTooSlow(Exception):  # noqa: N818
    """A pattern did not match a text in time."""


def found(pattern: str, text: str) -> bool:
    """Tell whether the pattern is in the text, in any case of letters.  Raises PatternTooSlow."""
    with _at_most(SECONDS, pattern):
        return re.search(pattern, text, re.IGNORECASE | re.DOTALL) is not None


@contextmanager
def _at_most(seconds: float, pattern: str) -> Iterator[None]:
    """Interrupt the main thread after so many seconds of the process's own time; the regular expressions' engine looks for signals as it works."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_: int, __: FrameType | None) -> None:
        raise PatternTooSlow(f"{pattern!r} took more than {seconds:g} s; write a simpler pattern")

    earlier = signal.signal(signal.SIGVTALRM, stop)
    left, interval = signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, left, interval)
        signal.signal(signal.SIGVTALRM, earlier)
