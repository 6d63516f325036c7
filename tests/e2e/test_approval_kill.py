"""A worker is killed while it runs what a person approved: it is run once, and the agent learns that nobody knows."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from control.mcp import pinning
from control.tools import Result, ToolContext
from hum import ids
from hum.clock import now
from hum.ids import Kind
from sandbox.mcp import McpServer, McpTool
from storage import approvals, mcp
from storage.approvals import Subject, ToolCall
from storage.db import Db
from tests.e2e.deployments import Deployment, deployment
from tests.support.waits import patience

__all__ = ["deployment"]
pytestmark = pytest.mark.calls


@pytest.fixture
def more() -> dict[str, str]:
    return {
        "HUM_EGRESS_ALLOW": "127.0.0.0/8",
        "approval_stuck_seconds": "8",
        "approval_call_seconds": "600",
        "ingress_seconds": "20",
    }


async def nobody(_: ToolContext, __: Mapping[str, Any]) -> Result:
    raise AssertionError("only what the tool is called is asked")


async def wish_for(deployment: Deployment, url: str, database_url: str) -> str:
    """The agent of a live call wants to use the server's tool, which nobody has decided on."""
    (flow,) = (await deployment.http.get("/api/flows")).json()["flows"]
    made = await deployment.http.post("/api/mcp-servers", json={"name": "Shop", "url": url, "timeout_ms": 7000})
    assert made.status_code == 201, made.text
    server = made.json()["id"]
    read = await deployment.http.post(f"/api/mcp-servers/{server}/refresh", timeout=60)
    assert read.json()["status"] == "ok", read.text
    bound = await deployment.http.post(f"/api/flows/{flow['id']}/mcp-servers", json={"server_id": server})
    assert bound.status_code == 200, bound.text
    (live,) = await deployment.calls()
    db, id = await Db.open(database_url, size=2), ids.new()
    async with db.system() as tx:
        org = await tx.fetchval("SELECT org_id FROM calls")
    async with db.tenant(org) as tx:
        call = ids.require(Kind.CALL, live["id"])
        subject = Subject(call, None, None, None, ids.require(Kind.FLOW, flow["id"]), flow["version"])
        (tool,) = await mcp.of_flow(tx, org, subject.flow_id, 10)
        origin = str(pinning.tool(tool, frozenset(), nobody).origin)
        tool_call = ToolCall(tool.model_name, "It wants to use shop__refund", "{}", tool.schema, origin)
        await approvals.create(tx, id, subject, tool_call, now() + timedelta(minutes=10))
    await db.close()
    return ids.show(Kind.APPROVAL, id)


async def until(deployment: Deployment, id: str, name: str, *values: Any) -> dict[str, Any]:
    """The approval, once a field has one of these values, or any if there are none."""
    async with asyncio.timeout(90):
        while True:
            answer = await deployment.http.get(f"/api/approvals/{id}")
            found: dict[str, Any] = answer.json() if answer.status_code == 200 else {}
            if found and (found[name] in values if values else found[name]):
                return found
            await asyncio.sleep(0.1)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("planes", [("worker",), ("worker", "media")], ids="+".join)
async def test_it_is_run_once_and_the_agent_is_told_once(
    deployment: Deployment, database_url: str, planes: tuple[str, ...]
) -> None:
    async with McpServer.serve(slow_seconds=5.0) as shop:
        shop.tools["refund"] = McpTool("Refunds an order.")
        call = await deployment.talking()
        id = await wish_for(deployment, shop.url, database_url)
        decided = await deployment.http.post(f"/api/approvals/{id}/approve", json={})
        assert decided.status_code == 200, decided.text
        async with patience():
            while "tools/call" not in shop.methods():
                await asyncio.sleep(0.05)
        deployment.kill(*planes)
        failed = await until(deployment, id, "state", "failed", "done")
        assert failed["state"] == "failed" and "not known whether" in failed["result"]["error"]
        await until(deployment, id, "told_at")
        await asyncio.sleep(10)  # longer than it takes to begin what is left again
        assert shop.methods().count("tools/call") == 1
    record = (await deployment.http.get(f"/api/calls/{failed['call_id']}")).json()
    assert [each["kind"] for each in record["interventions"]] == ["news"]
    assert "not known whether" in record["interventions"][0]["text"]
    call.hang_up()
    await deployment.all_over()
