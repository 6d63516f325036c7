"""The processes that a program has started."""

import os
import signal
from contextlib import suppress
from pathlib import Path


def kill_group(pid: int) -> None:
    """Kill a program that began a session of its own, and all that it has started: `node` from a wheel is a script beside node."""
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def children(pid: int) -> list[int]:
    """Return the processes that a program has started, but for the one that writes its standard error."""
    found = [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [each for each in found if not is_wrapper(each)]


def is_wrapper(pid: int) -> bool:
    """Tell whether a process writes a program's standard error (hum/observe/lines.py)."""
    with suppress(OSError):
        return b"hum.observe.lines" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False
