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
from sandbox.twilio.call import Call, Callback, Fallback, Fetch
from sandbox.twilio.caller import Caller, Step
from sandbox.twilio.exchange import Account, Exchange
from sandbox.twilio.farend import Person
from sandbox.twilio.faults import Fault
from sandbox.twilio.lookup import Directory
from sandbox.twilio.message import MediaFile, Message, new_sid
from sandbox.twilio.numbers import Number, NumberBook
from sandbox.twilio.rest import Rest
from sandbox.twilio.sandboxapi import SandboxApi
from sandbox.twilio.stream import Path
from sandbox.twilio.texting import Texting
from sandbox.twilio.textsandboxapi import TextSandboxApi
from sandbox.twilio.voiced import SpeechSource


class Carrier:
    """A running stand-in for Twilio; a client uses `url` instead of https://api.twilio.com."""

    def __init__(self, url: str, exchange: Exchange, directory: Directory, rest: Rest) -> None:
        self.url = url
        self.exchange = exchange
        self.directory = directory
        self.rest = rest

    @classmethod
    @contextlib.asynccontextmanager
    async def serve(
        cls,
        *,
        account_sid: str,
        auth_token: str,
        numbers: Iterable[str] | NumberBook = (),
        listen: str = "127.0.0.1:0",
        api_keys: dict[str, str] | None = None,
        say_ms_per_char: float = 60.0,
        calls_per_second: float = 0.0,
        segments_per_second: float = 0.0,
        speech: SpeechSource | None = None,
    ) -> AsyncIterator["Carrier"]:
        """Serve until the block ends; then end the calls in progress and send their callbacks.

        With `speech`, far ends that are set over HTTP say their texts in words.
        """
        exchange = Exchange(
            Account(account_sid, auth_token, api_keys or {}),
            numbers,
            say_ms_per_char=say_ms_per_char,
            calls_per_second=calls_per_second,
        )
        exchange.texting.pace.segments_per_second = segments_per_second
        directory, rest = Directory(exchange), Rest(exchange)
        stages = SandboxApi(exchange, rest.admission, speech), TextSandboxApi(exchange)
        app = Starlette(
            routes=[*rest.routes(), *directory.routes(), *(route for stage in stages for route in stage.routes())]
        )
        async with serving(app, listen) as (host, port):
            url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
            exchange.textdesk.base_url = url
            try:
                yield cls(url, exchange, directory, rest)
            finally:
                await exchange.close()

    async def ring(
        self, to: str, from_: str, steps: Iterable[Step] = (), *, stay: bool = False, path: Path | None = None
    ) -> Call:
        """Place an inbound call from a person to a number of the account.  Raises NoSuchLine, BadStep."""
        return await self.exchange.ring(to, from_, steps, stay=stay, path=path)

    def text(self, to: str, from_: str, body: str, *files: tuple[str, bytes]) -> Message:
        """Send a text from a handset to a number of the account, with files as (content type, content).

        Raises LookupError if the account does not have the number.
        """
        media = [MediaFile(new_sid("ME"), content_type, content) for content_type, content in files]
        return self.texting.receive(from_, to, body, media)

    @property
    def texting(self) -> Texting:
        return self.exchange.texting

    async def texts_settled(self) -> None:
        """Wait until every text is final, and every callback about one is sent."""
        await self.exchange.textdesk.settled()

    def texts_to(self, e164: str) -> list[Message]:
        """Return every text accepted for this handset, oldest first; those that reached it have `arrived_at`."""
        messages = self.texting.book.between(e164, None)
        return [message for message in reversed(messages) if message.direction != "inbound"]

    def set_people(self, e164: str, *people: Person) -> None:
        """Set the people who answer outbound calls to this number: one per call, the last one repeatedly."""
        self.exchange.people[e164] = list(people)

    def inject_faults(self, *faults: Fault) -> None:
        """Inject faults; each happens `times` times, by default once."""
        self.exchange.faults.add(*faults)

    def calls_to(self, e164: str) -> list[Call]:
        """Return every call ever made to this number, oldest first."""
        return [call for call in self.exchange.calls.values() if call.to == e164]

    def number(self, e164: str) -> Number:
        """Return a number of the account, to configure it in process.  Raises LookupError if the account does not have it."""
        number = self.exchange.numbers.find(e164)
        if number is None:
            raise LookupError(f"the account does not have {e164}")
        return number

    def call(self, sid: str) -> Call:
        """Return a call by its sid.  Raises KeyError if there is none."""
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
    caller: Caller | None = None,
    path: Path | None = None,
    status_callback: str = "",
    fallback_url: str = "",
    say_ms_per_char: float = 60.0,
) -> Call:
    """Act as the carrier for one inbound call, without a server; return when it begins to ring.

    With `caller`, this person is on the line instead of one who follows `steps`.  The call releases its resources once it has ended.  Raises BadStep.
    """
    exchange = Exchange(Account(account_sid, auth_token), say_ms_per_char=say_ms_per_char)
    call = Call(
        account_sid,
        "inbound",
        from_,
        to,
        caller or Caller(steps, stay=stay),
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
