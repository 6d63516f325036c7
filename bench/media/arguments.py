"""The arguments that the measurements of this package have in common."""

import argparse
from pathlib import Path


def parser(
    prog: str, about: str | None, *, calls: int, calls_help: str, seconds: float, rounds: int
) -> argparse.ArgumentParser:
    """Return a parser for the size of a measurement, with these defaults, and for the file of its figures."""
    made = argparse.ArgumentParser(prog=prog, description=about)
    made.add_argument("--calls", type=int, default=calls, help=calls_help)
    made.add_argument("--seconds", type=float, default=seconds, help="length of the measurement, after the warm-up")
    made.add_argument("--warm-up", type=float, default=8.0)
    made.add_argument("--rounds", type=int, default=rounds)
    made.add_argument("--json", type=Path, metavar="FILE")
    return made
