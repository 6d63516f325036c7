"""The command `python -m sandbox.receiver`: the receiver as a process of its own.

Prints one JSON line {"url": ...} when it is ready; SIGTERM and SIGINT shut it down cleanly.
"""

import argparse
import asyncio
import sys

from sandbox.receiver import Receiver, ReceiverFault, Reply
from sandbox.serving import alone


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.receiver", description="A stand-in for a customer's server."
    )
    parser.add_argument("--listen", default="127.0.0.1:0", metavar="HOST:PORT")
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="PATH=FAULT",
        help=f"the fault of all responses at a path: {', '.join(fault.name.lower() for fault in ReceiverFault)}",
    )
    return parser.parse_args(argv)


async def main(argv: list[str]) -> None:
    options = arguments(argv)
    async with Receiver.serve(options.listen) as receiver:
        for option in options.fault:
            path, _, fault = option.rpartition("=")
            receiver.always(path, Reply(fault=ReceiverFault[fault.upper()]))
        await alone(receiver.url)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
