"""python -m sandbox.stripe: the stand-in for Stripe as a process of its own.

STRIPE_API_KEY and STRIPE_WEBHOOK_SECRET are what it is called with, and signs with.
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
    parser.add_argument("--meter", action="append", default=[], metavar="ID=EVENT", help="a price of what is metered")
    return parser.parse_args(argv)


async def main(argv: list[str]) -> None:
    chosen = arguments(argv)
    async with Stripe.serve(
        api_key=secret("STRIPE_API_KEY"),
        webhook_secret=secret("STRIPE_WEBHOOK_SECRET"),
        webhook_url=chosen.webhook_url,
        listen=chosen.listen,
    ) as stripe:
        for each in chosen.price:
            id, _, cents = each.partition("=")
            stripe.book.add_price(id, int(cents or 0))
        for each in chosen.meter:
            id, _, event_name = each.partition("=")
            stripe.book.add_price(id, 0, meter=event_name)
        await alone(stripe.url)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
