"""Admission to the REST API: its concurrency limit, and injected faults.

Source: Twilio's dictionary of errors, 20429: too many concurrent requests get HTTP 429 and are not processed; every response
has their number in Twilio-Concurrent-Requests.
"""

import asyncio
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from sandbox.serving import cut
from sandbox.twilio.errors import ApiError
from sandbox.twilio.faults import Fault, On, PendingFaults
from sandbox.twilio.forms import text

Endpoint = Callable[[Request], Awaitable[Response]]

MAX_IN_FLIGHT = 100
RETRY_AFTER_S = 1


class Admission:
    """The concurrency limit of one API."""

    def __init__(self, faults: PendingFaults, max_in_flight: int = MAX_IN_FLIGHT) -> None:
        self.max_in_flight = max_in_flight
        self._faults = faults
        self._in_flight = 0

    async def admit(self, request: Request, endpoint: Endpoint) -> Response:
        """Run one request within the concurrency limit.  Raises ApiError when there are too many."""
        if self._in_flight >= self.max_in_flight:
            raise too_many()
        self._in_flight += 1
        try:
            response = await endpoint(request)
            response.headers["Twilio-Concurrent-Requests"] = str(self._in_flight)
            return response
        finally:
            self._in_flight -= 1

    async def with_faults(self, on: On, endpoint: Endpoint, request: Request) -> Response:
        """Run a request about calls or texts, and apply the next fault that matches it."""
        to = text(await request.form(), "To") if on in {"create", "message"} else request.query_params.get("To")
        fault = self._faults.take(on, to or None)
        if fault is not None and fault.code is not None:
            raise ApiError(fault.code, f"Refused with {fault.code}")
        if fault is not None and fault.stage == "before":
            replacement = await _apply(fault, request)
            return replacement if replacement is not None else await endpoint(request)
        response = await endpoint(request)
        if fault is None:
            return response
        return await _apply(fault, request) or response


async def _apply(fault: Fault, request: Request) -> Response | None:
    """Apply a fault; return the response that replaces the client's, or None if that is only delayed."""
    match fault.do:
        case "late":
            await asyncio.sleep(fault.ms / 1000)
            return None
        case "busy":
            raise too_many()
        case "error":
            return Response("upstream error", fault.status)
        case "cut":
            cut(request)
        case _:
            while (await request.receive())["type"] != "http.disconnect":
                pass
    # The client has disconnected; the framework still needs a response.
    return Response(status_code=503)


def too_many() -> ApiError:
    return ApiError(20429, "Too Many Requests", {"Retry-After": str(RETRY_AFTER_S)})
