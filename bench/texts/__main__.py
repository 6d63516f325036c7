"""python -m bench.texts: how fast campaigns and conversations leave, and how soon inbound texts are answered.

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
from bench.texts.speed import FAST, Figure
from bench.texts.town import town


async def measure(home: Path, recipients: int, conversations: int, webhooks: int, rate: float) -> list[Figure]:
    async with town(home, settings=FAST) as made:
        await speed.campaign(made, 0, max(50, recipients // 10), callbacks=True)  # warm
        first = recipients
        found = [await speed.campaign(made, first, recipients, callbacks=False)]
        found.append(await speed.campaign(made, first + recipients, recipients, callbacks=True))
        found += await speed.lag(made, 0, conversations, rate / 2)
        found += await speed.inbound(made, 0, webhooks, rate)
    return found


def table(figures: Sequence[Figure]) -> str:
    """Markdown."""
    lines = ["| figure | measured | target | |", "| --- | --- | --- | --- |"]
    for each in figures:
        target = "" if each.target is None else f"{each.target:g} {each.unit}"
        lines.append(f"| {each.what} | {each.value:.1f} {each.unit} | {target} | {each.more} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.texts", description=__doc__)
    parser.add_argument("--recipients", type=int, default=2000, help="of each campaign")
    parser.add_argument("--conversations", type=int, default=1000)
    parser.add_argument("--webhooks", type=int, default=4000)
    parser.add_argument("--rate", type=float, default=200.0, help="webhooks a second; half as many texts are written")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    given = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="texts.") as folder:
        home = Path(folder) / "home"
        figures = uvloop.run(measure(home, given.recipients, given.conversations, given.webhooks, given.rate))
    print(table(figures))
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    if given.json:
        given.json.write_text(json.dumps([asdict(each) for each in figures], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
