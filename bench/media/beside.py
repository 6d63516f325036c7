"""The command `python -m bench.media.beside`: one media process, two, and the bare loop, at the same time with as many calls each.

On a machine with other load, only figures of the same moments are comparable: CPU time is read from the kernel,
and reported as a multiple of the bare loop's.
"""

import argparse
import asyncio
import json
from collections.abc import Sequence
from contextlib import AsyncExitStack

from bench.media.arguments import parser
from bench.media.processes import running
from bench.media.product import Figures, callers, serving

SIDES = {"one process": 1, "two processes": 2}
BARE = "bare loop"
NAMES = ("cpu_ms_per_call_second", "memory_kb_per_call", "clear_p99_ms", "first_media_p99_ms", "gaps", "lost_calls")


async def measure(options: argparse.Namespace) -> dict[str, Figures]:
    """Return the figures of each side."""
    async with AsyncExitStack() as stack:
        model = await stack.enter_async_context(running(["-m", "bench.media.model"]))
        model_port = int(await model.line())
        url = f"ws://127.0.0.1:{model_port}/v1/realtime"
        bare = await stack.enter_async_context(running(["-m", "bench.media.bare", "--model", url]))
        ports: dict[str, tuple[int, Sequence[int]]] = {BARE: (int(await bare.line()), [bare.pid])}
        for name, workers in SIDES.items():
            product = await stack.enter_async_context(serving(workers, model_port))
            ports[name] = (product.port, product.pids)
        loads = [
            callers(port, pids, options.calls, options.seconds, options.warm_up, 20.0) for port, pids in ports.values()
        ]
        return dict(zip(ports, await asyncio.gather(*loads), strict=True))


def main(arguments: Sequence[str] | None = None) -> None:
    command = parser(
        "python -m bench.media.beside", __doc__, calls=40, calls_help="calls of each side", seconds=20.0, rounds=1
    )
    options = command.parse_args(arguments)
    print("| side | times the bare loop | CPU, ms | memory, KB | clear p99 | first media p99 | gaps | lost |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    rounds = []
    for _ in range(options.rounds):
        rounds.append(round_figures := asyncio.run(measure(options)))
        for name, figures in round_figures.items():
            ratio = figures[NAMES[0]] / round_figures[BARE][NAMES[0]]
            cells = ["-" if figures[key] is None else f"{figures[key]:.2f}" for key in NAMES]
            print(f"| {name} | {ratio:.2f} | {' | '.join(cells)} |", flush=True)
    if options.json is not None:
        options.json.write_text(json.dumps(rounds, indent=1) + "\n")


if __name__ == "__main__":
    main()
