"""Limits on concurrent requests: in all, with room reserved for the carrier's webhooks, and for each address.

Of all, those whose bodies are still to come, and those whose answers nobody reads, give way to a new one: whoever sends half a body,
or reads nothing, keeps nobody out.
"""

from collections import Counter
from collections.abc import Callable, Sequence

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway import addresses, credentials, errors
from gateway.addresses import Networks
from hum.telemetry import log

LOG = log(__name__)
#: Paths without these limits: the carrier's webhooks, which are signed, and health checks.
ALWAYS = ("/twilio/", "/healthz", "/readyz")


class Turnstile:
    """Middleware that refuses requests beyond the limits, and notes the client's address in the scope.

    `give_way` ends a request that waits for its client; False if there is none.
    """

    def __init__(
        self, app: ASGIApp, most: int, most_of_address: int, proxies: Networks, give_way: Callable[[], bool]
    ) -> None:
        self._app, self._most, self._most_of_address, self._proxies = app, most, most_of_address, proxies
        self._give_way, self._in_progress = give_way, 0
        self._of_address: Counter[str] = Counter()
        self._warned = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        address = self._address(scope)
        if scope["path"].startswith(ALWAYS):
            await self._app(scope, receive, send)
        elif self._of_address[address] >= self._most_of_address:
            message = f"{self._most_of_address} requests from your address are in progress, which is the limit."
            await self._refuse("RATE_LIMITED", message, scope, receive, send)
        elif self._in_progress >= self._most and not self._give_way():
            await self._refuse("UNAVAILABLE", "The gateway is busy; try again.", scope, receive, send)
        else:
            await self._pass(address, scope, receive, send)

    async def _pass(self, address: str, scope: Scope, receive: Receive, send: Send) -> None:
        self._in_progress += 1
        self._of_address[address] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._in_progress -= 1
            self._of_address[address] -= 1
            if not self._of_address[address]:
                del self._of_address[address]

    async def _refuse(self, reason: str, message: str, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = credentials.request_id(Request(scope))
        await errors.refusal(reason, message, request_id, {"Retry-After": "1"})(scope, receive, send)

    def _address(self, scope: Scope) -> str:
        """The client's address, which is noted in the scope."""
        peer = scope["client"][0] if scope["client"] else ""
        forwarded = _forwarded(scope["headers"])
        if forwarded and not self._warned and not addresses.is_in(peer, self._proxies):
            self._warned = True
            LOG.warning(
                "X-Forwarded-For from an unlisted proxy is ignored, so all of its clients share one limit; if the proxy is "
                "yours, add it to HUM_TRUSTED_PROXIES",
                peer=peer,
            )
        address: str = addresses.client_of(peer, forwarded, self._proxies)
        scope[credentials.ADDRESS] = address
        return address


def _forwarded(headers: Sequence[tuple[bytes, bytes]]) -> str:
    return ",".join(value.decode("latin-1") for name, value in headers if name == b"x-forwarded-for")
