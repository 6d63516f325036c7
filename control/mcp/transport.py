"""The SDK's transport to an MCP server: all traffic goes through the guarded client, and responses are bounded.

On its own the SDK would open streams, reopen them for as long as the server wants, and follow redirects.  Over streamable HTTP it
gets only responses to its posts, and no redirects.
"""

import base64
import json
from collections.abc import AsyncIterator
from contextvars import ContextVar
from dataclasses import dataclass
from urllib.parse import quote, urlencode
from uuid import UUID

import httpx2

from control.base.egress import OWN_HEADERS, EgressError, Reason
from control.clients.http import GuardedClient, StreamedAnswer
from control.mcp import outsidemessages
from hum.clock import monotonic_ms
from hum.json.outside import Events, TooMuch

SESSION = "mcp-session-id"
#: The status that the SDK gets for a missing response.
NO_ANSWER = 502
#: Headers that the SDK's client adds and the guarded client sets itself.
DROPPED = OWN_HEADERS | {"user-agent"}
TOKEN_BYTES = 64 << 10
#: A token is refreshed this long before it expires.
MARGIN_SECONDS = 30.0
LONGEST_TOKEN_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class ExchangeLimits:
    """The limits of a request and its response.  `stream_bytes`: of an endless stream."""

    begin_seconds: float
    answer_seconds: float
    answer_bytes: int
    stream_bytes: int


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """A client of the client credentials grant (RFC 6749, 4.4), for a resource (RFC 8707)."""

    token_url: str
    id: str
    secret: str
    scope: str | None
    resource: str


class Tokens:
    """The cache of an access token, which is fetched on demand."""

    def __init__(self, web: GuardedClient, org: UUID, client: OAuthClient, seconds: float) -> None:
        self._web, self._org, self._client, self._seconds = web, org, client, seconds
        self._token, self._until_ms = "", 0.0

    def discard(self) -> None:
        """Discard a token that the server has refused."""
        self._until_ms = 0.0

    async def get(self) -> str:
        """Return a valid token, fetched if necessary.  Raises EgressError."""
        if monotonic_ms() < self._until_ms:
            return self._token
        client = self._client
        basic = base64.b64encode(f"{quote(client.id, safe='')}:{quote(client.secret, safe='')}".encode()).decode()
        fields = {"grant_type": "client_credentials", "resource": client.resource}
        answer = await self._web.request(
            "POST",
            client.token_url,
            org=self._org,
            headers={
                "Authorization": f"Basic {basic}",
                "Content-Type": "application/x-www-form-urlencoded",
                "Accept": "application/json",
            },
            body=urlencode(fields | ({"scope": client.scope} if client.scope else {})).encode(),
            total_seconds=self._seconds,
            response_bytes=TOKEN_BYTES,
        )
        if answer.status != 200:
            raise EgressError(Reason.PROTOCOL, f"The token URL answered {answer.status}.")
        self._token, seconds = _token(answer.body)
        self._until_ms = monotonic_ms() + max(0.0, min(seconds, LONGEST_TOKEN_SECONDS) - MARGIN_SECONDS) * 1000
        return self._token


def _token(body: bytes) -> tuple[str, float]:
    try:
        response = json.loads(body)
        token, seconds = response["access_token"], response.get("expires_in", 300)
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        token, seconds = None, 0
    if not isinstance(token, str) or not token or isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise EgressError(Reason.PROTOCOL, "The token URL's answer has no access token.")
    return token, seconds


@dataclass(slots=True)
class ConnectionOutcome:
    """The failure of the requests of one use of a connection.  `session_unknown`: the server no longer knows the session."""

    failure: EgressError | None = None
    session_unknown: bool = False


#: The SDK's tasks inherit it from the user of the connection.
OUTCOME: ContextVar[ConnectionOutcome] = ContextVar("outcome")


