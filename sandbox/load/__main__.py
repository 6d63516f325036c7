"""The command `python -m sandbox.load`: the load test against any gateway that implements the contract.

TWILIO_AUTH_TOKEN signs its requests.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence

from sandbox.load import options
from sandbox.load.harness import main
from sandbox.serving import secret


def alone(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m sandbox.load", description="A load test of simulated calls.")
    parser.add_argument("--voice-url", required=True, help="the voice webhook of a phone number")
    parser.add_argument("--account-sid", required=True)
    options.add_arguments(parser)
    arguments = parser.parse_args(argv)
    return asyncio.run(main(arguments, arguments.voice_url, arguments.account_sid, secret("TWILIO_AUTH_TOKEN")))


if __name__ == "__main__":
    sys.exit(alone(sys.argv[1:]))
