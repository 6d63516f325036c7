"""The command `python -m bench.media.overload`: offers more calls than a worker can carry, and shows which are refused.

The worker is limited to a share of a core (`--share`, needs root), so that the callers have the rest.  Calls arrive
slowly, as in reality: the cost of a call shows only once its agent talks.  No accepted call may have a gap.
"""

import argparse
import asyncio
import json
from collections.abc import Sequence

from bench.media.processes import running
from bench.media.product import Figures, callers, serving
from tests.support.quota import cpu_quota


async def measure(options: argparse.Namespace) -> Figures:
    async with running(["-m", "bench.media.model"]) as model, serving(1, int(await model.line())) as product:
        with cpu_quota(product.pids, options.share):
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
