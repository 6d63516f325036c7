"""The command `python -m bench.media.overload`: offers more calls than a worker can carry, and shows which are refused.

The worker is limited to a share of a core (`--share`, needs root), so that the callers have the rest.  Calls arrive
slowly, as in reality: the cost of a call shows only once its agent talks.  No accepted call may have a gap.
"""

import argparse
import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.media.processes import running
from bench.media.product import Figures, callers, serving

#: Short, since a worker that has used up its quota waits for the rest of the period.
PERIOD_US = 10_000
MIN_QUOTA_US = 1_000  # the kernel's minimum
CGROUPS = Path("/sys/fs/cgroup")


@contextmanager
def held(pids: Sequence[int], share: float) -> Iterator[None]:
    """Limit each process to this share of a core.  Raises PermissionError or FileNotFoundError if that is impossible."""
    groups: list[Path] = []
    quota_us = max(MIN_QUOTA_US, int(PERIOD_US * share))
    try:
        for pid in pids:
            # Version 1 of the interface, else the unified one.
            first = (CGROUPS / "cpu").is_dir()
            group = (CGROUPS / "cpu" if first else CGROUPS) / f"hum-bench-{pid}"
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


async def measure(options: argparse.Namespace) -> Figures:
    async with running(["-m", "bench.media.model"]) as model, serving(1, int(await model.line())) as product:
        with held(product.pids, options.share):
            return await callers(
                product.port, product.pids, options.calls, options.seconds, 2.0, options.calls_per_second
            )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.media.overload", description=__doc__)
    parser.add_argument("--share", type=float, default=0.2, help="share of a core for the worker")
    parser.add_argument("--calls", type=int, default=200, help="number of calls to try")
    parser.add_argument("--calls-per-second", type=float, default=5.0)
    parser.add_argument("--seconds", type=float, default=20.0, help="length of the measurement after all were tried")
    options = parser.parse_args(arguments)
    figures = asyncio.run(measure(options))
    print(json.dumps(figures, indent=1))
    carried = options.calls - figures["refused"]
    print(
        f"\n{carried} accepted, {figures['refused']} refused, {figures['lost_calls']} lost;"
        f" {figures['gaps_while_opening']} gaps while calls arrived, {figures['gaps']} afterwards"
    )


if __name__ == "__main__":
    main()
