"""python -m sandbox.twilio: the stand-in for Twilio as a process of its own.

TWILIO_AUTH_TOKEN is its secret; TWILIO_API_KEY and TWILIO_API_SECRET, if set, are an API key that it accepts.
Prints one JSON line {"url": ...} when it is ready; SIGTERM and SIGINT shut it down cleanly.
"""

import argparse
import asyncio
import os
import sys

from sandbox.serving import alone, secret
from sandbox.twilio.carrier import Carrier


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.twilio", description="A stand-in for Twilio.")
    parser.add_argument("--listen", default="127.0.0.1:0", metavar="HOST:PORT")
    parser.add_argument("--account-sid", required=True)
    parser.add_argument("--number", action="append", default=[], metavar="E164", help="a number that the account holds")
    parser.add_argument("--say-ms-per-char", type=float, default=60.0, help="how fast <Say> speaks")
    return parser.parse_args(argv)


async def main(argv: list[str]) -> None:
    chosen = arguments(argv)
    key = os.environ.get("TWILIO_API_KEY")
    async with Carrier.serve(
        account_sid=chosen.account_sid,
        auth_token=secret("TWILIO_AUTH_TOKEN"),
        numbers=chosen.number,
        listen=chosen.listen,
        api_keys={key: secret("TWILIO_API_SECRET")} if key else {},
        say_ms_per_char=chosen.say_ms_per_char,
    ) as carrier:
        await alone(carrier.url)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
