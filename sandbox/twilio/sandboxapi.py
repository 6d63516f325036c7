"""Control API of the stand-in, which the real carrier does not have: simulated people and recorded truth.

    POST /sandbox/calls                {to, from, steps, stay?, delay_out_ms?, delay_in_ms?, jitter_ms?, seed?} → 201 {call_sid}
    GET  /sandbox/calls?to=            every call ever, oldest first: {calls: [{sid, parent_sid, direction, from, to, status}]}
    GET  /sandbox/calls/{sid}/events   NDJSON, until the call is over
    GET  /sandbox/calls/{sid}/truth    JSON
    GET  /sandbox/calls/{sid}/truth.wav
    GET  /sandbox/calls/{sid}/heard.wav   what the party heard outside streams: ringing, sentences, the other party
    GET  /sandbox/requests             every webhook, oldest first
    PUT  /sandbox/people/{e164}        a Person, or {kind} (farend.KINDS), or a list, one per call; * is any other number → 204
    POST /sandbox/faults               a fault (faults.py), or a list of them → 204
    GET  /sandbox/faults               {faults}: the pending ones
    DELETE /sandbox/faults             → 204
    PUT  /sandbox/limits               {calls_per_second?, concurrent_requests?, forbidden_prefixes?} → 204
An error is {"error": sentence}.  There is no authentication: serve it on loopback only.
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
from sandbox.twilio.outage import Admission
from sandbox.twilio.placed import CallRateLimit
from sandbox.twilio.stream import Path
from sandbox.twilio.voiced import SpeechSource, voiced


class AnswererKind(msgspec.Struct, forbid_unknown_fields=True):
    kind: str


class CarrierLimits(msgspec.Struct, forbid_unknown_fields=True):
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


class SandboxApi:
    def __init__(self, exchange: Exchange, admission: Admission, speaker: SpeechSource | None = None) -> None:
        self._exchange = exchange
        self._admission = admission
        self._speaker = speaker

    def routes(self) -> list[Route]:
        return [
            Route("/sandbox/calls", self._ring, methods=["POST"]),
            Route("/sandbox/calls", self._list_calls),
            Route("/sandbox/calls/{sid}/events", self._stream_events),
            Route("/sandbox/calls/{sid}/truth", self._fetch_truth),
            Route("/sandbox/calls/{sid}/truth.wav", self._fetch_wav),
            Route("/sandbox/calls/{sid}/heard.wav", self._fetch_heard_wav),
            Route("/sandbox/requests", self._list_requests),
            Route("/sandbox/people/{e164}", self._set_people, methods=["PUT"]),
            Route("/sandbox/faults", self._add_faults, methods=["POST"]),
            Route("/sandbox/faults", self._list_faults, methods=["GET"]),
            Route("/sandbox/faults", self._clear_faults, methods=["DELETE"]),
            Route("/sandbox/limits", self._set_limits, methods=["PUT"]),
        ]

    async def _ring(self, request: Request) -> Response:
        try:
            ring = msgspec.json.decode(await request.body(), type=Ring)
            path = Path(ring.delay_out_ms, ring.delay_in_ms, ring.jitter_ms, ring.seed)
            steps = await voiced(ring.steps, self._speaker)
            call = await self._exchange.ring(ring.to, ring.from_, steps, stay=ring.stay, path=path)
        except (msgspec.DecodeError, BadStep) as error:
            return _refusal(400, error)
        except NoSuchLine as error:
            return _refusal(404, error)
        return JSONResponse({"call_sid": call.sid}, 201)

    async def _stream_events(self, request: Request) -> Response:
        call = self._call(request)
        if call is None:
            return _no_call(request)
        return StreamingResponse(_lines(call), media_type="application/x-ndjson")

    async def _fetch_truth(self, request: Request) -> Response:
        call = self._call(request)
        return _no_call(request) if call is None else JSONResponse(call.truth.as_json())

    async def _fetch_wav(self, request: Request) -> Response:
        call = self._call(request)
        return _no_call(request) if call is None else Response(call.truth.wav(), media_type="audio/wav")

    async def _list_requests(self, _: Request) -> Response:
        return JSONResponse({"requests": [webhook.as_json() for webhook in self._exchange.courier.sent]})

    async def _list_calls(self, request: Request) -> Response:
        to = request.query_params.get("to")
        calls = [call for call in self._exchange.calls.values() if to is None or call.to == to]
        return JSONResponse({"calls": [_summary(call) for call in calls]})

    async def _fetch_heard_wav(self, request: Request) -> Response:
        call = self._call(request)
        return _no_call(request) if call is None else Response(call.truth.heard_wav(), media_type="audio/wav")

    async def _set_people(self, request: Request) -> Response:
        try:
            people = [_person(item) for item in _items(await request.body())]
            for person in people:
                person.steps = await voiced(person.steps, self._speaker)
        except (msgspec.DecodeError, BadStep) as error:
            return _refusal(400, error)
        self._exchange.people[request.path_params["e164"]] = people
        return Response(status_code=204)

    async def _add_faults(self, request: Request) -> Response:
        try:
            faults = [msgspec.convert(item, type=Fault) for item in _items(await request.body())]
        except msgspec.DecodeError as error:
            return _refusal(400, error)
        self._exchange.faults.add(*faults)
        return Response(status_code=204)

    async def _list_faults(self, _: Request) -> Response:
        return JSONResponse({"faults": [msgspec.to_builtins(fault) for fault in self._exchange.faults.pending]})

    async def _clear_faults(self, _: Request) -> Response:
        self._exchange.faults.pending.clear()
        return Response(status_code=204)

    async def _set_limits(self, request: Request) -> Response:
        try:
            limits = msgspec.json.decode(await request.body(), type=CarrierLimits)
        except msgspec.DecodeError as error:
            return _refusal(400, error)
        if limits.calls_per_second is not None:
            self._exchange.pacer = CallRateLimit(limits.calls_per_second)
        if limits.concurrent_requests is not None:
            self._admission.max_in_flight = limits.concurrent_requests
        if limits.forbidden_prefixes is not None:
            self._exchange.forbidden_prefixes = set(limits.forbidden_prefixes)
        return Response(status_code=204)

    def _call(self, request: Request) -> Call | None:
        return self._exchange.calls.get(request.path_params["sid"])


def _items(body: bytes) -> list[Any]:
    """Decode a JSON value or a list of values; return at least one.  Raises DecodeError."""
    value = msgspec.json.decode(body)
    items = value if isinstance(value, list) else [value]
    if not items:
        raise msgspec.DecodeError("the list is empty")
    return items


def _person(spec: Any) -> Person:
    if isinstance(spec, dict) and "kind" in spec:
        kind = msgspec.convert(spec, type=AnswererKind).kind
        if kind not in KINDS:
            raise BadStep(f"unknown kind {kind!r}; there are {', '.join(KINDS)}")
        return KINDS[kind]()
    return msgspec.convert(spec, type=Person)


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