class GuardedTransport(httpx2.AsyncBaseTransport):
    """The transport of one connection.  `streams`: the server may keep a stream open, as the older SSE transport requires."""

    def __init__(
        self, web: GuardedClient, org: UUID, limits: ExchangeLimits, tokens: Tokens | None, *, streams: bool
    ) -> None:
        self._web, self._org, self._limits, self._tokens, self._streams = web, org, limits, tokens, streams
        #: The outcome of requests without a user: of the set-up, then of the server's stream.
        self.background = ConnectionOutcome()
        self.is_set_up = False
        #: The server's stream has ended, or the SDK sends nothing more.
        self.is_ended = False

    def begin(self) -> None:
        """End the set-up: from now on a failure concerns only its own request."""
        self.background, self.is_set_up = ConnectionOutcome(), True

    @property
    def outcome(self) -> ConnectionOutcome:
        return OUTCOME.get(self.background)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "GET" and not self._streams:
            return httpx2.Response(405, request=request)
        try:
            streamed = await self._send(request, await request.aread())
        except EgressError as error:
            self._record(request, error)
            # An exception would end the SDK's other requests too.
            if self.is_set_up and not self._streams:
                return httpx2.Response(NO_ANSWER, request=request)
            raise httpx2.ConnectError(error.message, request=request) from error
        if streamed.status == 404 and SESSION in request.headers:
            self.outcome.session_unknown = True
        if streamed.status >= 400:
            self._record(request, EgressError(Reason.PROTOCOL, f"The server answered {streamed.status}."))
        if streamed.status == 401 and self._tokens is not None:
            self._tokens.discard()
        # As bytes: a value that is no ASCII would be an error.
        headers = [(name.encode(), value.encode()) for name, value in streamed.headers if name.lower() != "location"]
        return httpx2.Response(
            streamed.status, headers=headers, stream=_StreamedBody(self, request, streamed), request=request
        )

    def _record(self, request: httpx2.Request, failure: EgressError) -> None:
        self.outcome.failure = failure
        if self._streams and request.method == "POST":
            self.is_ended = True  # the SDK sends nothing after this

    async def _send(self, request: httpx2.Request, body: bytes) -> StreamedAnswer:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in DROPPED}
        if self._tokens is not None:
            headers = {name: value for name, value in headers.items() if name.lower() != "authorization"}
            headers["Authorization"] = f"Bearer {await self._tokens.get()}"
        limits, is_stream = self._limits, request.method == "GET"
        return await self._web.open_stream(
            request.method,
            str(request.url),
            org=self._org,
            headers=headers,
            body=body,
            seconds=limits.begin_seconds if is_stream else limits.answer_seconds,
            most_bytes=limits.stream_bytes if is_stream else limits.answer_bytes,
            total_seconds=None if is_stream else limits.answer_seconds,
        )


class _StreamedBody(httpx2.AsyncByteStream):
    def __init__(self, transport: GuardedTransport, request: httpx2.Request, streamed: StreamedAnswer) -> None:
        self._transport, self._request, self._streamed = transport, request, streamed

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._counted():
                yield part
        except EgressError as error:
            self._transport.outcome.failure = error
            self._record_end()
            # The only exception that ends just this one of the SDK's requests.
            if self._transport.is_set_up:
                raise httpx2.StreamError(error.message) from error
            raise httpx2.ReadError(error.message, request=self._request) from error
        self._record_end()

    async def _counted(self) -> AsyncIterator[bytes]:
        """Yield each message whole, once it is counted: the SDK's validator makes objects and errors of all it reads.

        Raises EgressError.
        """
        budget = outsidemessages.MessageBudget(monotonic_ms())
        try:
            if not self._is_event_stream:
                body = b"".join([part async for part in self._streamed.parts()])
                outsidemessages.require_readable(body)
                yield body
                return
            events = Events()
            async for part in self._streamed.parts():
                for event in events.read(part):
                    if budget.admits(event, monotonic_ms()):
                        yield event
            if budget.admits(events.rest(), monotonic_ms()):
                yield events.rest()
        except TooMuch as error:
            raise EgressError(Reason.TOO_LARGE, f"The server's message {error}.") from None

    @property
    def _is_event_stream(self) -> bool:
        kinds = [value for name, value in self._streamed.headers if name.lower() == "content-type"]
        return any("event-stream" in kind.lower() for kind in kinds)

    def _record_end(self) -> None:
        if self._request.method == "GET":
            self._transport.is_ended = True

    async def aclose(self) -> None:
        self._streamed.close()
