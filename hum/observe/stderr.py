"""Standard error as a log: every line is JSON, also those that are not written by our logger."""

import atexit
import os
import subprocess
import sys
import threading
from contextlib import suppress

STANDARD = 2
LAST_LINES_SECONDS = 2.0
#: The pause before a wrapper that died is replaced.
RESTART_SECONDS = 0.5


class _LogTarget:
    descriptor = STANDARD


def descriptor() -> int:
    """Return the descriptor for lines of JSON, and for the standard error of children."""
    return _LogTarget.descriptor


def wrap(plane: str) -> None:
    """Wrap stray output to standard error in JSON log lines, unless it is a terminal.

    Call it once, before anything is written.
    """
    if os.isatty(STANDARD):
        return
    log = os.dup(STANDARD)
    read_end, write_end = os.pipe()
    wrapper = _Wrapper(plane, read_end, log)
    if not wrapper.start():  # no resources: lines stay as they are
        for descriptor_to_close in (read_end, write_end, log):
            os.close(descriptor_to_close)
        return
    os.dup2(write_end, STANDARD)
    os.close(write_end)
    _LogTarget.descriptor = log
    threading.Thread(target=wrapper.supervise, name="standard error", daemon=True).start()
    atexit.register(wrapper.end)


class _Wrapper:
    """The process that reads the pipe behind standard error; if it dies, another one reads on."""

    def __init__(self, plane: str, read_end: int, log: int) -> None:
        self._plane, self._read_end, self._log = plane, read_end, log
        self._ending = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> bool:
        """Start the process; return False if the system lacks the resources."""
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "hum.observe.strayoutput", self._plane],
                stdin=self._read_end,
                stdout=self._log,
                stderr=self._log,
                start_new_session=True,  # it outlives the program by a line
            )
        except OSError:
            return False
        return True

    def supervise(self) -> None:
        """Start another process whenever one dies, until `end`."""
        while self._process is not None:
            self._process.wait()
            if self._ending.wait(RESTART_SECONDS):
                return
            while not self.start():
                if self._ending.wait(RESTART_SECONDS):
                    return

    def end(self) -> None:
        """Wait until the process has written the last line: the supervisor of this program quotes it."""
        self._ending.set()
        os.dup2(_LogTarget.descriptor, STANDARD)
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(LAST_LINES_SECONDS)
