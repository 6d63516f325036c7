"""The command `python -m bench.media.scaling`: a number of calls on one worker, and twice as many on two behind the same port.

The two alternate for a few rounds.  Each worker has the same load in both, and CPU time is read from the kernel: the
additional cost of a call on two workers is their interference, through the port, the cache and memory.
"""

import argparse
import asyncio
import json
from collections.abc import Sequence
from statistics import mean

from bench.media.arguments import parser
from bench.media.processes import running
from bench.media.product import Figures, callers, serving

NAMES = ("cpu_ms_per_call_second", "clear_p50_ms", "clear_p99_ms", "first_media_p99_ms", "gaps", "lost_calls")


async def measure(options: argparse.Namespace) -> dict[int, list[Figures]]:
    """Return the figures of each round, by the number of workers."""
    figures_by_workers: dict[int, list[Figures]] = {1: [], 2: []}
    async with running(["-m", "bench.media.model"]) as model:
        model_port = int(await model.line())
        for _ in range(options.rounds):
            for workers, rounds in figures_by_workers.items():
                async with serving(workers, model_port) as product:
                    calls = options.calls * workers
                    rounds.append(await callers(product.port, product.pids, calls, options.seconds, options.warm_up))
                cells = ["-" if (figure := rounds[-1][name]) is None else f"{figure:.2f}" for name in NAMES]
                print(f"| {workers} | {calls} | {' | '.join(cells)} |", flush=True)
    return figures_by_workers


def main(arguments: Sequence[str] | None = None) -> None:
    command = parser(
        "python -m bench.media.scaling", __doc__, calls=100, calls_help="calls per worker", seconds=15.0, rounds=3
    )
    options = command.parse_args(arguments)
    print("| workers | calls | CPU per call, ms per second | clear p50, ms | p99 | first media p99, ms | gaps | lost |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    figures_by_workers = asyncio.run(measure(options))
    if options.json is not None:
        options.json.write_text(json.dumps(figures_by_workers, indent=1) + "\n")
    one, two = (
        mean(figures["cpu_ms_per_call_second"] for figures in figures_by_workers[workers]) for workers in (1, 2)
    )
    print(
        f"\na call takes {one:.2f} ms a second on one worker, {two:.2f} on two: two carry {2 * one / two:.2f} times as many"
    )


if __name__ == "__main__":
    main()
