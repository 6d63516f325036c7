"""The command line of the load, without what carries it out: a command's help must not load a speech engine."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `hum load` and `python -m sandbox.load` have in common."""
    parser.add_argument("--to", default="", help="the number that is called, E.164")
    parser.add_argument("--from", dest="from_", default="+13175550199", help="the callers' number, E.164")
    parser.add_argument("--calls", type=int, default=10, help="how many at once")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long each lasts")
    parser.add_argument("--ramp", type=float, default=0.0, metavar="SECONDS", help="over which they are placed")
    parser.add_argument("--interrupt", type=float, default=0.3, help="share of lines spoken over the agent, 0 to 1")
    parser.add_argument("--wav", action="append", default=[], metavar="FILE", help="what callers say; else a voice")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    limits = parser.add_argument_group("thresholds, above which the status is 1")
    limits.add_argument("--max-first-audio-ms", type=float, help="p95 of stream open -> first audio")
    limits.add_argument("--max-answer-ms", type=float, help="p95 of caller silent -> agent heard")
    limits.add_argument("--max-clear-ms", type=float, help="p99 of spoken over -> clear")
    limits.add_argument("--max-gaps", type=float, help="gaps in agent audio, of all calls")
    limits.add_argument("--max-errors", type=float, default=0, help="errors, of all calls (default 0)")
