"""Limits on concurrent requests: in all, with capacity reserved for the carrier's webhooks, and for each address.

At the limit in all, a new request evicts one with an incomplete body, or with a client that does not read the response.
Thus clients that send half a body or read nothing keep no other client out.  Event streams and files last for as long as
their clients read them, so a part of the places is for other requests alone.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway import addresses, credentials, errors
from gateway.addresses import Networks
from hum.observe.logs import log

LOG = log(__name__)
#: Paths without these limits: the carrier's webhooks, which are signed, and health checks.
UNLIMITED = ("/twilio/", "/healthz", "/readyz")
#: The part of all requests that streams and files leave to others: a quarter.
FOR_OTHERS = 4
_PLACE = "hum.place"


@dataclass(slots=True)
class _Streams:
    """The open streams and files."""

    most: int
    count: int = 0


class _Place:
    """A request's place among all."""

    def __init__(self, streams: _Streams) -> None:
        self._streams, self._is_stream = streams, False

    def become_stream(self) -> bool:
        """Count the request as a stream from now on; return False if there are as many as there may be."""
        if not self._is_stream and self._streams.count < self._streams.most:
            self._is_stream = True
            self._streams.count += 1
        return self._is_stream

    def leave(self) -> None:
        self._streams.count -= self._is_stream


def admit_stream(scope: Scope) -> bool:
    """Count a request as a stream or a file until it ends; return False if there are as many as there may be."""
    place: _Place | None = scope.get(_PLACE)
    return place is None or place.become_stream()


class RequestLimit:
    """Middleware that refuses requests beyond the limits, and stores the client's address in the scope.

    `evict_one` ends a request that waits for its client, and returns False if there is none.
    """

    def __init__(
        self, app: ASGIApp, max_requests: int, max_of_address: int, proxies: Networks, evict_one: Callable[[], bool]
    ) -> None:
        self._app, self._max_requests, self._max_of_address, self._proxies = app, max_requests, max_of_address, proxies
        self._evict_one, self._in_flight = evict_one, 0
        self._in_flight_of: Counter[str] = Counter()
        self._streams = _Streams(max_requests - max(1, max_requests // FOR_OTHERS))
        self._warned = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        address = self._address(scope)
        if scope["path"].startswith(UNLIMITED):
            await self._app(scope, receive, send)
        elif self._in_flight_of[address] >= self._max_of_address:
            message = f"{self._max_of_address} requests from your address are in progress, which is the limit."
            await self._refuse("RATE_LIMITED", message, scope, receive, send)
        elif self._in_flight >= self._max_requests and not self._evict_one():
            await self._refuse("UNAVAILABLE", "The gateway is busy; try again.", scope, receive, send)
        else:
            await self._admit(address, scope, receive, send)

    async def _admit(self, address: str, scope: Scope, receive: Receive, send: Send) -> None:
        self._in_flight += 1
        self._in_flight_of[address] += 1
        scope[_PLACE] = place = _Place(self._streams)
        try:
            await self._app(scope, receive, send)
        finally:
            place.leave()
            self._in_flight -= 1
            self._in_flight_of[address] -= 1
            if not self._in_flight_of[address]:
                del self._in_flight_of[address]

    async def _refuse(self, reason: str, message: str, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = credentials.request_id(Request(scope))
        await errors.refusal(reason, message, request_id, {"Retry-After": "1"})(scope, receive, send)

    def _address(self, scope: Scope) -> str:
        """Return the client's address, and store it in the scope."""
        peer = scope["client"][0] if scope["client"] else ""
        forwarded = _forwarded(scope["headers"])
        if forwarded and not self._warned and not addresses.is_in(peer, self._proxies):
            self._warned = True
            LOG.warning(
                "ignored X-Forwarded-For from an unlisted proxy, so all of its clients share one limit; if the proxy is "
                "yours, add it to HUM_TRUSTED_PROXIES",
                peer=peer,
            )
        address: str = addresses.client_of(peer, forwarded, self._proxies)
        scope[credentials.ADDRESS] = address
        return address


def _forwarded(headers: Sequence[tuple[bytes, bytes]]) -> str:
    return ",".join(value.decode("latin-1") for name, value in headers if name == b"x-forwarded-for")
