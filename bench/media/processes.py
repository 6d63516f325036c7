"""Processes under measurement: started apart from the load generator, and measured by the kernel's accounting."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from tests.support import programs
from tests.support.processes import seconds_in
from tests.support.programs import Program

PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024
BUSY_SHARE = 0.05  # of a core


@dataclass(frozen=True, slots=True)
class Threads:
    """CPU seconds of the threads of some processes, by process and thread id."""

    seconds: Mapping[tuple[int, int], float]

    @classmethod
    def of(cls, pids: Iterable[int]) -> "Threads":
        tasks = ((pid, task) for pid in pids for task in Path(f"/proc/{pid}/task").iterdir())
        return cls({(pid, int(task.name)): seconds_in(task / "stat") for pid, task in tasks})

    def busy_since(self, before: "Threads", elapsed: float) -> int:
        """Count the threads that used a core for a twentieth of these `elapsed` seconds or longer; return the most of any process."""
        busy: Counter[int] = Counter()
        for (pid, thread), seconds in self.seconds.items():
            busy[pid] += seconds - before.seconds.get((pid, thread), 0.0) >= BUSY_SHARE * elapsed
        return max(busy.values())


def resident_kb(pids: Iterable[int]) -> int:
    return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids) * PAGE_KB


def running(
    arguments: Sequence[str], environment: Mapping[str, str] | None = None, python: str = sys.executable
) -> AbstractAsyncContextManager[Program]:
    """Run a Python program in a child process; terminate it, and kill it if need be, when the block is left."""
    return programs.running(
        python, *arguments, patience_seconds=10, env={**os.environ, **(environment or {})}, stdout=subprocess.PIPE
    )
