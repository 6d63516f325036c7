"""A process's connections to MCP servers that work in every generation, and to those that misbehave."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any
from unittest.mock import AsyncMock
from uuid import UUID

import httpx2
import pytest
from mcp import Client
from structlog.testing import capture_logs

from control.base.egress import Policy
from control.clients.http import GuardedClient, HttpLimits
from control.mcp.client import Connections
from control.mcp.connection import Connection
from control.mcp.endpoint import Endpoint, NotExecuted, Unusable
from control.mcp.transport import ExchangeLimits, GuardedTransport, OAuthClient
from hum import ids
from hum.network import parse_networks
from hum.settings import ControlSettings
from sandbox.mcp import McpFault, McpServer, McpTool
from tests.control.mcp.closable import Closable
from tests.support.waits import patience, until


class Side:
    """Our side: a guarded client and its connections."""

    def __init__(self, web: GuardedClient, **settings: Any) -> None:
        self.stopping = asyncio.Event()
        known = {"mcp_connect_seconds": 2.0, "mcp_answer_bytes": 64 << 10, "mcp_stream_bytes": 256 << 10}
        self.pool = Connections(web, ControlSettings(**(known | settings)), self.stopping)
        self.server = ids.new()

    def to(self, there: McpServer, **fields: Any) -> Endpoint:
        made = Endpoint(ids.new(), self.server, 1, "streamable_http", there.url, {"X-Key": "k"}, None, 2.0)
        return replace(made, **fields)

    async def call(self, endpoint: Endpoint, tool: str = "find", within_seconds: float = 60.0, **arguments: Any) -> str:
        async with self.pool.use(endpoint) as connection:
            await connection.listed(within_seconds)
            return _text(await connection.call(tool, arguments))


def _text(answer: Any) -> str:
    return "".join(each.text for each in answer.content)


@pytest.fixture
async def web() -> AsyncIterator[GuardedClient]:
    made = GuardedClient(Policy(parse_networks("127.0.0.0/8")))
    yield made
    await made.close()


@pytest.fixture
async def server() -> AsyncIterator[McpServer]:
    async with McpServer.serve() as made:
        made.tools["find"] = McpTool("Finds an order.", lambda arguments: f"order {arguments.get('n')}")
        yield made


@pytest.mark.parametrize(
    ("transport", "generation", "version"),
    [
        ("streamable_http", "2026-07-28", "2026-07-28"),
        ("streamable_http", "2025-06-18", "2025-06-18"),
        ("sse", "2025-06-18", "2025-06-18"),
    ],
)
async def test_a_tool_runs_in_each_generation_of_the_protocol(
    web: GuardedClient, server: McpServer, transport: str, generation: str, version: str
) -> None:
    side, server.generation = Side(web), generation
    endpoint = side.to(server, transport=transport, url=server.sse_url if transport == "sse" else server.url)
    async with side.pool.use(endpoint) as connection:
        assert [each.name for each in (await connection.listed(0)).tools] == ["find"]
        assert await connection.protocol_version() == version
        assert _text(await connection.call("find", {"n": 7})) == "order 7"
    assert server.calls == [("find", {"n": 7})]
    called = next(headers for method, headers in server.heard if method == "tools/call")
    assert called["x-key"] == "k" and called["user-agent"].startswith("hum/")


async def test_a_connection_is_shared_kept_and_closed_when_idle(web: GuardedClient, server: McpServer) -> None:
    side, server.generation = Side(web, mcp_idle_seconds=0.3), "2025-06-18"
    endpoint = side.to(server)
    answers = await asyncio.gather(*(side.call(endpoint, n=n) for n in range(10)))
    assert sorted(answers) == sorted(f"order {n}" for n in range(10))
    assert server.methods().count("initialize") == 1 and len(side.pool) == 1
    async with patience():
        while len(side.pool):
            await asyncio.sleep(0.05)
    assert await side.call(endpoint, n=1) == "order 1"
    assert server.methods().count("initialize") == 2


async def test_other_settings_make_another_connection(web: GuardedClient, server: McpServer) -> None:
    side, server.generation = Side(web), "2025-06-18"
    await side.call(side.to(server))
    await side.call(side.to(server, revision=2, headers={"X-Key": "other"}))
    keys = [headers["x-key"] for method, headers in server.heard if method == "tools/call"]
    assert keys == ["k", "other"] and server.methods().count("initialize") == 2


async def test_a_session_that_the_server_has_forgotten_is_told_apart(web: GuardedClient, server: McpServer) -> None:
    side, server.generation = Side(web), "2025-06-18"
    endpoint = side.to(server)
    await side.call(endpoint)
    server.forget()
    async with side.pool.use(endpoint) as connection:
        with pytest.raises(NotExecuted):
            await connection.call("find", {})
    assert await side.call(endpoint, n=2) == "order 2", "the next use makes another"


async def test_a_header_of_any_bytes_is_an_answer_and_leaks_no_place(web: GuardedClient) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nX-Name: \xff\xc3\xa9\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
    transport = GuardedTransport(web, ids.new(), ExchangeLimits(60, 60, 1 << 10, 1 << 10), None, streams=False)
    for _ in range(HttpLimits().host_requests + 1):
        response = await transport.handle_async_request(httpx2.Request("POST", url))
        assert (response.status_code, await response.aread()) == (200, b"{}")
        await response.aclose()
    listening.close()


@pytest.fixture
async def closable() -> AsyncIterator[Closable]:
    async with Closable.serve() as made:
        made.tools["find"] = McpTool("Finds an order.", lambda arguments: f"order {arguments.get('n')}")
        yield made


async def test_a_stream_that_ended_unused_is_no_connection_any_more(web: GuardedClient, closable: Closable) -> None:
    side = Side(web)
    endpoint = side.to(closable, transport="sse", url=closable.sse_url)
    assert await side.call(endpoint, n=1) == "order 1"
    closable.close_streams()
    await until(lambda: not len(side.pool))
    for n in (2, 3):
        assert await side.call(endpoint, n=n) == "order " + str(n)
    assert closable.methods().count("initialize") == 2


async def test_what_was_surely_not_asked_over_a_closed_stream_is_told_apart(
    web: GuardedClient, closable: Closable
) -> None:
    side = Side(web)
    endpoint = side.to(closable, transport="sse", url=closable.sse_url)
    async with side.pool.use(endpoint) as connection:
        await connection.listed(0)
        closable.close_streams()
        await until(lambda: connection.is_over)
        with pytest.raises(NotExecuted):
            await connection.call("find", {})
    assert "tools/call" not in closable.methods()
    async with side.pool.use(endpoint) as connection:
        closable.closes_at = "tools/call"
        with pytest.raises(Unusable, match="ended before it answered") as error:
            await connection.call("find", {"n": 1})
        assert not isinstance(error.value, NotExecuted), "it may have been done"
    async with side.pool.use(endpoint) as connection:
        closable.closes_at = "tools/list"
        with pytest.raises(NotExecuted):
            await connection.listed(0)
    assert await side.call(endpoint, n=2) == "order 2" and closable.calls == [("find", {"n": 1}), ("find", {"n": 2})]


async def test_a_user_who_gives_up_takes_nobodys_connection(web: GuardedClient, closable: Closable) -> None:
    """Over one stream, where a connection that is closed takes every answer along."""
    side = Side(web)
    endpoint = side.to(closable, transport="sse", url=closable.sse_url, answer_seconds=30.0)
    closable.faults["tools/call"] = McpFault.HANG
    hung = asyncio.create_task(side.call(endpoint, n=1))
    await until(lambda: "tools/call" in closable.methods())
    async with side.pool.use(endpoint) as connection:
        hung.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hung
        del closable.faults["tools/call"]
        assert await side.call(endpoint, n=2) == "order 2", "new users get another"
        assert _text(await connection.call("find", {"n": 3})) == "order 3"
        was_closed = connection.is_closed
    assert not was_closed
    assert connection.is_closed, "its last user has left"
    assert closable.methods().count("initialize") == 2 and len(side.pool) == 1


async def test_a_server_that_says_that_its_tools_have_changed_is_read_anew(
    web: GuardedClient, server: McpServer
) -> None:
    side, server.generation = Side(web), "2025-06-18"
    async with side.pool.use(side.to(server, transport="sse", url=server.sse_url)) as connection:
        before = await connection.listed(60)
        server.tools["more"] = McpTool("More.")
        assert await connection.listed(60) is before
        server.say_tools_changed()

        async def has_more() -> bool:
            return "more" in {tool.name for tool in (await connection.listed(60)).tools}

        await until(has_more)


async def test_a_timeout_takes_only_its_own_answer(web: GuardedClient, server: McpServer) -> None:
    side, server.generation = Side(web, mcp_calls=3), "2025-06-18"
    endpoint = side.to(server, answer_seconds=0.5)
    async with side.pool.use(endpoint) as connection:
        await connection.listed(60)
        server.faults["tools/call"] = McpFault.HANG
        with pytest.raises(Unusable, match="in time"):
            await side.call(endpoint)
        del server.faults["tools/call"]
        assert _text(await connection.call("find", {"n": 3})) == "order 3"
        async with side.pool.use(endpoint) as other:
            assert other is not connection and len((await other.listed(60)).tools) == 1
            async with side.pool.use(endpoint):
                with pytest.raises(Unusable, match="Too many of"):
                    await side.call(endpoint)
    assert connection.is_closed and not other.is_closed
    assert server.methods().count("initialize") == 2


async def test_an_error_that_the_sdk_does_not_document_is_logged_without_its_text(
    web: GuardedClient, server: McpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    side = Side(web)
    errors = ExceptionGroup("of a task group", [ValueError("what the server sent"), KeyError("result")])
    monkeypatch.setattr(Client, "call_tool", AsyncMock(side_effect=errors))
    with capture_logs() as lines, pytest.raises(Unusable, match="is not valid"):
        await side.call(side.to(server))
    (line,) = [line for line in lines if line["event"] == "an MCP client failed"]
    assert (line["server"], line["error"]) == (str(side.server), "ValueError, KeyError")
    assert "what the server sent" not in str(lines)


async def test_each_is_told_what_became_of_their_own_request(web: GuardedClient, server: McpServer) -> None:
    """What was asked before the server forgot the session may be done; what was asked after that is not."""
    side, server.generation = Side(web), "2025-06-18"
    endpoint = side.to(server, answer_seconds=1.0)
    async with side.pool.use(endpoint) as connection:
        await connection.listed(60)
        server.faults["tools/call"] = McpFault.HANG
        hung = asyncio.create_task(connection.call("find", {}))
        await until(lambda: "tools/call" in server.methods())
        del server.faults["tools/call"]
        with pytest.raises(Unusable, match="no such tool"):
            await connection.call("none", {})
        assert not connection.is_over, "an answer like any other"
        server.forget()
        with pytest.raises(NotExecuted, match="404"):
            await connection.call("find", {})
        with pytest.raises(Unusable, match="in time") as error:
            await hung
        assert not isinstance(error.value, NotExecuted)


async def test_other_settings_end_nobodys_tool(web: GuardedClient, server: McpServer) -> None:
    side = Side(web)
    async with side.pool.use(side.to(server)) as connection:
        await connection.listed(60)
        assert await side.call(side.to(server, revision=2), n=1) == "order 1"
        assert _text(await connection.call("find", {"n": 2})) == "order 2"
    assert connection.is_closed


async def test_a_connection_that_nobody_new_gets_is_closed_in_the_end(web: GuardedClient, server: McpServer) -> None:
    side = Side(web, mcp_idle_seconds=0.1, mcp_refresh_limit_seconds=0.1)
    async with side.pool.use(side.to(server, answer_seconds=0.2)) as connection:
        await connection.listed(60)
        connection.retire()
        assert not connection.is_closed
        await until(lambda: connection.is_closed)


@pytest.mark.parametrize("method", ["server/discover", "tools/list", "tools/call"])
@pytest.mark.parametrize("fault", [each for each in McpFault if each is not McpFault.REDIRECT])
async def test_a_server_that_misbehaves_delays_nobody_beyond_the_limit(
    web: GuardedClient, server: McpServer, fault: McpFault, method: str
) -> None:
    side = Side(web, mcp_connect_seconds=1.0)
    endpoint = side.to(server, answer_seconds=1.0)
    server.faults[method] = fault
    falls_back = method == "server/discover" and fault in {McpFault.ERROR, McpFault.GARBAGE, McpFault.ENDLESS}
    if falls_back:  # whoever does not know the newest generation may answer like that
        assert await side.call(endpoint, n=1) == "order 1"
    else:
        with pytest.raises((Unusable, TimeoutError)):
            async with patience():
                await side.call(endpoint)
        assert server.calls == []
    del server.faults[method]
    async with patience():
        while True:  # what is left of a faulty answer ends soon, too
            try:
                assert await side.call(endpoint, n=3) == "order 3"
                break
            except Unusable:
                await asyncio.sleep(0.1)


@pytest.mark.parametrize("fault", [McpFault.HANG, McpFault.ENDLESS, McpFault.FLOOD, McpFault.GARBAGE, McpFault.ERROR])
async def test_a_stream_that_is_none_ends_too(web: GuardedClient, server: McpServer, fault: McpFault) -> None:
    side = Side(web, mcp_connect_seconds=1.0)
    server.faults["sse"] = fault
    with pytest.raises(Unusable):
        async with patience():
            await side.call(side.to(server, transport="sse", url=server.sse_url))


async def test_a_redirect_leads_nowhere(web: GuardedClient, server: McpServer) -> None:
    async with McpServer.serve() as other:
        other.tools = server.tools
        for target in (other.url, server.url):
            server.faults["tools/list"], server.redirect_to = McpFault.REDIRECT, target
            with pytest.raises(Unusable):
                await Side(web).call(Side(web).to(server))
        assert other.heard == []


async def test_nothing_goes_where_the_guard_does_not_let_it(server: McpServer) -> None:
    web = GuardedClient(Policy())
    try:
        for transport, url in (("streamable_http", server.url), ("sse", server.sse_url)):
            with pytest.raises(Unusable, match="not public"):
                side = Side(web)
                await side.call(side.to(server, transport=transport, url=url))
        assert server.heard == []
    finally:
        await web.close()


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fd00:ec2::254", "64:ff9b::7f00:1"]
)
@pytest.mark.parametrize("transport", ["streamable_http", "sse"])
async def test_a_name_that_leads_inside_is_not_connected_to(address: str, transport: str) -> None:
    asked = list[str]()

    def look_up(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["1.1.1.1", address]

    web = GuardedClient(Policy(), lookup=look_up)
    endpoint = Endpoint(ids.new(), ids.new(), 1, transport, "https://mcp.example/mcp", {}, None, 2.0)
    client = OAuthClient("https://id.example/token", "client", "secret", None, endpoint.url)
    try:
        for each in (endpoint, replace(endpoint, server=ids.new(), oauth=client)):
            with pytest.raises(Unusable, match="not public"):
                await Side(web).call(each)
        assert set(asked) == {"mcp.example", "id.example"}
    finally:
        await web.close()


async def test_a_token_is_fetched_where_the_customer_says_and_used_until_it_ends(
    web: GuardedClient, server: McpServer
) -> None:
    server.token = "nobody knows it yet"
    client = OAuthClient(server.token_url, "client", "secret", "orders", server.url)
    side = Side(web)
    assert await side.call(side.to(server, oauth=client), n=1) == "order 1"
    assert await side.call(side.to(server, oauth=client), n=2) == "order 2"
    (form,) = [headers for method, headers in server.heard if method == "token"]
    assert (form["grant_type"], form["scope"], form["resource"]) == ("client_credentials", "orders", server.url)
    wrong = replace(client, secret="wrong")
    with pytest.raises(Unusable, match="401"):
        await side.call(side.to(server, server=ids.new(), oauth=wrong))


async def test_a_results_schema_is_never_computed(web: GuardedClient, server: McpServer) -> None:
    evil = {"type": "object", "properties": {"x": {"type": "string", "pattern": "^(a+)+$"}}}
    answer = {"content": [], "structuredContent": {"x": "a" * 40 + "!"}}
    server.tools["bomb"] = McpTool("A bomb.", lambda _: answer, output_schema=evil)
    side = Side(web)
    async with side.pool.use(side.to(server)) as connection:
        await connection.listed(0)
        found = await connection.call("bomb", {})
    assert found.structured_content == answer["structuredContent"]


async def test_a_server_is_asked_for_so_much_at_once(web: GuardedClient, server: McpServer) -> None:
    side = Side(web, mcp_calls=2, mcp_connections=1)
    endpoint = side.to(server)
    async with side.pool.use(endpoint), side.pool.use(endpoint):
        with pytest.raises(Unusable, match="Too many of"):
            await side.call(endpoint)
        with pytest.raises(Unusable, match="Too many MCP servers"):
            await side.call(side.to(server, server=ids.new()))
    assert await side.call(side.to(server, server=ids.new()), n=1) == "order 1", "the idle one made room"
    assert len(side.pool) == 1


async def test_more_tools_than_a_server_may_have_are_not_read(web: GuardedClient, server: McpServer) -> None:
    server.tools = {f"t{n}": McpTool("One.") for n in range(50)} | {
        "": McpTool("Nameless."),
        "x" * 200: McpTool("Long."),
    }
    side = Side(web, mcp_tools=10)
    async with side.pool.use(side.to(server)) as connection:
        assert isinstance(connection, Connection) and len((await connection.listed(0)).tools) == 10


async def test_an_organization_takes_no_more_places_than_it_leaves(web: GuardedClient, server: McpServer) -> None:
    """However many servers it uses, and whether or not they are slow."""
    side, ours, theirs = Side(web, mcp_connections=8), ids.new(), ids.new()

    def to(org: UUID) -> Endpoint:
        return side.to(server, org=org, server=ids.new())

    kept = to(theirs)
    await side.call(kept, n=1)
    for n in range(10):  # idle connections, in place of one another
        await side.call(to(ours), n=n)
    assert len(side.pool) == 5
    async with side.pool.use(kept) as connection:
        assert not connection.is_over
    async with AsyncExitStack() as stack:
        for _ in range(4):
            await stack.enter_async_context(side.pool.use(to(ours)))
        with pytest.raises(Unusable, match="Too many MCP servers"):
            await side.call(to(ours))
        async with side.pool.use(kept) as same:
            assert same is connection, "it was not closed for others"
        for n in range(8):
            await side.call(to(theirs), n=n)
        assert len(side.pool) <= 8


async def test_idle_connections_of_others_make_room_in_a_full_pool(web: GuardedClient, server: McpServer) -> None:
    side = Side(web, mcp_connections=2)
    for n in range(4):
        assert await side.call(side.to(server, server=ids.new()), n=n) == f"order {n}"
        assert len(side.pool) == min(n + 1, 2)
