"""The command python -m bench.texts: the rate of campaigns and conversations, and the delay of answers to inbound texts.

A whole platform is started: PostgreSQL, control, gateway and one worker as processes of their own, and the stand-in carrier in this one.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import uvloop

from bench.texts import speed
from bench.texts.speed import Figure
from tests.support.runningplatform import FAST, start_platform


async def measure(home: Path, recipients: int, conversations: int, webhooks: int, rate: float) -> list[Figure]:
    async with start_platform(home, settings=FAST) as platform:
        await speed.campaign(platform, 0, max(50, recipients // 10), callbacks=True)  # warm
        first = recipients
        figures = [await speed.campaign(platform, first, recipients, callbacks=False)]
        figures.append(await speed.campaign(platform, first + recipients, recipients, callbacks=True))
        figures += await speed.lag(platform, 0, conversations, rate / 2)
        figures += await speed.inbound(platform, 0, webhooks, rate)
    return figures


def table(figures: Sequence[Figure]) -> str:
    """Format the rows as a Markdown table."""
    lines = ["| figure | measured | target | |", "| --- | --- | --- | --- |"]
    for figure in figures:
        target = "" if figure.target is None else f"{figure.target:g} {figure.unit}"
        lines.append(f"| {figure.what} | {figure.value:.1f} {figure.unit} | {target} | {figure.more} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.texts", description=__doc__)
    parser.add_argument("--recipients", type=int, default=2000, help="of each campaign")
    parser.add_argument("--conversations", type=int, default=1000)
    parser.add_argument("--webhooks", type=int, default=4000)
    parser.add_argument("--rate", type=float, default=200.0, help="webhooks a second; half as many texts are written")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="texts.") as folder:
        home = Path(folder) / "home"
        figures = uvloop.run(measure(home, options.recipients, options.conversations, options.webhooks, options.rate))
    print(table(figures))
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    if options.json:
        options.json.write_text(json.dumps([asdict(figure) for figure in figures], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
