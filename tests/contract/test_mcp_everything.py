"""The reference server of the protocol's authors, from npm, over both transports: its tools on a call."""

import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from hum.process.sockets import free_port
from tests.contract.conftest import Edge
from tests.contract.test_carrier_webhooks import flow_with_number
from tests.contract.test_mcp import on_call, tools
from tests.contract.test_tools import run
from tests.control.conftest import UNLIMITED
from tests.support.processes import kill_group
from tests.support.programs import listening, running
from tests.support.waits import patience

TOOLS = Path(__file__).parents[2] / ".venv-clients"
PROGRAM = TOOLS / "npm/node_modules/@modelcontextprotocol/server-everything/dist/index.js"
pytestmark = pytest.mark.interop


@pytest.fixture
def limits() -> dict[str, Any]:
    return {
        **UNLIMITED,
        "egress_allow": "127.0.0.0/8",
        "mcp_connect_seconds": 20.0,
        "mcp_refresh_limit_seconds": 60.0,
    }


@asynccontextmanager
async def everything(transport: str) -> AsyncIterator[str]:
    """The server's address, once it listens."""
    assert (TOOLS / ".ready").exists(), "run: make peers"
    port = free_port("127.0.0.1")
    words = {"streamable_http": ("streamableHttp", "/mcp"), "sse": ("sse", "/sse")}[transport]
    variables = {"PATH": f"{TOOLS / 'bin'}:{os.environ['PATH']}", "PORT": str(port)}
    nowhere = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    async with running("node", PROGRAM, words[0], env=variables, start_new_session=True, **nowhere) as process:
        try:
            await listening(process, port)
            yield f"http://127.0.0.1:{port}{words[1]}"
        finally:
            kill_group(process.pid)


@pytest.mark.parametrize("transport", ["streamable_http", "sse"])
async def test_the_reference_servers_tools_run_on_a_call(edge: Edge, transport: str) -> None:
    http = await flow_with_number(edge)
    async with everything(transport) as url:
        wish = {
            "name": "Everything",
            "url": url,
            "transport": transport,
            "require_approval_default": False,
            "timeout_ms": 6000,
        }
        made = await http.post("/api/mcp-servers", json=wish)
        assert made.status_code == 201, made.text
        server = (await http.post(f"/api/mcp-servers/{made.json()['id']}/refresh", timeout=60)).json()
        assert server["status"] == "ok", server["failure"]
        known = await tools(http, server)
        assert {"echo", "get-sum", "get-tiny-image"} <= set(known)
        assert {each["state"] for each in known.values()} == {"accepted"}
        flow = (await http.get("/api/flows")).json()["flows"][0]["id"]
        await http.post(f"/api/flows/{flow}/mcp-servers", json={"server_id": server["id"]})
        media = await on_call(edge)
        status, output = await run(media, "1", '{"message": "hello"}', "everything__echo")
        assert (status, output["content"]) == ("ok", "Echo: hello")
        status, output = await run(media, "2", '{"a": 2, "b": 3}', "everything__get-sum")
        assert status == "ok" and "5" in output["content"]
        status, output = await run(media, "3", "{}", "everything__get-tiny-image")
        assert status == "ok" and "[image, which you can't see]" in output["content"]
        long = '{"duration": 60, "steps": 60}'
        async with patience():
            status, output = await run(media, "4", long, "everything__trigger-long-running-operation")
        assert status == "failed"
        status, output = await run(media, "5", '{"message": "again"}', "everything__echo")
        assert (status, output["content"]) == ("ok", "Echo: again")
