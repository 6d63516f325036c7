"""The stand-in as a server, and its webhooks: signed, and sent again until accepted."""

import asyncio
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from hashlib import sha256

import aiohttp
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from sandbox.serving import serving
from sandbox.stripe.book import Book
from sandbox.stripe.errors import StripeApiError
from sandbox.stripe.faults import StripeFaults
from sandbox.stripe.rest import StripeRest
from sandbox.stripe.shapes import Json

#: Timeout of a webhook, and attempts for an event that is not accepted.
WEBHOOK_SECONDS, ATTEMPTS = 10.0, 8
PAUSE_SECONDS = 0.2


class Stripe:
    """One account at Stripe, with one webhook endpoint."""

    def __init__(self, api_key: str, webhook_secret: str, webhook_url: str, clock: Callable[[], float]) -> None:
        self.book, self.faults = Book(clock), StripeFaults()
        self.rest = StripeRest(self.book, self.faults, api_key)
        self.webhook_secret, self.webhook_url, self._clock = webhook_secret, webhook_url, clock
        self.url = ""
        self._delivered = 0

    @classmethod
    @asynccontextmanager
    async def serve(
        cls,
        api_key: str,
        webhook_secret: str = "whsec_standin",  # noqa: S107 - not a real secret
        webhook_url: str = "",
        listen: str = "127.0.0.1:0",
        clock: Callable[[], float] = time.time,
    ) -> AsyncIterator["Stripe"]:
        stripe = cls(api_key, webhook_secret, webhook_url, clock)
        app = Starlette(
            routes=[
                *stripe.rest.routes(),
                Route("/pay/{id}", stripe._pay, methods=["GET", "POST"]),
                Route("/sandbox/{what}/{id}", stripe._advance, methods=["POST"]),
            ]
        )
        async with serving(app, listen) as (host, port):
            stripe.url = stripe.book.url = f"http://{host}:{port}"
            yield stripe

    # -- webhooks

    def signature(self, body: bytes, at: float | None = None) -> str:
        """Return the Stripe-Signature header of a body."""
        seconds = int(self._clock() if at is None else at)
        signed = hmac.new(self.webhook_secret.encode(), f"{seconds}.".encode() + body, sha256).hexdigest()
        return f"t={seconds},v1={signed}"

    async def send(self, event: Json) -> int:
        """Make one attempt to deliver an event; return the status of the response, 0 for none."""
        body = json.dumps(event).encode()
        headers = {"Stripe-Signature": self.signature(body), "Content-Type": "application/json; charset=utf-8"}
        timeout = aiohttp.ClientTimeout(total=WEBHOOK_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as http,
                http.post(self.webhook_url, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                return answer.status
        except (aiohttp.ClientError, TimeoutError):
            return 0

    async def deliver(self, events: Iterable[Json] | None = None) -> None:
        """Deliver these events, or all undelivered ones, each up to ATTEMPTS times; Stripe retries for days."""
        if events is None:
            events, self._delivered = self.book.events[self._delivered :], len(self.book.events)
        for event in events:
            for _ in range(ATTEMPTS):
                if 200 <= await self.send(event) < 300:
                    break
                await asyncio.sleep(PAUSE_SECONDS)

    # -- routes for a stand-in that runs alone

    async def _pay(self, request: Request) -> Response:
        """Complete the checkout, as if the person who opens this page had paid."""
        try:
            checkout = self.book.checkout(request.path_params["id"])
            self.book.complete(checkout["id"])
        except StripeApiError as error:
            return JSONResponse(error.body(), error.status)
        if self.webhook_url:
            await self.deliver()
        return RedirectResponse(checkout["success_url"], 303)

    async def _advance(self, request: Request) -> Response:
        """Apply `renew`, `fail` (to pay for the next period), `decline`, `pay`, `give_up` or `end` to a subscription."""
        what, id = request.path_params["what"], request.path_params["id"]
        book = self.book
        actions: dict[str, Callable[[str], None]] = {
            "renew": book.renew,
            "fail": lambda subscription_id: book.renew(subscription_id, pays=False),
            "decline": book.decline,
            "pay": book.pay,
            "give_up": book.give_up,
            "end": book.end,
        }
        if what not in actions:
            return JSONResponse({"error": {"message": f"one of {', '.join(actions)}"}}, 404)
        try:
            actions[what](id)
        except StripeApiError as error:
            return JSONResponse(error.body(), error.status)
        if self.webhook_url:
            await self.deliver()
        return JSONResponse(book.subscription(id))
