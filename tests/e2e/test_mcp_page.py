"""docs/mcp.md: the server that it shows runs, and its requests do what it says, one after another."""

import json
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from hum.process.sockets import free_port
from tests.contract.conftest import Edge, edge, issuer, public_socket, running_issuer
from tests.contract.test_approvals import asks, learns, working
from tests.contract.test_carrier_webhooks import flow_with_number
from tests.contract.test_mcp import on_call
from tests.contract.test_tools import run
from tests.control.conftest import UNLIMITED, payments, plane
from tests.support.programs import listening, running

__all__ = ["edge", "issuer", "payments", "plane", "public_socket", "running_issuer"]
PAGE = (Path(__file__).parents[2] / "docs" / "mcp.md").read_text()
BLOCKS = re.findall(r"```(python|http)\n(.*?)```", PAGE, re.DOTALL)
pytestmark = pytest.mark.interop


@pytest.fixture
def limits() -> dict[str, Any]:
    return {
        **UNLIMITED,
        "egress_allow": "127.0.0.0/8",
        "approval_look_seconds": 0.05,
        "approval_tell_retry_seconds": 0.05,
        "mcp_connect_seconds": 20.0,
    }


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[str]:
    """The page's server, once it listens."""
    (code,) = [block for kind, block in BLOCKS if kind == "python"]
    (folder / "shop.py").write_text(code)
    port = free_port("127.0.0.1")
    async with running(sys.executable, folder / "shop.py", str(port)) as process:
        await listening(process, port)
        yield f"http://127.0.0.1:{port}/mcp"


async def test_the_page_does_what_it_says(edge: Edge, tmp_path: Path) -> None:
    http = await flow_with_number(edge)
    known = {"flow": (await http.get("/api/flows")).json()["flows"][0]["id"]}
    async with served(tmp_path) as url:
        requests = [block for kind, block in BLOCKS if kind == "http"]
        assert len(requests) == 6
        known["server"] = (await send(http, requests[0], known, url))["id"]
        read = await send(http, requests[1], known, url)
        assert (read["status"], read["tool_count"]) == ("ok", 2), read["failure"]
        listed = (await send(http, requests[2], known, url))["tools"]
        assert [(each["model_name"], each["needs_approval"]) for each in listed] == [
            ("shop__find_order", False),
            ("shop__refund", True),
        ]
        await send(http, requests[3], known, url)
        media = await on_call(edge)
        found = await run(media, "1", '{"number": 4711}', "shop__find_order")
        assert found[0] == "ok" and "arrives on Tuesday" in found[1]["content"]
        await asks(media, "2", '{"number": 4711, "amount": 500}')
        (wish,) = (await send(http, requests[4], known, url))["approvals"]
        known["approval"] = wish["id"]
        async with working(edge):
            approved = await send(http, requests[5], known, url)
            assert approved["edited"] and approved["arguments"] == {"number": 4711, "amount": 10}
            assert "Refunded 10 euros of order 4711." in await learns(media)


async def send(http: httpx.AsyncClient, block: str, known: dict[str, str], url: str) -> Any:
    head, _, body = block.replace("https://mcp.example.com/mcp", url).partition("\n\n")
    verb, path = head.split()
    for name, id in known.items():
        path, body = path.replace(f"{{{name}}}", id), body.replace(f"{{{name}}}", id)
    answer = await http.request(verb, path, json=json.loads(body) if body.strip() else None, timeout=60)
    assert answer.is_success, (head, answer.text)
    return answer.json()
