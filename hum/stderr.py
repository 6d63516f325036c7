"""Standard error, when it is a log: each line is JSON, whoever writes it."""

import atexit
import os
import subprocess
import sys
from contextlib import suppress

STANDARD = 2
LAST_LINES_SECONDS = 2.0


class _Log:
    descriptor = STANDARD


def descriptor() -> int:
    """Where lines of JSON go, and where children write."""
    return _Log.descriptor


def wrap(plane: str) -> None:
    """From now on, whatever is written to standard error becomes lines of JSON, unless a person reads it on a terminal.

    Call it once, before anything is written.
    """
    if os.isatty(STANDARD):
        return
    log = os.dup(STANDARD)
    reading, writing = os.pipe()
    try:
        wrapper = subprocess.Popen(
            [sys.executable, "-m", "hum.lines", plane],
            stdin=reading,
            stdout=log,
            stderr=log,
            start_new_session=True,  # it outlives the program by a line
        )
    except OSError:  # the system has no room: the lines stay as they are
        os.close(log)
        return
    else:
        os.dup2(writing, STANDARD)
    finally:
        os.close(reading)
        os.close(writing)
    _Log.descriptor = log
    atexit.register(_unwrap, wrapper)


def _unwrap(wrapper: "subprocess.Popen[bytes]") -> None:
    """Let it write the last line before this program is gone: its supervisor quotes that line."""
    os.dup2(_Log.descriptor, STANDARD)
    with suppress(subprocess.TimeoutExpired):
        wrapper.wait(LAST_LINES_SECONDS)
