"""`python -m bench.media.scaling`: how many calls one worker carries, and how many two behind the same port.

Two workers need two free cores, and here callers and model want some too.  So each worker is held to a part of a core
(`--share`, by the kernel's CPU quota; needs root): what two carry then, against one, is what more cores would bring.
"""

import argparse
import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.media.processes import line, running
from bench.media.product import Figures, callers, serving

PERIOD_US = 10_000  # short: a worker that has used up its share waits for the rest of this
CGROUPS = Path("/sys/fs/cgroup")
CLOSE = 0.03  # how near the most calls are searched for
FIRST_MEDIA_MS = 100.0  # later than this (p99) is overload


@contextmanager
def held(pids: Sequence[int], share: float) -> Iterator[list[Path]]:
    """Each process may use so much of a core.  OSError without the right to it."""
    groups: list[Path] = []
    quota_us = int(PERIOD_US * share)
    try:
        for pid in pids:
            first = (CGROUPS / "cpu").is_dir()  # version 1 of the interface; else the unified one
            group = (CGROUPS / "cpu" if first else CGROUPS) / f"hum-bench-{pid}"
            group.mkdir()
            groups.append(group)
            if first:
                (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
                (group / "cpu.cfs_quota_us").write_text(str(quota_us))
            else:
                (group / "cpu.max").write_text(f"{quota_us} {PERIOD_US}")
            (group / "cgroup.procs").write_text(str(pid))
        yield groups
    finally:
        for group in groups:
            root = group.parent / "cgroup.procs"
            for left in (group / "cgroup.procs").read_text().split():
                with suppress(OSError):  # gone by itself
                    root.write_text(left)
            group.rmdir()


async def carried(asked: argparse.Namespace, model_port: int, workers: int, calls: int) -> Figures:
    async with serving(workers, model_port) as product:
        with held(product.pids, asked.share):
            return await callers(product.port, product.pids, calls, asked.seconds, asked.warm_up)


def well(figures: Figures) -> bool:
    """Whether every caller was served: all calls there, no gap, answers without delay."""
    late_ms = figures["first_media_p99_ms"]
    return not figures["lost_calls"] and not figures["gaps"] and late_ms is not None and late_ms < FIRST_MEDIA_MS


async def most(asked: argparse.Namespace, model_port: int, workers: int) -> list[Figures]:
    """Every load that was tried; the last one that went well is the most."""
    tried: list[Figures] = []
    low, high = 0, 0
    calls = asked.calls * workers
    while not high or high - low > max(1, CLOSE * low):
        figures = await carried(asked, model_port, workers, calls)
        figures |= {"workers": workers, "calls": calls, "well": well(figures)}
        tried.append(figures)
        print(row(figures), flush=True)
        if figures["well"]:
            low = calls
        else:
            high = calls
        calls = (low + high) // 2 if high else int(low * 1.25)
    return tried


def row(figures: Figures) -> str:
    """Of the table in Markdown."""
    names = ("workers", "calls", "cpu_ms_per_call_second", "cores", "gaps", "first_media_p99_ms", "clear_p50_ms")
    cells = [f"{each:.2f}" if isinstance(each := figures[name], float) else str(each) for name in names]
    return f"| {' | '.join(cells)} | {'yes' if figures['well'] else 'no'} |"


async def measure(asked: argparse.Namespace) -> dict[int, list[Figures]]:
    async with running(["-m", "bench.media.model"]) as model:
        model_port = int(await line(model))
        return {workers: await most(asked, model_port, workers) for workers in (1, 2)}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.media.scaling", description=__doc__)
    parser.add_argument("--share", type=float, default=0.2, help="of a core, for each worker")
    parser.add_argument("--calls", type=int, default=60, help="that one worker is tried with first")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--warm-up", type=float, default=8.0)
    parser.add_argument("--json", type=Path, metavar="FILE")
    asked = parser.parse_args(arguments)
    print(
        "| workers | calls | ms of CPU per call and second | cores | gaps | first media p99, ms | clear p50, ms | well |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    tried = asyncio.run(measure(asked))
    if asked.json is not None:
        asked.json.write_text(json.dumps(tried, indent=1) + "\n")
    one, two = (max(each["calls"] for each in tried[workers] if each["well"]) for workers in (1, 2))
    print(
        f"\none worker carries {one} calls on {asked.share:.2f} of a core, two carry {two}: {two / one:.2f} times as many"
    )


if __name__ == "__main__":
    main()
