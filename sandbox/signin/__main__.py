"""The command `python -m sandbox.signin`: the stand-in for an identity provider as a process of its own.

HUM_OIDC_CLIENT_SECRET is its client's secret.
Prints one JSON line {"url": ...} when it is ready; SIGTERM and SIGINT shut it down cleanly.
"""

import argparse
import asyncio
import sys

from sandbox.serving import alone, secret
from sandbox.signin.issuer import Issuer
from sandbox.signin.people import User


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.signin", description="A stand-in for an OpenID provider.")
    parser.add_argument("--listen", default="127.0.0.1:0", metavar="HOST:PORT")
    parser.add_argument("--client-id", default="hum")
    parser.add_argument("--redirect-uri", required=True, help="where browsers are sent back to")
    parser.add_argument("--person", action="append", default=[], metavar="EMAIL", help="another user who can sign in")
    return parser.parse_args(argv)


async def main(argv: list[str]) -> None:
    options = arguments(argv)
    async with Issuer.serve(
        client_id=options.client_id,
        client_secret=secret("HUM_OIDC_CLIENT_SECRET"),
        redirect_uri=options.redirect_uri,
        listen=options.listen,
        people=tuple(User(email, email.partition("@")[0]) for email in options.person),
    ) as issuer:
        await alone(issuer.url)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
