"""Connections to MCP servers, kept by a process and shared by all that it runs: one for each server, closed when idle.

The SDK's client lives in a task of its own, which opens and closes it; whoever uses it waits no longer than their own limit.  After
a failure nobody new gets the connection: the next use makes another, and those who still wait for an answer over it lose nothing by
another's failure.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx2
from mcp import Client, MCPError
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CONNECTION_CLOSED, REQUEST_TIMEOUT, CallToolResult, Implementation, ToolListChangedNotification

from control.base.egress import Outside
from control.clients.http import Guarded
from control.mcp.pinning import Listed, is_name, visible
from control.mcp.transport import OUTCOME, GuardedTransport, Limits, OAuthClient, Outcome, Tokens
from hum.clock import monotonic_ms
from hum.settings.mcp import McpSettings

#: They log what servers send.
for _name in ("mcp", "httpx2"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)
MOST_PAGES = 20
SILENT = "The MCP server did not answer in time."
BUSY = "Too many of the MCP server's tools run at the moment."
NO_ROOM = "Too many MCP servers are in use at the moment."
ENDED = "The connection to the MCP server ended before it answered."
#: The SDK's own words, with a code that servers use for other things too.
CLOSED = "Connection closed"


class Unusable(Exception):  # noqa: N818 - what the world did, not a fault of ours
    """An MCP server gave no usable answer; a sentence."""


class Lost(Unusable):
    """The server surely did nothing of it: the connection ended before, or it no longer knows the session.  Ask over another."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server, and all that a request to it needs; other settings are another revision."""

    org: UUID
    server: UUID
    revision: int
    transport: str
    url: str
    headers: Mapping[str, str]
    oauth: OAuthClient | None
    answer_seconds: float


