"""How much of the processor this process uses, of what it may use.

Lateness alone doesn't say whether a process is overloaded: it may have been stopped for a moment, or its neighbours are
busy, and it would still be on time with one more call, or no later for it.
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
        """Call this often; most calls only compare two numbers."""
        elapsed_ms = now_ms - self._since_ms
        if elapsed_ms < WINDOW_MS:
            return
        cpu_ms = self._cpu_ms()
        if elapsed_ms < float("inf"):
            self.share = (cpu_ms - self._since_cpu_ms) / elapsed_ms / min(1.0, self._allowed())
        self._since_ms, self._since_cpu_ms = now_ms, cpu_ms


def allowed_cores() -> float:
    """How many cores the control groups of this process let it use; infinity where nothing limits it.

    https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files (`cpu.max`), and its predecessor's
    `cpu.cfs_quota_us` and `cpu.cfs_period_us`.  A limit of a group further up, outside a container, is not seen.
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
    except (OSError, ValueError):  # no such file, or the word `max`: nothing limits it
        return float("inf")
