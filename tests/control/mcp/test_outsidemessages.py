"""MCP servers whose messages cost more than their bytes."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web as aioweb

from control.base.egress import Policy
from control.clients.http import GuardedClient
from control.mcp import outsidemessages
from control.mcp.endpoint import Unusable
from control.mcp.outsidemessages import MESSAGES, MESSAGES_PER_SECOND, MessageBudget
from hum.json.outside import TooMuch
from hum.network import parse_networks
from sandbox.mcp import McpServer, McpTool
from tests.control.mcp.test_connections import Side

PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}


@pytest.fixture
async def web() -> AsyncIterator[GuardedClient]:
    made = GuardedClient(Policy(parse_networks("127.0.0.0/8")))
    yield made
    await made.close()


def result(**fields: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "result": fields}).encode()


@pytest.mark.parametrize(
    "message",
    [
        result(content=[{}] * 350_000),
        result(content=[{"type": "text", "text": "a", "annotations": {"audience": [1] * 3000}}]),
        result(tools=[{}] * 3000),
        result(content=[], structuredContent={"a": [0] * 30_000}),
        b"[" * 1000,
    ],
)
def test_costly_messages_are_refused(message: bytes) -> None:
    with pytest.raises(TooMuch):
        outsidemessages.require_readable(message)


@pytest.mark.parametrize(
    "message",
    [
        result(content=[{"type": "text", "text": "[{},{}]," * 100_000}]),
        result(content=[], structuredContent={"rows": [[1, 2, 3]] * 4000}),
        result(
            tools=[
                {"name": f"t{n}", "description": "d", "inputSchema": {"type": "object", "properties": {"a": {}} | {str(i): {} for i in range(50)}}}
                for n in range(150)
            ]
        ),
        b"no JSON",
    ],
)  # fmt: skip
def test_honest_messages_are_read(message: bytes) -> None:
    outsidemessages.require_readable(message)


def test_an_answer_has_few_messages_and_a_lasting_stream_as_many_as_its_time() -> None:
    event = b"data: " + json.dumps(PING).encode() + b"\n\n"
    budget = MessageBudget(0.0)
    for _ in range(MESSAGES):
        budget.admits(event, 0.0)
        budget.admits(b": a comment\n\n", 0.0)
    with pytest.raises(TooMuch):
        budget.admits(event, 0.0)
    for _ in range(MESSAGES_PER_SECOND):
        budget.admits(event, 1000.0)
    with pytest.raises(TooMuch):
        budget.admits(event, 1000.0)


class Hostile(McpServer):
    """A server that answers calls of tools with this."""

    def __init__(self, **fields: Any) -> None:
        super().__init__(**fields)
        self.answer, self.kind = b"", "application/json"

    async def _post(self, request: aioweb.Request) -> aioweb.StreamResponse:
        if (await request.json()).get("method") == "tools/call":
            return aioweb.Response(body=self.answer, content_type=self.kind)
        return await super()._post(request)


@pytest.fixture
async def hostile() -> AsyncIterator[Hostile]:
    async with Hostile.serve() as made:
        made.tools["find"] = McpTool("Finds an order.", lambda _: "order")
        yield made


async def test_many_empty_members_never_reach_the_validator(
    web: GuardedClient, hostile: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    side = Side(web, mcp_answer_bytes=1 << 20)
    hostile.answer = result(content=[{}] * 200_000)
    with pytest.raises(Unusable, match="more than") as refused:
        await side.call(side.to(hostile))
    # A few of them do, and no log or trace writes their errors out.
    hostile.answer = result(resultType="complete", content=[{}] * 1000)
    with pytest.raises(Unusable) as refused:
        await side.call(side.to(hostile))
    assert refused.value.__cause__ is None and refused.value.__suppress_context__


async def test_a_flood_of_pings_is_cut(web: GuardedClient, hostile: Hostile) -> None:
    side = Side(web, mcp_answer_bytes=1 << 20)
    hostile.kind, hostile.answer = (
        "text/event-stream",
        b"".join(b"event: message\ndata: " + json.dumps(PING | {"id": n}).encode() + b"\n\n" for n in range(5000)),
    )
    with pytest.raises(Unusable):
        await side.call(side.to(hostile))
    # The SDK answers each ping with a request of its own, which has no method.
    assert hostile.methods().count("") <= MESSAGES
