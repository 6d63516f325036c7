"""Command-line options of the load test, separate because `--help` must not load a speech engine."""

import argparse


def _calls(text: str) -> int:
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError("must be a number of calls, 1 or more")
    return int(text)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that `hum load` and `python -m sandbox.load` share."""
    parser.add_argument("--to", default="", help="the number that is called, E.164")
    parser.add_argument(
        "--from", dest="from_", default="+13175550199", help="the first caller's number, E.164; the others follow it"
    )
    parser.add_argument("--calls", type=_calls, default=10, help="number of simultaneous calls")
    parser.add_argument("--seconds", type=float, default=30.0, help="length of each call, in seconds")
    parser.add_argument("--ramp", type=float, default=0.0, metavar="SECONDS", help="spread the calls' starts over this")
    parser.add_argument("--interrupt", type=float, default=0.3, help="share of lines spoken over the agent, 0 to 1")
    parser.add_argument("--wav", action="append", default=[], metavar="FILE", help="what callers say (default: TTS)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    limits = parser.add_argument_group("thresholds; the exit status is 1 if one is exceeded")
    limits.add_argument("--max-first-audio-ms", type=float, help="p95 of stream open -> first audio")
    limits.add_argument("--max-answer-ms", type=float, help="p95 of caller silent -> agent heard")
    limits.add_argument("--max-clear-ms", type=float, help="p99 of interruption -> clear")
    limits.add_argument("--max-gaps", type=float, help="gaps in agent audio, over all calls")
    limits.add_argument("--max-errors", type=float, default=0, help="errors, over all calls (default 0)")
