"""The command `python -m sandbox.mcp`: the MCP server as a process of its own, with one tool.

Prints one JSON line {"url": ...} when it is ready; SIGTERM and SIGINT shut it down cleanly.
"""

import argparse
import asyncio
import sys

from sandbox.mcp import McpFault, McpServer, McpTool
from sandbox.serving import alone


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.mcp", description="A stand-in for a customer's MCP server."
    )
    parser.add_argument("--listen", default="127.0.0.1:0", metavar="HOST:PORT")
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="METHOD=FAULT",
        help=f"the fault of all responses to a method: {', '.join(fault.name.lower() for fault in McpFault)}",
    )
    return parser.parse_args(argv)


async def main(argv: list[str]) -> None:
    options = arguments(argv)
    async with McpServer.serve(options.listen) as server:
        server.tools["find_order"] = McpTool("Finds an order by its number.", lambda _: "It is on its way.")
        for option in options.fault:
            method, _, fault = option.rpartition("=")
            server.faults[method] = McpFault[fault.upper()]
        await alone(server.url)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