class Connection:
    """One server's."""

    def __init__(self, web: Guarded, endpoint: Endpoint, settings: McpSettings) -> None:
        self.endpoint, self.users, self.used_ms = endpoint, 0, monotonic_ms()
        self.retired_ms: float | None = None
        self._settings = settings
        limits = Limits(
            settings.mcp_connect_seconds,
            endpoint.answer_seconds,
            settings.mcp_answer_bytes,
            settings.mcp_stream_bytes,
        )
        tokens = Tokens(web, endpoint.org, endpoint.oauth, settings.mcp_connect_seconds) if endpoint.oauth else None
        self._transport = GuardedTransport(web, endpoint.org, limits, tokens, streams=endpoint.transport == "sse")
        self._listing: tuple[float, Sequence[Listed]] | None = None
        self._closing = asyncio.Event()
        self._ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        self._ready.add_done_callback(lambda ready: ready.cancelled() or ready.exception())  # nobody may be waiting
        self._task = asyncio.create_task(self._live(), name="mcp connection")

    @property
    def is_over(self) -> bool:
        """Whether nobody new gets it."""
        return self.retired_ms is not None or self._transport.is_ended or self.is_closed

    @property
    def is_closed(self) -> bool:
        return self._closing.is_set() or self._task.done()

    def close(self) -> None:
        """Whoever still waits for an answer over it gets none."""
        self._closing.set()

    def retire(self) -> None:
        """Let those who use it finish, and nobody else begin."""
        if self.retired_ms is None:
            self.retired_ms = monotonic_ms()
        if not self.users:
            self.close()

    def leave(self) -> None:
        """One of its users has finished."""
        self.users, self.used_ms = self.users - 1, monotonic_ms()
        if self.is_over:
            self.retire()

    @property
    def is_overdue(self) -> bool:
        """Whether its users have had the time that each of them may take since nobody new gets it."""
        most_ms = (self.endpoint.answer_seconds + self._settings.mcp_refresh_limit_seconds) * 1000
        return self.retired_ms is not None and monotonic_ms() - self.retired_ms >= most_ms

    async def protocol_version(self) -> str:
        return (await self._client()).protocol_version

    async def listed(self, within_seconds: float) -> Sequence[Listed]:
        """The server's tools, as they were at most so long ago.  Raises Unusable, Lost."""
        if self._listing is not None and monotonic_ms() - self._listing[0] <= within_seconds * 1000:
            return self._listing[1]
        client, began_ms = await self._client(), monotonic_ms()
        found, cursor = dict[str, Listed](), None
        with self._failing(only_reads=True):
            for _ in range(MOST_PAGES):
                page = await client.list_tools(cursor=cursor)
                for tool in page.tools:
                    if is_name(tool.name) and len(found) < self._settings.mcp_tools:
                        found.setdefault(tool.name, Listed(tool.name, tool.description or "", tool.input_schema))
                cursor = page.next_cursor
                if cursor is None or len(found) >= self._settings.mcp_tools:
                    break
        self._listing = (began_ms, list(found.values()))
        return self._listing[1]

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> CallToolResult:
        """Raises Unusable, Lost."""
        client = await self._client()
        if self._transport.is_ended:
            raise Lost(ENDED)
        with self._failing(only_reads=False):
            return await client.call_tool(tool, dict(arguments))
        raise AssertionError("unreachable")

    # --- its life -------------------------------------------------------------------------------------------------

    async def _client(self) -> Client:
        return await asyncio.shield(self._ready)

    async def _live(self) -> None:
        try:
            async with AsyncExitStack() as stack:
                async with asyncio.timeout(self._settings.mcp_connect_seconds):
                    client = await stack.enter_async_context(await stack.enter_async_context(self._opened()))
                # The SDK would hold a result against a schema that the server makes, however long that takes.
                client.session.validate_tool_result = _unchecked  # type: ignore[method-assign, assignment]
                self._transport.begin()
                self._ready.set_result(client)
                await self._closing.wait()
        except BaseException as error:
            if not self._ready.done():
                self._ready.set_exception(Unusable(_sentence(error, self._transport.alone.failure)))
            if not isinstance(error, Exception):
                raise
        finally:
            self._closing.set()

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Client]:
        """The SDK's client, not entered yet, and the HTTP client below it."""
        endpoint = self.endpoint

        def http(
            headers: dict[str, str] | None = None,
            timeout: httpx2.Timeout | None = None,  # noqa: ARG001 - the transport has its own limits
            auth: httpx2.Auth | None = None,  # noqa: ARG001 - the transport has the tokens
        ) -> httpx2.AsyncClient:
            return httpx2.AsyncClient(
                transport=self._transport,
                headers={**endpoint.headers, **(headers or {})},
                timeout=None,
                trust_env=False,
                follow_redirects=False,
            )

        info, seconds = Implementation(name="hum", version="0.1"), endpoint.answer_seconds
        if endpoint.transport == "sse":
            transport: AbstractAsyncContextManager[Any] = sse_client(endpoint.url, httpx_client_factory=http)
            yield Client(
                transport,
                mode="legacy",
                client_info=info,
                cache=None,
                message_handler=self._notified,
                read_timeout_seconds=seconds,
            )
            return
        async with http() as below:
            transport = streamable_http_client(endpoint.url, http_client=below)
            yield Client(
                transport, client_info=info, cache=None, message_handler=self._notified, read_timeout_seconds=seconds
            )

    async def _notified(self, message: Any) -> None:
        if isinstance(message, ToolListChangedNotification):
            self._listing = None

    @contextmanager
    def _failing(self, *, only_reads: bool) -> Iterator[None]:
        """What goes wrong with the SDK is Unusable, and nobody new gets the connection: also if somebody waits no longer."""
        outcome = Outcome()
        token = OUTCOME.set(outcome)
        try:
            yield
        except MCPError as error:
            is_closed, is_silent = _is_closed(error), error.code == REQUEST_TIMEOUT
            if outcome.failure is not None or is_closed or is_silent:
                self.retire()  # else it is an answer like any other
            did_nothing = (is_closed and only_reads) or (outcome.is_forgotten and not is_silent)
            failure = outcome.failure or (self._transport.alone.failure if is_closed else None)
            raise (Lost if did_nothing else Unusable)(_sentence(error, failure)) from error
        except BaseException as error:
            self.retire()
            if not isinstance(error, Exception):
                raise
            raise Unusable(_sentence(error, outcome.failure)) from error
        finally:
            OUTCOME.reset(token)


