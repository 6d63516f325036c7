"""A call whose agent uses a customer's HTTP tool and MCP server: behind a filler, with a person's approval that comes, and with one
that doesn't.
"""

import asyncio
from typing import Any

import pytest
from aiohttp import web

from sandbox.mcp import McpServer, McpTool
from sandbox.openai import Script
from sandbox.speech import Speech
from sandbox.twilio import say
from tests.contract.httptools.conftest import serving
from tests.e2e.conftest import House
from tests.e2e.test_http_tools_call import ORDER_ID, bound
from tests.e2e.test_inbound_call import LISTEN
from tests.support.waits import patience

FILLER = "Let me see."
#: Time for a person to decide, and for the agent to say what came of it.
DECIDING = {"do": "wait", "ms": 15_000}
ORDER = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}


@pytest.fixture
def script() -> Script:
    return Script.of(
        {
            "heard": ["Where is my order?", "I want my money back.", "I want a second refund."],
            "turns": [
                {"call": {"name": "look_up_stock", "arguments": {"order_id": "A-7"}}},
                {"call": {"name": "shop__find_order", "arguments": {"n": 1}}},
                {"say": "It is on its way."},
                {"call": {"name": "shop__refund", "arguments": {"n": 1}}},
                {"say": "I have asked a colleague."},
                {"say": "My colleague agreed, it is refunded."},
                {"call": {"name": "shop__refund", "arguments": {"n": 2}}},
                {"say": "I have asked once more."},
                {"say": "I am sorry, not this time."},
            ],
        }
    )


async def decided(house: House, path: str, n: int) -> str:
    """A person decides on what the agent asked for, once it has said so."""
    async with patience():
        while True:
            waiting = (await house.http.get("/api/approvals", params={"state": "pending"})).json()["approvals"]
            if waiting and waiting[0]["arguments"] == {"n": n}:
                await asyncio.sleep(3.0)
                answer = await house.http.post(f"/api/approvals/{waiting[0]['id']}/{path}", json={})
                answer.raise_for_status()
                return str(waiting[0]["id"])
            await asyncio.sleep(0.05)


async def in_stock(_: web.Request) -> web.StreamResponse:
    return web.json_response({"stock": 3})


@pytest.mark.calls
async def test_an_agent_asks_goes_on_and_says_what_came_of_it(house: House, speech: Speech) -> None:
    async def connect(url: str) -> None:
        wish = {"name": "Shop", "url": url, "auto_approve_tools_json": ["find_order"]}
        server = (await house.http.post("/api/mcp-servers", json=wish)).raise_for_status().json()["id"]
        read = (await house.http.post(f"/api/mcp-servers/{server}/refresh")).raise_for_status().json()
        assert read["status"] == "ok", read["failure"]
        path = f"/api/flows/{house.flow['id']}/mcp-servers"
        (await house.http.post(path, json={"server_id": server})).raise_for_status()

    async with McpServer.serve(slow_seconds=2.5) as shop, serving() as warehouse:
        warehouse.paths["/stock/A-7"] = in_stock
        shop.tools["find_order"] = McpTool("Finds an order.", lambda _: "on its way", ORDER)
        shop.tools["refund"] = McpTool("Refunds an order.", lambda arguments: f"refunded {arguments['n']}", ORDER)
        await house.answer_with(
            greeting="Welcome.", filler_phrases=[FILLER], idle_prompts_json={}, idle_end_seconds=120
        )
        await connect(shop.url)
        stock = {"name": "look_up_stock", "url": "/stock/{{ args.order_id }}", "parameters_json": ORDER_ID}
        await bound(house, warehouse, stock)
        await house.clips_rendered()
        first, second, third = [
            await speech.say(line, "caller")
            for line in ("Where is my order?", "I want my money back.", "I want a second refund.")
        ]
        steps: list[dict[str, Any]] = [
            *(LISTEN, say(first), LISTEN, {"do": "wait", "ms": 4_000}),
            *(say(second), LISTEN, DECIDING),
            *(say(third), LISTEN, DECIDING),
        ]
        call = await house.ring(*steps)
        approved = await decided(house, "approve", 1)
        denied = await decided(house, "deny", 2)
        await call.ended(90)
    record = await house.record()
    spoken = [turn["text"] for turn in record["transcript"] if turn["role"] == "agent"]
    assert FILLER in spoken and spoken.index(FILLER) < spoken.index("It is on its way.")
    spoken = [each for each in spoken if each != FILLER]  # a slow answer may get another
    asked = spoken.index("I have asked a colleague.")
    assert spoken[asked + 1] == "My colleague agreed, it is refunded.", spoken
    assert "I have asked once more." in spoken, spoken
    assert spoken[spoken.index("I have asked once more.") + 1] == "I am sorry, not this time.", spoken
    assert [(name, arguments["n"]) for name, arguments in shop.calls] == [("find_order", 1), ("refund", 1)]
    told = [each["text"] for each in record["interventions"]]
    assert len(told) == 2 and "refunded 1" in told[0] and "denied" in told[1]
    states = {each["id"]: each["state"] for each in (await house.http.get("/api/approvals")).json()["approvals"]}
    assert states == {approved: "done", denied: "denied"}
    results = [each["result"] for each in record["tool_activity"]]
    assert results[1]["content"] == "on its way"
    assert [each["status"] for each in results[2:]] == ["waiting_for_approval"] * 2
    found = await house.http.get("/api/tool-executions", params={"call_id": record["id"]})
    kept = [(each["kind"], each["name"], each["approval_id"]) for each in reversed(found.json()["executions"])]
    assert kept[:3] == [
        ("http", "look_up_stock", None),
        ("mcp", "shop__find_order", None),
        ("mcp", "shop__refund", None),  # it asked
    ]
    # What was approved ran once; that somebody else was asked for, too.
    assert set(kept[3:]) == {("mcp", "shop__refund", approved), ("mcp", "shop__refund", None)} and len(kept) == 5
