"""The carrier as a server, and `simulate_call`, which simulates a single call without one.

async with Carrier.serve(account_sid=..., auth_token=..., numbers=["+13175550100"]) as carrier:
call = await carrier.ring(to="+13175550100", from_="+14155550123", steps=[...])
truth = await call.ended()
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable

from starlette.applications import Starlette

from sandbox.serving import serving
from sandbox.twilio.backstage import Backstage
from sandbox.twilio.call import Call, Callback, Fallback, Fetch
from sandbox.twilio.caller import Caller, Step
from sandbox.twilio.exchange import Account, Exchange, Person
from sandbox.twilio.lookup import Directory
from sandbox.twilio.numbers import Number
from sandbox.twilio.rest import Rest
from sandbox.twilio.stream import Path


class Carrier:
    """A running stand-in for Twilio; a client uses `url` instead of https://api.twilio.com."""

    def __init__(self, url: str, exchange: Exchange, directory: Directory) -> None:
        self.url = url
        self.exchange = exchange
        self.directory = directory

    @classmethod
    @contextlib.asynccontextmanager
    async def serve(
        cls,
        *,
        account_sid: str,
        auth_token: str,
        numbers: Iterable[str] = (),
        listen: str = "127.0.0.1:0",
        api_keys: dict[str, str] | None = None,
        say_ms_per_char: float = 60.0,
    ) -> AsyncIterator["Carrier"]:
        """Serve until the block ends; calls still in progress are ended then, and their callbacks sent."""
        exchange = Exchange(Account(account_sid, auth_token, api_keys or {}), numbers, say_ms_per_char=say_ms_per_char)
        directory = Directory(exchange)
        app = Starlette(routes=[*Rest(exchange).routes(), *directory.routes(), *Backstage(exchange).routes()])
        async with serving(app, listen) as (host, port):
            try:
                yield cls(f"http://{f'[{host}]' if ':' in host else host}:{port}", exchange, directory)
            finally:
                await exchange.close()

    async def ring(
        self, to: str, from_: str, steps: Iterable[Step] = (), *, stay: bool = False, path: Path | None = None
    ) -> Call:
        """Somebody calls a number of the account; raises NoSuchLine or BadStep."""
        return await self.exchange.ring(to, from_, steps, stay=stay, path=path)

    def introduce(self, e164: str, person: Person) -> None:
        """Set who answers when the customer's application calls this number."""
        self.exchange.people[e164] = person

    def number(self, e164: str) -> Number:
        """A number of the account, for configuration in process; LookupError if the account does not have it."""
        number = self.exchange.numbers.find(e164)
        if number is None:
            raise LookupError(f"{e164} is not held")
        return number

    def call(self, sid: str) -> Call:
        """A call by its sid, KeyError if there is none."""
        return self.exchange.calls[sid]


async def simulate_call(
    voice_url: str,
    *,
    account_sid: str,
    auth_token: str,
    to: str,
    from_: str,
    steps: Iterable[Step] = (),
    stay: bool = False,
    path: Path | None = None,
    status_callback: str = "",
    fallback_url: str = "",
    say_ms_per_char: float = 60.0,
) -> Call:
    """Act as the carrier for one inbound call, without a server; return when it begins to ring.

    The call releases its resources once it has ended.  Raises BadStep.
    """
    exchange = Exchange(Account(account_sid, auth_token), say_ms_per_char=say_ms_per_char)
    call = Call(
        account_sid,
        "inbound",
        from_,
        to,
        Caller(steps, stay=stay),
        path=path,
        callback=Callback(status_callback) if status_callback else None,
        fallback=Fallback(fallback_url) if fallback_url else None,
    )
    exchange.begin(call, Fetch(voice_url))
    call.released = asyncio.create_task(_release(call, exchange))
    return call


async def _release(call: Call, exchange: Exchange) -> None:
    async for _ in call.events():
        pass
    await exchange.close()