def _sentence(error: BaseException, failure: Outside | None) -> str:
    """Why there is no answer."""
    if failure is not None:
        return failure.message
    if isinstance(error, Outside):
        return error.message
    if isinstance(error, MCPError) and _is_closed(error):
        return ENDED
    if isinstance(error, MCPError) and error.code != REQUEST_TIMEOUT:
        return f"The MCP server answered with an error: {visible(error.error.message)}"[:300]
    return SILENT if isinstance(error, TimeoutError | MCPError) else "The MCP server's answer is not valid."


def _is_closed(error: MCPError) -> bool:
    return error.code == CONNECTION_CLOSED and error.error.message == CLOSED


async def _unchecked(*_: object) -> None:
    """A result is data, whatever its form."""


class Connections:
    """A process's."""

    def __init__(self, web: Guarded, settings: McpSettings, stopping: asyncio.Event) -> None:
        self._web, self._settings, self._stopping = web, settings, stopping
        self._open: dict[UUID, Connection] = {}
        #: Those that nobody new gets, and that somebody still uses.
        self._left: list[Connection] = []
        self._tidying: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len([each for each in self._open.values() if not each.is_over])

    @asynccontextmanager
    async def use(self, endpoint: Endpoint) -> AsyncIterator[Connection]:
        """The connection to a server.  Raises Unusable."""
        every = (*self._open.values(), *self._left)
        if sum(each.users for each in every if each.endpoint.server == endpoint.server) >= self._settings.mcp_calls:
            raise Unusable(BUSY)
        connection = self._connection(endpoint)
        connection.users += 1
        try:
            yield connection
        finally:
            connection.leave()

    def _connection(self, endpoint: Endpoint) -> Connection:
        known = self._open.get(endpoint.server)
        if known is not None and known.endpoint.revision != endpoint.revision:
            known.retire()
        self._set_aside()
        if (known := self._open.get(endpoint.server)) is not None:
            return known
        self._make_room(but=endpoint.server)
        self._open[endpoint.server] = made = Connection(self._web, endpoint, self._settings)
        if self._tidying is None or self._tidying.done():
            self._tidying = asyncio.create_task(self._tidy(), name="mcp connections")
        return made

    def _set_aside(self) -> None:
        """What is over makes place for another connection to its server."""
        for server, each in list(self._open.items()):
            if each.is_over:
                each.retire()
                del self._open[server]
                self._left.append(each)
        self._left = [each for each in self._left if not each.is_closed]

    def _make_room(self, but: UUID) -> None:
        servers = {*self._open, *(each.endpoint.server for each in self._left)}
        if len(servers - {but}) < self._settings.mcp_connections:
            return
        idle = [(each.used_ms, server) for server, each in self._open.items() if not each.users]
        if not idle:
            raise Unusable(NO_ROOM)
        self._open.pop(min(idle)[1]).close()

    async def _tidy(self) -> None:
        """Close what is idle, and what should have been left long ago; ends with the last connection."""
        idle_ms = self._settings.mcp_idle_seconds * 1000
        while self._open or self._left:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(self._settings.mcp_idle_seconds, 5.0)):
                    await self._stopping.wait()
            for each in (*self._open.values(), *self._left):
                is_idle = not each.users and monotonic_ms() - each.used_ms >= idle_ms
                if is_idle or each.is_overdue or self._stopping.is_set():
                    each.close()
            self._set_aside()
