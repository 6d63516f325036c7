"""HTTP tools of tests over REST, and the customer's system that they ask."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from aiohttp import web

from tests.control.conftest import UNLIMITED
from tests.support import httpserver
from tests.support.httpserver import Handler

TOOL: dict[str, Any] = {
    "name": "look_up_order",
    "description": "Looks up an order.",
    "url": "https://api.example.com/x",
}
ORDER_ID = {"type": "object", "properties": {"order_id": {"type": "string"}}, "required": ["order_id"]}


@pytest.fixture
def limits() -> dict[str, Any]:
    return {
        **UNLIMITED,
        "egress_allow": "127.0.0.0/8",
        "http_tools": 4,
        "flow_tools": 3,
        "tool_secrets": 2,
        "http_tool_retry_seconds": 0.01,
        "crm_inform_retry_seconds": 0.01,
        # Long, so that a busy machine answers within; what is late never answers.
        "hooks_seconds": 4.0,
        "hook_seconds": 3.0,
    }


@dataclass
class Shop:
    """A customer's system: what it was asked, and how it answers by path."""

    url: str = ""
    asked: list[tuple[str, str, str, dict[str, str]]] = field(default_factory=list)
    paths: dict[str, Handler] = field(default_factory=dict)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.text()
        self.asked.append((request.method, request.path_qs, body, dict(request.headers)))
        if (own := self.paths.get(request.path)) is not None:
            return await own(request)
        return web.json_response({"state": "sent", "echo": dict(request.headers)})


@asynccontextmanager
async def serving() -> AsyncIterator[Shop]:
    shop = Shop()
    async with httpserver.answering(shop.handle) as shop.url:
        yield shop


async def made(http: httpx.AsyncClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = await http.post(path, json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def flow_of(http: httpx.AsyncClient) -> str:
    return str((await http.get("/api/flows")).json()["flows"][0]["id"])


async def executions(http: httpx.AsyncClient, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await http.get("/api/tool-executions", params=query)).json()["executions"]
    return found
