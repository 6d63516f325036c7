"""Control API of the stand-in, which the real carrier does not have: simulated people and recorded truth.

    POST /sandbox/calls                {to, from, steps, stay?, delay_out_ms?, delay_in_ms?, jitter_ms?, seed?} → 201 {call_sid}
    GET  /sandbox/calls?to=            every call ever, oldest first: {calls: [{sid, parent_sid, direction, from, to, status}]}
    GET  /sandbox/calls/{sid}/events   NDJSON, until the call is over
    GET  /sandbox/calls/{sid}/truth    JSON
    GET  /sandbox/calls/{sid}/truth.wav
    GET  /sandbox/calls/{sid}/heard.wav   what they heard outside streams: ringing, sentences, the other party
    GET  /sandbox/requests             every webhook, oldest first
    PUT  /sandbox/people/{e164}        a Person, or {kind} (farend.KINDS), or a list of them, one for each call; * is any other number → 204
    POST /sandbox/faults               a fault (faults.py), or a list of them → 204
    GET  /sandbox/faults               {faults}: those that have not happened yet
    DELETE /sandbox/faults             → 204
    PUT  /sandbox/limits               {calls_per_second?, concurrent_requests?, forbidden_prefixes?} → 204
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
from sandbox.twilio.caller import BadStep
from sandbox.twilio.exchange import Exchange, NoSuchLine
from sandbox.twilio.farend import KINDS, Person
from sandbox.twilio.faults import Fault
from sandbox.twilio.outage import Door
from sandbox.twilio.placed import Pacer
from sandbox.twilio.stream import Path
from sandbox.twilio.voiced import Speaker, voiced


class Kind(msgspec.Struct, forbid_unknown_fields=True):
    kind: str


class Limits(msgspec.Struct, forbid_unknown_fields=True):
    calls_per_second: float | None = None
    concurrent_requests: int | None = None
    forbidden_prefixes: list[str] | None = None


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
    def __init__(self, exchange: Exchange, door: Door, speaker: Speaker | None = None) -> None:
        self._exchange = exchange
        self._door = door
        self._speaker = speaker

    def routes(self) -> list[Route]:
        return [
            Route("/sandbox/calls", self._ring, methods=["POST"]),
            Route("/sandbox/calls", self._calls),
            Route("/sandbox/calls/{sid}/events", self._events),
            Route("/sandbox/calls/{sid}/truth", self._truth),
            Route("/sandbox/calls/{sid}/truth.wav", self._wav),
            Route("/sandbox/calls/{sid}/heard.wav", self._heard),
            Route("/sandbox/requests", self._requests),
            Route("/sandbox/people/{e164}", self._introduce, methods=["PUT"]),
            Route("/sandbox/faults", self._go_wrong, methods=["POST"]),
            Route("/sandbox/faults", self._faults, methods=["GET"]),
            Route("/sandbox/faults", self._mend, methods=["DELETE"]),
            Route("/sandbox/limits", self._limit, methods=["PUT"]),
        ]

    async def _ring(self, request: Request) -> Response:
        try:
            wish = msgspec.json.decode(await request.body(), type=Ring)
            path = Path(wish.delay_out_ms, wish.delay_in_ms, wish.jitter_ms, wish.seed)
            steps = await voiced(wish.steps, self._speaker)
            call = await self._exchange.ring(wish.to, wish.from_, steps, stay=wish.stay, path=path)
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

    async def _calls(self, request: Request) -> Response:
        to = request.query_params.get("to")
        calls = [each for each in self._exchange.calls.values() if to is None or each.to == to]
        return JSONResponse({"calls": [_summary(each) for each in calls]})

    async def _heard(self, request: Request) -> Response:
        call = self._call(request)
        return _no_call(request) if call is None else Response(call.truth.heard_wav(), media_type="audio/wav")

    async def _introduce(self, request: Request) -> Response:
        try:
            people = [_person(each) for each in _items(await request.body())]
            for each in people:
                each.steps = await voiced(each.steps, self._speaker)
        except (msgspec.DecodeError, BadStep) as error:
            return _refusal(400, error)
        self._exchange.people[request.path_params["e164"]] = people
        return Response(status_code=204)

    async def _go_wrong(self, request: Request) -> Response:
        try:
            faults = [msgspec.convert(each, type=Fault) for each in _items(await request.body())]
        except msgspec.DecodeError as error:
            return _refusal(400, error)
        self._exchange.faults.add(*faults)
        return Response(status_code=204)

    async def _faults(self, _: Request) -> Response:
        return JSONResponse({"faults": [msgspec.to_builtins(each) for each in self._exchange.faults.pending]})

    async def _mend(self, _: Request) -> Response:
        self._exchange.faults.pending.clear()
        return Response(status_code=204)

    async def _limit(self, request: Request) -> Response:
        try:
            limits = msgspec.json.decode(await request.body(), type=Limits)
        except msgspec.DecodeError as error:
            return _refusal(400, error)
        if limits.calls_per_second is not None:
            self._exchange.pacer = Pacer(limits.calls_per_second)
        if limits.concurrent_requests is not None:
            self._door.most_at_a_time = limits.concurrent_requests
        if limits.forbidden_prefixes is not None:
            self._exchange.forbidden_prefixes = set(limits.forbidden_prefixes)
        return Response(status_code=204)

    def _call(self, request: Request) -> Call | None:
        return self._exchange.calls.get(request.path_params["sid"])


def _items(body: bytes) -> list[Any]:
    """A JSON value or a list of them; at least one."""
    read = msgspec.json.decode(body)
    items = read if isinstance(read, list) else [read]
    if not items:
        raise msgspec.DecodeError("the list is empty")
    return items


def _person(wish: Any) -> Person:
    if isinstance(wish, dict) and "kind" in wish:
        kind = msgspec.convert(wish, type=Kind).kind
        if kind not in KINDS:
            raise BadStep(f"unknown kind {kind!r}; there are {', '.join(KINDS)}")
        return KINDS[kind]()
    return msgspec.convert(wish, type=Person)


def _summary(call: Call) -> dict[str, str | None]:
    return {
        "sid": call.sid,
        "parent_sid": call.parent_sid,
        "direction": call.direction,
        "from": call.from_,
        "to": call.to,
        "status": call.status,
    }


async def _lines(call: Call) -> AsyncIterator[str]:
    async for event in call.events():
        yield json.dumps(event) + "\n"


def _refusal(status: int, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, status)


def _no_call(request: Request) -> Response:
    return JSONResponse({"error": f"no call {request.path_params['sid']}"}, 404)
