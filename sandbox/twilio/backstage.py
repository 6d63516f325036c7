"""Control API of the stand-in, which the real carrier does not have: simulated people and recorded truth.

    POST /sandbox/calls                {to, from, steps, stay?, delay_out_ms?, delay_in_ms?, jitter_ms?, seed?} → 201 {call_sid}
    GET  /sandbox/calls/{sid}/events   NDJSON, until the call is over
    GET  /sandbox/calls/{sid}/truth    JSON
    GET  /sandbox/calls/{sid}/truth.wav
    GET  /sandbox/requests             every webhook, oldest first
    PUT  /sandbox/people/{e164}        {answers?, ring_ms?, steps?, stay?, answered_by?} → 204
A refusal is {"error": sentence}.  There is no authentication: serve it on loopback only.
"""

import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from sandbox.twilio.call import Call
from sandbox.twilio.caller import BadStep, checked
from sandbox.twilio.exchange import Exchange, NoSuchLine, Person
from sandbox.twilio.stream import Path


class Ring(msgspec.Struct, forbid_unknown_fields=True):
    to: str
    from_: str = msgspec.field(name="from")
    steps: list[dict[str, Any]] = []
    stay: bool = False
    delay_out_ms: float = 0.0
    delay_in_ms: float = 0.0
    jitter_ms: float = 0.0
    seed: int = 0


class Backstage:
    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def routes(self) -> list[Route]:
        return [
            Route("/sandbox/calls", self._ring, methods=["POST"]),
            Route("/sandbox/calls/{sid}/events", self._events),
            Route("/sandbox/calls/{sid}/truth", self._truth),
            Route("/sandbox/calls/{sid}/truth.wav", self._wav),
            Route("/sandbox/requests", self._requests),
            Route("/sandbox/people/{e164}", self._introduce, methods=["PUT"]),
        ]

    async def _ring(self, request: Request) -> Response:
        try:
            wish = msgspec.json.decode(await request.body(), type=Ring)
            path = Path(wish.delay_out_ms, wish.delay_in_ms, wish.jitter_ms, wish.seed)
            call = await self._exchange.ring(wish.to, wish.from_, wish.steps, stay=wish.stay, path=path)
        except (msgspec.DecodeError, BadStep) as error:
            return _refusal(400, error)
        except NoSuchLine as error:
            return _refusal(404, error)
        return JSONResponse({"call_sid": call.sid}, 201)

    async def _events(self, request: Request) -> Response:
        call = self._call(request)
        if call is None:
            return _no_call(request)
        return StreamingResponse(_lines(call), media_type="application/x-ndjson")

    async def _truth(self, request: Request) -> Response:
        call = self._call(request)
        return _no_call(request) if call is None else JSONResponse(call.truth.as_json())

    async def _wav(self, request: Request) -> Response:
        call = self._call(request)
        return _no_call(request) if call is None else Response(call.truth.wav(), media_type="audio/wav")

    async def _requests(self, _: Request) -> Response:
        return JSONResponse({"requests": [each.as_json() for each in self._exchange.courier.sent]})

    async def _introduce(self, request: Request) -> Response:
        try:
            person = msgspec.json.decode(await request.body(), type=Person)
            person.steps = [checked(step) for step in person.steps]
        except (msgspec.DecodeError, BadStep) as error:
            return _refusal(400, error)
        self._exchange.people[request.path_params["e164"]] = person
        return Response(status_code=204)

    def _call(self, request: Request) -> Call | None:
        return self._exchange.calls.get(request.path_params["sid"])


async def _lines(call: Call) -> AsyncIterator[str]:
    async for event in call.events():
        yield json.dumps(event) + "\n"


def _refusal(status: int, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, status)


def _no_call(request: Request) -> Response:
    return JSONResponse({"error": f"no call {request.path_params['sid']}"}, 404)
