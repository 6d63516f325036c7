"""One connection to an MCP server, by the SDK's client.  No other module of this plane imports the SDK.

The client lives in a task of its own, which opens and closes it; each user waits no longer than its own timeout.  After a failure
the connection is retired: users still waiting for an answer over it may get it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

import httpx2
from mcp import Client, MCPError
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CONNECTION_CLOSED, REQUEST_TIMEOUT, CallToolResult, Implementation, ToolListChangedNotification

from control.base.egress import EgressError
from control.clients.http import GuardedClient
from control.mcp.endpoint import SILENT, Endpoint, NotExecuted, Unusable
from control.mcp.pinning import ListedTool, ToolReading, is_name
from control.mcp.transport import OUTCOME, ConnectionOutcome, ExchangeLimits, GuardedTransport, Tokens
from hum.clock import monotonic_ms
from hum.observe.logs import log
from hum.settings.mcp import McpSettings
from hum.visibletext import visible

LOG = log(__name__)
#: These libraries log what servers send.
for _name in ("mcp", "httpx2"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)
MOST_PAGES = 20
ENDED = "The connection to the MCP server ended before it answered."
#: The SDK's message; servers use its code for other errors too.
CLOSED = "Connection closed"


class Connection:
    """The connection to one server."""

    def __init__(self, web: GuardedClient, endpoint: Endpoint, settings: McpSettings) -> None:
        self.endpoint, self.users, self.used_ms = endpoint, 0, monotonic_ms()
        self.retired_ms: float | None = None
        self._settings = settings
        limits = ExchangeLimits(
            settings.mcp_connect_seconds,
            endpoint.answer_seconds,
            settings.mcp_answer_bytes,
            settings.mcp_stream_bytes,
        )
        tokens = Tokens(web, endpoint.org, endpoint.oauth, settings.mcp_connect_seconds) if endpoint.oauth else None
        self._transport = GuardedTransport(web, endpoint.org, limits, tokens, streams=endpoint.transport == "sse")
        self._reading: ToolReading | None = None
        self._closing = asyncio.Event()
        self._ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        # Retrieve the exception, as there may be no user to await it.
        self._ready.add_done_callback(lambda ready: ready.cancelled() or ready.exception())
        self._task = asyncio.create_task(self._run(), name="mcp connection")

    @property
    def is_over(self) -> bool:
        """Whether it takes no new users."""
        return self.retired_ms is not None or self._transport.is_ended or self.is_closed

    @property
    def is_closed(self) -> bool:
        return self._closing.is_set() or self._task.done()

    def close(self) -> None:
        """Close the connection; users still waiting for an answer fail."""
        self._closing.set()

    def retire(self) -> None:
        """Take no new users, and close the connection once the present ones have finished."""
        if self.retired_ms is None:
            self.retired_ms = monotonic_ms()
        if not self.users:
            self.close()

    def release(self) -> None:
        """Count a user out, and close a retired connection after the last."""
        self.users, self.used_ms = self.users - 1, monotonic_ms()
        if self.is_over:
            self.retire()

    @property
    def is_overdue(self) -> bool:
        """Whether the longest time that a user may take has passed since it was retired."""
        most_ms = (self.endpoint.answer_seconds + self._settings.mcp_refresh_limit_seconds) * 1000
        return self.retired_ms is not None and monotonic_ms() - self.retired_ms >= most_ms

    async def protocol_version(self) -> str:
        return (await self._client()).protocol_version

    async def listed(self, within_seconds: float) -> ToolReading:
        """Return the server's tools, as listed at most `within_seconds` ago.  Raises Unusable, NotExecuted."""
        if self._reading is not None and monotonic_ms() - self._reading.began_ms <= within_seconds * 1000:
            return self._reading
        client, began_ms = await self._client(), monotonic_ms()
        tools, cursor = dict[str, ListedTool](), None
        with self._convert_errors(only_reads=True):
            for _ in range(MOST_PAGES):
                page = await client.list_tools(cursor=cursor)
                for tool in page.tools:
                    if is_name(tool.name) and len(tools) < self._settings.mcp_tools:
                        tools.setdefault(tool.name, ListedTool(tool.name, tool.description or "", tool.input_schema))
                cursor = page.next_cursor
                if cursor is None or len(tools) >= self._settings.mcp_tools:
                    break
        self._reading = ToolReading(began_ms, list(tools.values()))
        return self._reading

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> CallToolResult:
        """Call a tool.  Raises Unusable, NotExecuted."""
        client = await self._client()
        if self._transport.is_ended:
            raise NotExecuted(ENDED)
        with self._convert_errors(only_reads=False):
            return await client.call_tool(tool, dict(arguments))
        raise AssertionError("unreachable")

    # --- life cycle -----------------------------------------------------------------------------------------------

    async def _client(self) -> Client:
        return await asyncio.shield(self._ready)

    async def _run(self) -> None:
        try:
            async with AsyncExitStack() as stack:
                async with asyncio.timeout(self._settings.mcp_connect_seconds):
                    client = await stack.enter_async_context(await stack.enter_async_context(self._open_client()))
                # The SDK would validate results against the server's schema, which may take arbitrarily long.
                client.session.validate_tool_result = _accept_any  # type: ignore[method-assign, assignment]
                self._transport.begin()
                self._ready.set_result(client)
                await self._closing.wait()
        # Whatever it is, the users that wait must get it; a cancellation ends this task as well.
        except BaseException as error:
            failure = self._transport.background.failure
            self._log_unexpected(error, failure)
            if not self._ready.done():
                self._ready.set_exception(Unusable(_sentence(error, failure)))
            if not isinstance(error, Exception):
                raise
        finally:
            self._closing.set()

    @asynccontextmanager
    async def _open_client(self) -> AsyncIterator[Client]:
        """Yield the SDK's client, not yet entered, over an HTTP client with the guarded transport."""
        endpoint = self.endpoint

        def http(
            headers: dict[str, str] | None = None,
            timeout: httpx2.Timeout | None = None,  # noqa: ARG001 - the transport has its own
            auth: httpx2.Auth | None = None,  # noqa: ARG001 - the transport has it
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
                message_handler=self._on_message,
                read_timeout_seconds=seconds,
            )
            return
        async with http() as http_client:
            transport = streamable_http_client(endpoint.url, http_client=http_client)
            yield Client(
                transport, client_info=info, cache=None, message_handler=self._on_message, read_timeout_seconds=seconds
            )

    async def _on_message(self, message: Any) -> None:
        if isinstance(message, ToolListChangedNotification):
            self._reading = None

    @contextmanager
    def _convert_errors(self, *, only_reads: bool) -> Iterator[None]:
        """Convert the SDK's errors to Unusable, and retire the connection, also if the user is canceled."""
        outcome = ConnectionOutcome()
        token = OUTCOME.set(outcome)
        try:
            yield
        except MCPError as error:
            is_closed, is_silent = _is_closed(error), error.code == REQUEST_TIMEOUT
            if outcome.failure is not None or is_closed or is_silent:
                self.retire()  # otherwise a regular error response
            had_no_effect = (is_closed and only_reads) or (outcome.session_unknown and not is_silent)
            failure = outcome.failure or (self._transport.background.failure if is_closed else None)
            # Not chained: the SDK's errors have the server's message, and pydantic's write it out once for each part that is wrong.
            raise (NotExecuted if had_no_effect else Unusable)(_sentence(error, failure)) from None
        # The SDK lists no errors that an invalid answer causes.  Also a cancellation retires the connection.
        except BaseException as error:
            self.retire()
            self._log_unexpected(error, outcome.failure)
            if not isinstance(error, Exception):
                raise
            raise Unusable(_sentence(error, outcome.failure)) from None
        finally:
            OUTCOME.reset(token)

    def _log_unexpected(self, error: BaseException, failure: EgressError | None) -> None:
        """Log an error of the SDK that no user is told in words: an invalid answer, or a bug."""
        expected = EgressError | MCPError | TimeoutError
        if failure is None and isinstance(error, Exception) and not isinstance(error, expected):
            LOG.warning("an MCP client failed", server=str(self.endpoint.server), error=", ".join(_kinds(error)))


def _sentence(error: BaseException, failure: EgressError | None) -> str:
    """Return why there is no answer, as a sentence."""
    if failure is not None:
        return failure.message
    if isinstance(error, EgressError):
        return error.message
    if isinstance(error, MCPError) and _is_closed(error):
        return ENDED
    if isinstance(error, MCPError) and error.code != REQUEST_TIMEOUT:
        return f"The MCP server answered with an error: {visible(error.error.message)}"[:300]
    return SILENT if isinstance(error, TimeoutError | MCPError) else "The MCP server's answer is not valid."


def _kinds(error: BaseException) -> list[str]:
    """Return the type of an error, or the types in a group of errors; their texts may quote what the server sent."""
    if isinstance(error, BaseExceptionGroup):
        return [kind for inner in error.exceptions for kind in _kinds(inner)]
    return [type(error).__name__]


def _is_closed(error: MCPError) -> bool:
    return error.code == CONNECTION_CLOSED and error.error.message == CLOSED


async def _accept_any(*_: object) -> None:
    """Accept any result: it is data for the agent."""
