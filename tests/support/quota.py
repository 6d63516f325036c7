"""A share of a core that a process may not exceed, by control groups."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

#: Short, since a worker that has used up its quota waits for the rest of the period.
PERIOD_US = 10_000
MIN_QUOTA_US = 1_000  # the kernel's minimum
CGROUPS = Path("/sys/fs/cgroup")


@contextmanager
def cpu_quota(pids: Sequence[int], share: float) -> Iterator[None]:
    """Limit each process to this share of a core.  Raises PermissionError or FileNotFoundError if that is impossible."""
    groups: list[Path] = []
    quota_us = max(MIN_QUOTA_US, int(PERIOD_US * share))
    try:
        for pid in pids:
            # Version 1 of the interface, else the unified one.
            first = (CGROUPS / "cpu").is_dir()
            group = (CGROUPS / "cpu" if first else CGROUPS) / f"hum-quota-{pid}"
            group.mkdir()
            groups.append(group)
            if first:
                (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
                (group / "cpu.cfs_quota_us").write_text(str(quota_us))
            else:
                (group / "cpu.max").write_text(f"{quota_us} {PERIOD_US}")
            (group / "cgroup.procs").write_text(str(pid))
        yield
    finally:
        for group in groups:
            root = group.parent / "cgroup.procs"
            for member in (group / "cgroup.procs").read_text().split():
                with suppress(OSError):  # the process has ended
                    root.write_text(member)
            group.rmdir()
