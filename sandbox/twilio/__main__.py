"""The command `python -m sandbox.twilio`: the stand-in for Twilio as a process of its own.

TWILIO_AUTH_TOKEN is its secret; TWILIO_API_KEY and TWILIO_API_SECRET, if set, are an API key that it accepts.
Prints one JSON line {"url": ...} when it is ready; SIGTERM and SIGINT shut it down cleanly.
"""

import argparse
import asyncio
import os
import sys
from pathlib import Path

from sandbox.serving import alone, secret
from sandbox.speech import Speech
from sandbox.twilio.carrier import Carrier
from sandbox.twilio.farend import KINDS
from sandbox.twilio.numbers import NumberBook
from sandbox.twilio.voiced import voiced


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.twilio", description="A stand-in for Twilio.")
    parser.add_argument("--listen", default="127.0.0.1:0", metavar="HOST:PORT")
    parser.add_argument("--account-sid", required=True)
    parser.add_argument("--number", action="append", default=[], metavar="E164", help="a number that the account holds")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="where its numbers are kept, for its next start")
    parser.add_argument("--say-ms-per-char", type=float, default=60.0, help="how fast <Say> speaks")
    parser.add_argument(
        "--person",
        action="append",
        default=[],
        type=_person,
        metavar="E164=KIND",
        help=f"who answers at a number that is called (* is any other): {', '.join(KINDS)}",
    )
    parser.add_argument(
        "--calls-per-second", type=float, default=1.0, help="more are queued; 0 is no limit (default 1)"
    )
    parser.add_argument(
        "--segments-per-second",
        type=float,
        default=0.0,
        help="how many segments of texts a second each number sends; more are queued; 0 is no limit (default 0)",
    )
    parser.add_argument("--speech", action="store_true", help="people and machines speak in words (extra `speech`)")
    options = parser.parse_args(argv)
    if options.speech and not Speech.available():
        parser.error("--speech needs the extra `speech`")
    return options


def _person(text: str) -> tuple[str, str]:
    e164, _, kind = text.partition("=")
    if kind not in KINDS:
        raise argparse.ArgumentTypeError(f"{kind!r} is not one of {', '.join(KINDS)}")
    return e164, kind


async def main(argv: list[str]) -> None:
    options = arguments(argv)
    key = os.environ.get("TWILIO_API_KEY")
    speech = Speech() if options.speech else None
    try:
        async with Carrier.serve(
            account_sid=options.account_sid,
            auth_token=secret("TWILIO_AUTH_TOKEN"),
            numbers=NumberBook(options.number, options.keep),
            listen=options.listen,
            api_keys={key: secret("TWILIO_API_SECRET")} if key else {},
            say_ms_per_char=options.say_ms_per_char,
            calls_per_second=options.calls_per_second,
            segments_per_second=options.segments_per_second,
            speech=speech,
        ) as carrier:
            for e164, kind in options.person:
                person = KINDS[kind]()
                person.steps = await voiced(person.steps, speech)
                carrier.set_people(e164, person)
            await alone(carrier.url)
    finally:
        if speech is not None:
            speech.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
