"""Processes by their ids: those that a program has started, and what they have used."""

import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def peak_kib(status: str = "/proc/self/status") -> int:
    """Return the most memory that this program has had: `ru_maxrss` counts what its parent had when it was forked, too."""
    (line,) = [line for line in Path(status).read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1])


def kill_group(pid: int) -> None:
    """Kill a program that began a session of its own, and all that it has started: `node` from a wheel is a script beside node."""
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


@contextmanager
def stopped(pids: Iterable[int]) -> Iterator[None]:
    """Let processes stand still (SIGSTOP) until the block is left.  The next one is asked for when the one before stands."""
    standing = list[int]()
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
            standing.append(pid)
        yield
    finally:
        for pid in standing:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def family(pid: int) -> Iterator[int]:
    """Yield a process, then those that it has started by then."""
    yield pid
    yield from children(pid)


def children(pid: int, *, wrapper: bool = True) -> list[int]:
    """Return the processes that a program has started, with the one that writes its standard error, or without it."""
    pids = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [child for child in pids if wrapper or not is_wrapper(child)]


def is_wrapper(pid: int) -> bool:
    """Return whether a process writes a program's standard error (hum/observe/strayoutput.py)."""
    with suppress(OSError):
        return b"hum.observe.strayoutput" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the user and system time of these processes with all their threads."""
    return sum(seconds_in(Path(f"/proc/{pid}/stat")) for pid in pids)


def seconds_in(stat: Path) -> float:
    """Return the user and system time in a process's or a thread's `stat` (proc(5), fields 14 and 15)."""
    try:
        fields = stat.read_text().rsplit(")", 1)[1].split()
    # A process of PostgreSQL's may have ended since it was listed.
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND
