"""The share of its CPU allowance that this process uses.

Lateness alone does not show whether a process is overloaded.  It may have been suspended for a moment, or its neighbours may be
busy: then one more call would not make it later.
"""

from collections.abc import Callable
from pathlib import Path

from hum.clock import Clock

WINDOW_MS = 1_000.0
CGROUPS = Path("/sys/fs/cgroup")


class Used:
    """The share of its core that a process used in the last whole window, 0 to 1."""

    def __init__(self, cpu_ms: Clock, allowed: Callable[[], float]) -> None:
        self.share = 0.0
        self._cpu_ms, self._allowed = cpu_ms, allowed
        self._since_ms, self._since_cpu_ms = float("-inf"), 0.0

    def sample(self, now_ms: float) -> None:
        """Update `share` once per window; call this often, since most calls only compare two numbers."""
        elapsed_ms = now_ms - self._since_ms
        if elapsed_ms < WINDOW_MS:
            return
        cpu_ms = self._cpu_ms()
        if elapsed_ms < float("inf"):
            self.share = (cpu_ms - self._since_cpu_ms) / elapsed_ms / min(1.0, self._allowed())
        self._since_ms, self._since_cpu_ms = now_ms, cpu_ms


def allowed_cores() -> float:
    """Return the number of cores that this process's control groups allow; infinity if nothing limits it.

    Source: https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files (`cpu.max`), and version 1's
    `cpu.cfs_quota_us` and `cpu.cfs_period_us`.  A limit of an outer group, outside a container, is not visible.
    """
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return float("inf")
    return min((_limit(*line.split(":", 2)[1:]) for line in lines), default=float("inf"))


def _limit(controllers: str, path: str) -> float:
    try:
        if not controllers:
            quota, period = (CGROUPS / path.lstrip("/") / "cpu.max").read_text().split()
        elif "cpu" in controllers.split(","):
            group = CGROUPS / "cpu" / path.lstrip("/")
            quota, period = (group / "cpu.cfs_quota_us").read_text(), (group / "cpu.cfs_period_us").read_text()
        else:
            return float("inf")
        return int(quota) / int(period) if int(quota) > 0 else float("inf")
    # Without the file, or with the word `max` in it, nothing limits the group.
    except (OSError, ValueError):
        return float("inf")
