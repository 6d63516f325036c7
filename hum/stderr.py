"""Standard error, when it is a log: each line is JSON, whoever writes it."""

import atexit
import os
import subprocess
import sys
import threading
from contextlib import suppress

STANDARD = 2
LAST_LINES_SECONDS = 2.0
#: How soon a wrapper that died is followed by another.
AGAIN_SECONDS = 0.5


class _Log:
    descriptor = STANDARD


def descriptor() -> int:
    """Return where lines of JSON go, and where children write."""
    return _Log.descriptor


def wrap(plane: str) -> None:
    """Have whatever is written to standard error become lines of JSON, unless a person reads it on a terminal.

    Call it once, before anything is written.
    """
    if os.isatty(STANDARD):
        return
    log = os.dup(STANDARD)
    reading, writing = os.pipe()
    wrapper = _Wrapper(plane, reading, log)
    if not wrapper.start():  # the system has no room: the lines stay as they are
        for each in (reading, writing, log):
            os.close(each)
        return
    os.dup2(writing, STANDARD)
    os.close(writing)
    _Log.descriptor = log
    threading.Thread(target=wrapper.keep, name="standard error", daemon=True).start()
    atexit.register(wrapper.end)


class _Wrapper:
    """The process that reads the pipe behind standard error; one that dies is followed by another, which reads on."""

    def __init__(self, plane: str, reading: int, log: int) -> None:
        self._plane, self._reading, self._log = plane, reading, log
        self._ends = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> bool:
        """Start the process; False if the system has no room for it."""
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "hum.lines", self._plane],
                stdin=self._reading,
                stdout=self._log,
                stderr=self._log,
                start_new_session=True,  # it outlives the program by a line
            )
        except OSError:
            return False
        return True

    def keep(self) -> None:
        """Start another process whenever one has died, until `end`."""
        while self._process is not None:
            self._process.wait()
            if self._ends.wait(AGAIN_SECONDS):
                return
            while not self.start():
                if self._ends.wait(AGAIN_SECONDS):
                    return

    def end(self) -> None:
        """Let the process write the last line before this program is gone: its supervisor quotes that line."""
        self._ends.set()
        os.dup2(_Log.descriptor, STANDARD)
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(LAST_LINES_SECONDS)
