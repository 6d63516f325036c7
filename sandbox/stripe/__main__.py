"""The command `python -m sandbox.stripe`: the stand-in for Stripe as a process of its own.

STRIPE_API_KEY authenticates its clients, STRIPE_WEBHOOK_SECRET signs its events.
Prints one JSON line {"url": ...} when it is ready; SIGTERM and SIGINT shut it down cleanly.
"""

import argparse
import asyncio
import sys

from sandbox.serving import alone, secret
from sandbox.stripe.server import Stripe


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.stripe", description="A stand-in for Stripe's Billing.")
    parser.add_argument("--listen", default="127.0.0.1:0", metavar="HOST:PORT")
    parser.add_argument("--webhook-url", default="", help="where events go; none are sent without it")
    parser.add_argument("--price", action="append", default=[], metavar="ID=CENTS", help="a monthly price")
    parser.add_argument("--meter", action="append", default=[], metavar="ID=EVENT", help="a metered price")
    return parser.parse_args(argv)


async def main(argv: list[str]) -> None:
    options = arguments(argv)
    async with Stripe.serve(
        api_key=secret("STRIPE_API_KEY"),
        webhook_secret=secret("STRIPE_WEBHOOK_SECRET"),
        webhook_url=options.webhook_url,
        listen=options.listen,
    ) as stripe:
        for price in options.price:
            id, _, cents = price.partition("=")
            stripe.book.add_price(id, int(cents or 0))
        for meter in options.meter:
            id, _, event_name = meter.partition("=")
            stripe.book.add_price(id, 0, meter=event_name)
        await alone(stripe.url)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
