"""The door of the REST API: how many requests it takes at a time, and what goes wrong there when a test asks for it.

Source: Twilio's dictionary of errors, 20429: too many concurrent requests get HTTP 429, were not processed, and every response
says in Twilio-Concurrent-Requests how many there are.
"""

import asyncio
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from sandbox.serving import cut
from sandbox.twilio.errors import ApiError
from sandbox.twilio.faults import Fault, Faults, On
from sandbox.twilio.forms import text

Endpoint = Callable[[Request], Awaitable[Response]]

MOST_AT_A_TIME = 100
RETRY_AFTER_S = 1


class Door:
    def __init__(self, faults: Faults, most_at_a_time: int = MOST_AT_A_TIME) -> None:
        self.most_at_a_time = most_at_a_time
        self._faults = faults
        self._inside = 0

    async def admit(self, request: Request, endpoint: Endpoint) -> Response:
        """One request; ApiError when there are too many."""
        if self._inside >= self.most_at_a_time:
            raise too_many()
        self._inside += 1
        try:
            response = await endpoint(request)
            response.headers["Twilio-Concurrent-Requests"] = str(self._inside)
            return response
        finally:
            self._inside -= 1

    async def through(self, on: On, endpoint: Endpoint, request: Request) -> Response:
        """A request about calls or texts, to which the next fault happens that fits."""
        to = text(await request.form(), "To") if on in {"create", "message"} else request.query_params.get("To")
        fault = self._faults.take(on, to or None)
        if fault is not None and fault.code is not None:
            raise ApiError(fault.code, f"Refused with {fault.code}")
        if fault is not None and fault.stage == "before":
            refused = await _befall(fault, request)
            return refused if refused is not None else await endpoint(request)
        response = await endpoint(request)
        if fault is None:
            return response
        return await _befall(fault, request) or response


async def _befall(fault: Fault, request: Request) -> Response | None:
    """What the client gets instead of its response; None if that only comes late."""
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
    return Response(status_code=503)  # nobody is there to read it


def too_many() -> ApiError:
    return ApiError(20429, "Too Many Requests", {"Retry-After": str(RETRY_AFTER_S)})
