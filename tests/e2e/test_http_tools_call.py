"""HTTP tools through the whole platform: an agent that calls one under a filler, and hooks for which no greeting waits."""

import asyncio
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import pytest
from aiohttp import web

from sandbox.openai import Script
from sandbox.speech import Speech
from sandbox.twilio import say
from tests.contract.httptools.conftest import Shop, serving
from tests.e2e.conftest import CALLER, House
from tests.e2e.test_inbound_call import LISTEN
from tests.support.waits import until

FILLER = "Let me look that up."
ORDER_ID = {"type": "object", "properties": {"order_id": {"type": "string"}}, "required": ["order_id"]}
#: Calls of each kind.
ROUNDS = 5


@pytest.fixture
def script() -> Script:
    return Script.of(
        {
            "heard": ["Where is my order A seven"] * 2,
            "turns": [
                {"call": {"name": "look_up_order", "arguments": {"order_id": "A-7"}}},
                {"say": "Your order is packed."},
            ],
        }
    )


async def bound(house: House, shop: Shop, tool: dict[str, Any], **binding: Any) -> str:
    made = await house.http.post("/api/tools", json={"description": "Looks up.", **tool, "url": shop.url + tool["url"]})
    assert made.status_code == 201, made.text
    path = f"/api/flows/{house.flow['id']}/tools"
    answer = await house.http.post(path, json={"tool_id": made.json()["id"], **binding})
    assert answer.status_code == 201, answer.text
    return f"{path}/{answer.json()['id']}"


@pytest.mark.calls
async def test_an_agent_calls_a_slow_tool_under_a_filler(house: House, speech: Speech) -> None:
    async def slow(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(2.5)
        return web.json_response({"state": "packed"})

    async with serving() as shop:
        shop.paths["/orders/A-7"] = slow
        await house.answer_with(filler_phrases=[FILLER])
        tool = {
            "name": "look_up_order",
            "url": "/orders/{{ args.order_id }}",
            "parameters_json": ORDER_ID,
            "query_json": {"phone": "{{ caller.phone_e164 }}"},
            "output_template": "The order is {{ response.body.state }}.",
        }
        await bound(house, shop, tool)
        await house.clips_rendered()
        question = await speech.say("Where is my order A seven?", "caller")
        call = await house.ring({"do": "wait", "ms": 300}, say(question), LISTEN, LISTEN)
        await call.ended()
        record = await house.record()
    ((method, path, _, _),) = shop.asked
    assert (method, path) == ("GET", f"/orders/A-7?phone=%2B{CALLER[1:]}")
    spoken = [turn["text"] for turn in record["transcript"] if turn["role"] == "agent"]
    assert spoken[:2] == [FILLER, "Your order is packed."], record["transcript"]
    (activity,) = record["tool_activity"]
    assert (activity["name"], activity["status"], activity["result"]) == (
        "look_up_order",
        "ok",
        {"result": "The order is packed."},
    )
    (row,) = (await house.http.get("/api/tool-executions", params={"call_id": record["id"]})).json()["executions"]
    assert (row["kind"], row["result"], row["arguments"]) == ("http", activity["result"], activity["arguments"])


@pytest.mark.parametrize(
    "exact", [pytest.param(False, marks=pytest.mark.calls), pytest.param(True, marks=pytest.mark.realtime)]
)
async def test_no_greeting_waits_for_a_hook_or_a_crm(
    house: House, record_property: Callable[[str, object], None], exact: bool
) -> None:
    """Calls with and without hooks and a CRM, one of each in turn; the systems behind them never answer."""
    asked, silent = set[str](), {f"/{name}" for name in "abc"} | {"/contacts/lookup"}

    async def never(request: web.Request) -> web.StreamResponse:
        asked.add(request.path)
        await asyncio.sleep(120)
        return web.Response()

    async with serving() as shop:
        shop.paths |= dict.fromkeys(silent, never)
        await house.answer_with(greeting="Welcome to the clinic.")
        paths = [await bound(house, shop, {"name": n, "url": f"/{n}"}, mode="pre_call", enabled=False) for n in "abc"]
        crm = {"name": "Ours", "base_url": shop.url, "timeout_ms": 30_000, "enabled": False, "sync_calls": False}
        made = (await house.http.post("/api/crm-connectors", json=crm)).raise_for_status().json()
        paths.append(f"/api/crm-connectors/{made['id']}")
        await house.clips_rendered()
        first_ms: dict[bool, list[float]] = {False: [], True: []}
        for number in range(2 * ROUNDS):
            with_them = number % 2 == 1
            for path in paths:
                (await house.http.patch(path, json={"enabled": with_them})).raise_for_status()
            asked.clear()
            call = await house.ring(LISTEN, {"do": "hang_up"})
            await until(partial(lambda call: call.streams and call.streams[0].playout.segments, call))
            if with_them:
                await until(lambda: asked == silent)
            await call.ended()
            first_ms[with_them].append(call.streams[0].playout.segments[0].start_ms)
    record_property("first audio of the greeting, ms: without and with three hooks and a CRM", first_ms)
    later_ms = median(first_ms[True]) - median(first_ms[False])
    # A busy machine adds its own; what waits for a hook is later by 1,200 ms at least, and for a CRM by more.
    assert later_ms < (20 if exact else 400)
    rows = (await house.http.get("/api/tool-executions", params={"status": "failed"})).json()["executions"]
    assert len(rows) == 3 * ROUNDS and {row["purpose"] for row in rows} == {"hook"}
