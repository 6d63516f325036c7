"""The examples of docs/tools.md and docs/flow-hooks.md, as a reader runs them."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.contract.conftest import Edge
from tests.contract.httptools.conftest import executions, flow_of, limits, serving
from tests.contract.httptools.test_hooks import told
from tests.contract.test_carrier_webhooks import CALL, flow_with_number
from tests.contract.test_crm import connect
from tests.contract.test_live_stream import answered
from tests.contract.test_triggers_page import run
from tests.control.crm.conftest import answers
from tests.control.crm.conftest import serving as serving_crm

__all__ = ["limits"]
DOCS = Path(__file__).parents[2] / "docs"
ORDERS = {"orders": [{"id": "A-7", "state": "packed"}, {"id": "A-9", "state": "waiting"}]}
STATE = {"state": "packed", "parcels": [{"number": 1, "state": "sent"}, {"number": 2, "state": "at home"}]}


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (DOCS / page).read_text(), re.DOTALL | re.MULTILINE)


async def ran(code: str, **env: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await run("sh", code, env))
    assert "error" not in found or found["error"] is None, found
    return found


@pytest.mark.interop
async def test_the_examples_of_tools(edge: Edge) -> None:
    http = await flow_with_number(edge)
    secret, tool, test, bind, list_ = blocks("tools.md", "sh")
    (shown,) = blocks("tools.md", "json")

    async def state(_: web.Request) -> web.StreamResponse:
        return web.json_response(STATE)

    async with serving() as shop:
        shop.paths["/orders/A-7/status"] = state
        env = {
            "HUM": edge.url,
            "KEY": http.headers["authorization"].removeprefix("Bearer "),
            "SHOP": shop.url,
            "SHOP_HOST": "127.0.0.1",
            "FLOW_ID": await flow_of(http),
        }
        assert (await ran(secret, **env))["value"] == "********"
        env["TOOL_ID"] = (await ran(tool, **env))["id"]
        found = await ran(test, **env)
        assert {name: found[name] for name in json.loads(shown)} == json.loads(shown)
        ((method, path, body, headers),) = shop.asked
        assert (method, path) == ("POST", "/orders/A-7/status?phone=%2B13175550199")
        assert (headers["X-Api-Key"], json.loads(body)["order"]) == ("k-4711-secret", "A-7")
        assert (await ran(bind, **env))["description"] == "Looks up a repair order."
        (row,) = (await ran(list_, **env))["executions"]
        assert (row["arguments"], row["status"]) == ({"order_id": "A-7"}, "ok")


@pytest.mark.interop
async def test_the_examples_of_hooks(edge: Edge) -> None:
    http = await flow_with_number(edge)
    tool, bind, bind_crm = blocks("flow-hooks.md", "sh")
    (shown,) = blocks("flow-hooks.md", "text")

    async def orders(request: web.Request) -> web.StreamResponse:
        assert dict(request.query) == {"phone": CALL["From"], "state": "open"}
        return web.json_response(ORDERS)

    async with serving() as shop, serving_crm() as crm:
        shop.paths["/orders"] = orders
        crm.paths["/contacts/lookup"] = answers({"found": True, "contact": {"attributes": {"plan": "gold"}}})
        env = {
            "HUM": edge.url,
            "KEY": http.headers["authorization"].removeprefix("Bearer "),
            "SHOP": shop.url,
            "FLOW_ID": await flow_of(http),
            "CONNECTOR_ID": (await connect(http, crm))["id"],
        }
        env["TOOL_ID"] = (await ran(tool, **env))["id"]
        await ran(bind, **env)
        await ran(bind_crm, **env)
        media = await answered(edge)
        await media.acknowledged(1)
        lines: list[str] = []
        while not any(line.startswith("- orders") for line in lines):  # the contact's CRM layer may come first
            lines = await told(media)
        assert shown.splitlines()[2] in lines and lines[-1] == "- plan: on the plan gold"
        assert lines.index(shown.splitlines()[2]) == len(lines) - 2
        assert {row["kind"] for row in await executions(http, call_id=media.call_id)} == {"http", "crm"}
