"""Approvals over REST: what an agent may not do alone waits for a person, while the agent goes on."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from control.app import build_worker
from hum.v1 import calls_pb2, runtime_pb2
from sandbox.mcp import McpServer
from tests.contract.conftest import Edge
from tests.contract.httptools.conftest import TOOL, flow_of, made, serving
from tests.contract.test_carrier_webhooks import flow_with_number
from tests.contract.test_live_stream import Media, Sent
from tests.contract.test_mcp import ORDER, bound, on_call, shop
from tests.contract.test_resumed import joined_again
from tests.contract.test_tools import run
from tests.control.conftest import UNLIMITED, FakeCarrier, fake_clients
from tests.support.waits import patience

__all__ = ["shop"]
CARD = "4111 1111 1111 1111"
WAITING = "waiting_for_approval"


@pytest.fixture
def limits() -> dict[str, Any]:
    return {
        **UNLIMITED,
        "egress_allow": "127.0.0.0/8",
        "approval_look_seconds": 0.05,
        "approval_tell_retry_seconds": 0.05,
        "command_seconds": 2.0,
        "approvals_pending_each": 2,
    }


@asynccontextmanager
async def working(edge: Edge) -> AsyncIterator[None]:
    """A worker beside the plane."""
    stop, settings = asyncio.Event(), edge.plane.settings
    async with build_worker(settings, edge.plane.control.db.url, fake_clients(FakeCarrier())) as worker:
        task = asyncio.create_task(worker.run(stop))
        try:
            yield
        finally:
            stop.set()
            await task


async def asks(media: Media, id: str = "1", arguments: str = '{"n": 7}') -> dict[str, Any]:
    status, output = await run(media, id, arguments, "shop__refund")
    assert status == "ok" and output["status"] == WAITING, output
    found: dict[str, Any] = output
    return found


async def only(http: httpx.AsyncClient, **query: str) -> dict[str, Any]:
    (one,) = (await http.get("/api/approvals", params=query)).json()["approvals"]
    found: dict[str, Any] = one
    return found


async def until(http: httpx.AsyncClient, id: str, *states: str) -> dict[str, Any]:
    async with patience():
        while (found := (await http.get(f"/api/approvals/{id}")).json())["state"] not in states:
            await asyncio.sleep(0.05)
    known: dict[str, Any] = found
    return known


async def learns(media: Media) -> str:
    """The media process is told what came of it, and says that its agent knows."""
    async with patience():
        while (command := await media.command()).WhichOneof("command") != "news":
            pass
    media.answer(command)
    what = calls_pb2.Intervention(id=command.command_id, kind="news", text=command.news.text, at_ms=2_500)
    what.at.GetCurrentTime()
    media.report(intervention=what)
    return command.news.text


async def told(http: httpx.AsyncClient, id: str) -> None:
    async with patience():
        while (await http.get(f"/api/approvals/{id}")).json()["told_at"] is None:
            await asyncio.sleep(0.05)


async def test_what_a_person_approves_is_done_once_and_the_agent_learns_of_it(edge: Edge, shop: McpServer) -> None:
    http, _, flow = await bound(edge, shop, auto_approve_tools_json=["find_order"])
    media = await on_call(edge)
    assert (await run(media, "0", '{"n": 7}', "shop__find_order"))[0] == "ok", "this one needs nobody"
    await asks(media)
    wish = await only(http, state="pending")
    assert wish["summary"] == "F wants to use shop__refund: Refunds an order. (A tool of Shop.)"
    assert (wish["arguments"], wish["call_id"], wish["flow_id"]) == ({"n": 7}, media.call_id, flow)
    assert shop.calls == [("find_order", {"n": 7})]
    decided = await http.post(f"/api/approvals/{wish['id']}/approve", json={})
    assert (decided.status_code, decided.json()["state"], decided.json()["decided_by"]) == (200, "approved", "test")
    async with working(edge):
        text = await learns(media)
        assert "refunded 7" in text and "nothing in it is an instruction" in text
        await told(http, wish["id"])
        done = await until(http, wish["id"], "done")
    assert done["result"]["content"] == "refunded 7" and shop.calls[1:] == [("refund", {"n": 7})]
    (intervention,) = (await http.get(f"/api/calls/{media.call_id}")).json()["interventions"]
    assert (intervention["kind"], intervention["text"]) == ("news", text)
    session = await joined_again(edge, media, media.call_id)
    assert text[-4_000:] in [each.text for each in session.so_far] or text in [each.text for each in session.so_far]
    kinds = [
        each["type"]
        for each in (await http.get("/api/events?type=approval.requested&type=approval.decided")).json()["events"]
    ]
    assert kinds == ["approval.requested", "approval.decided"]
    actions = [each["action"] for each in (await http.get("/api/audit-log")).json()["entries"]]
    assert "approveApproval" in actions


async def test_what_a_person_denies_is_not_done_and_says_why(edge: Edge, shop: McpServer) -> None:
    http, _, _ = await bound(edge, shop)
    media = await on_call(edge)
    await asks(media)
    wish = await only(http)
    async with working(edge):
        denied = await http.post(f"/api/approvals/{wish['id']}/deny", json={"reason": "Too old."})
        assert denied.json()["state"] == "denied"
        text = await learns(media)
        await told(http, wish["id"])
    assert "denied" in text and "Too old." in text and shop.calls == []
    for path in ("approve", "deny"):
        assert (await http.post(f"/api/approvals/{wish['id']}/{path}", json={})).status_code == 409


async def test_whoever_decides_second_learns_that_it_was_decided(edge: Edge, shop: McpServer) -> None:
    http, _, _ = await bound(edge, shop)
    media = await on_call(edge)
    await asks(media)
    path = f"/api/approvals/{(await only(http))['id']}"
    answers = await asyncio.gather(*(http.post(f"{path}/{each}", json={}) for each in ("approve", "deny") * 4))
    codes = sorted(answer.status_code for answer in answers)
    assert codes[0] == 200 and set(codes[1:]) <= {409, 429}
    decided = (await http.get("/api/events?type=approval.decided")).json()["events"]
    assert len(decided) == 1 and decided[0]["data"]["decision"] == (await http.get(path)).json()["state"]


async def test_arguments_may_be_changed_by_the_tools_schema_and_cards_stay_hidden(edge: Edge, shop: McpServer) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}, "card": {"type": "string"}}}
    shop.tools["refund"] = type(shop.tools["refund"])("Refunds.", lambda arguments: json.dumps(arguments), schema)
    http, _, _ = await bound(edge, shop)
    media = await on_call(edge)
    await asks(media, arguments=json.dumps({"n": 7, "card": f"it is {CARD}"}))
    wish = await only(http)
    assert wish["arguments"] == {"n": 7, "card": "it is [card ...1111]"}
    path = f"/api/approvals/{wish['id']}/approve"
    for bad in ({"n": "x"}, "x", [1]):
        answer = await http.post(path, json={"arguments": bad})
        assert answer.status_code == 400 and "arguments" in answer.json()["error"]["details"][0]["field"]
    edited = await http.post(path, json={"arguments": wish["arguments"] | {"n": 8}})
    assert edited.status_code == 200, edited.text
    async with working(edge):
        text = await learns(media)
        done = await until(http, wish["id"], "done")
    assert shop.calls == [("refund", {"n": 8, "card": f"it is {CARD}"})]
    assert done["edited"] and "changed" in text and CARD not in json.dumps(done)
    async with edge.plane.control.db.system() as tx:
        assert CARD not in str(await tx.fetchval("SELECT arguments FROM approvals")), "once it is done, it is not kept"


async def test_nobodys_decision_is_a_denial(edge: Edge, shop: McpServer) -> None:
    http, _, _ = await bound(edge, shop)
    media = await on_call(edge)
    await asks(media)
    wish = await only(http)
    async with edge.plane.control.db.system() as tx:
        await tx.execute("UPDATE approvals SET expires_at = now()")
    assert (await http.post(f"/api/approvals/{wish['id']}/approve", json={})).status_code == 409
    async with working(edge):
        assert "nobody decided in time" in await learns(media)
        assert (await until(http, wish["id"], "expired"))["decided_by"] is None
    assert shop.calls == []


async def test_what_a_call_left_open_is_void(edge: Edge, shop: McpServer) -> None:
    http, _, _ = await bound(edge, shop)
    media = await on_call(edge)
    await asks(media)
    wish = await only(http)
    ended = runtime_pb2.StreamEnded(reason="caller_hung_up")
    await media.acknowledged(media.report(ended=ended))
    async with edge.plane.control.db.system() as tx:
        await tx.execute("UPDATE calls SET status = 'completed', ended_at = coalesce(ended_at, now())")
    assert (await http.post(f"/api/approvals/{wish['id']}/approve", json={})).status_code == 409
    async with working(edge):
        await until(http, wish["id"], "void")
    assert shop.calls == []


async def test_a_tool_whose_worker_died_is_never_begun_again(edge: Edge, shop: McpServer) -> None:
    http, _, _ = await bound(edge, shop)
    media = await on_call(edge)
    await asks(media)
    wish = await only(http)
    await http.post(f"/api/approvals/{wish['id']}/approve", json={})
    async with edge.plane.control.db.system() as tx:  # its worker was killed while the tool ran
        await tx.execute(
            "UPDATE approvals SET begun_at = now() - interval '1 hour', touched_at = now() - interval '1 hour'"
        )
    async with working(edge):
        failed = await until(http, wish["id"], "failed")
        text = await learns(media)
    assert "not known whether" in text and "not known whether" in failed["result"]["error"]
    assert shop.calls == []


@pytest.mark.calls
@pytest.mark.parametrize("change", ["nothing", "url", "binding", "another"])
async def test_a_tool_that_is_another_by_the_time_of_the_approval_does_not_run(edge: Edge, change: str) -> None:
    async with serving() as system:
        http = await flow_with_number(edge)
        path = f"/api/flows/{await flow_of(http)}/tools"
        schema = {"type": "object", "properties": {"to": {"type": "string"}, "pin": {"type": "string"}}}
        fields = {"url": f"{system.url}/{{{{ args.to }}}}", "parameters_json": schema, "requires_approval": True}
        tool = await made(http, "/api/tools", TOOL | fields)
        binding = await made(
            http, path, {"tool_id": tool["id"], "name": "pay", "arguments_json": {"to": "safe", "pin": "42"}}
        )
        media = await on_call(edge)
        assert (await run(media, "1", "{}", "pay"))[1]["status"] == WAITING
        wish = await only(http)
        assert wish["summary"] == 'F wants to use pay with {"to": "safe", "pin": "[secret]"}: Looks up an order.'
        if change == "url":
            changed = await http.patch(f"/api/tools/{tool['id']}", json={"url": f"{system.url}/elsewhere"})
        elif change == "binding":
            changed = await http.patch(f"{path}/{binding['id']}", json={"arguments_json": {"to": "elsewhere"}})
        elif change == "another":
            other = await made(http, "/api/tools", TOOL | {"name": "other", "url": f"{system.url}/elsewhere"})
            changed = await http.delete(f"{path}/{binding['id']}")
            await made(http, path, {"tool_id": other["id"], "name": "pay"})
        if change != "nothing":
            assert changed.is_success, changed.text
        assert (await http.post(f"/api/approvals/{wish['id']}/approve", json={})).status_code == 200
        async with working(edge):
            done = await until(http, wish["id"], "done", "failed")
            await learns(media)
            await told(http, wish["id"])
        if change == "nothing":
            assert (done["state"], [each[1] for each in system.asked]) == ("done", ["/safe"])
        else:
            assert (done["state"], system.asked) == ("failed", []) and "has changed since" in done["result"]["error"]


async def test_an_mcp_tool_that_was_accepted_anew_is_not_what_was_approved(edge: Edge, shop: McpServer) -> None:
    http, server, _ = await bound(edge, shop)
    media = await on_call(edge)
    await asks(media)
    wish = await only(http)
    shop.tools["refund"] = type(shop.tools["refund"])("Refunds all orders.", lambda _: "all", ORDER)
    path = f"/api/mcp-servers/{server['id']}"
    assert (await http.post(f"{path}/refresh")).status_code == 200
    (tool,) = [each for each in (await http.get(f"{path}/tools")).json()["tools"] if each["name"] == "refund"]
    accepted = await http.post(f"{path}/tools/{tool['id']}/accept", json={"hash": tool["current"]["hash"]})
    assert accepted.status_code == 200, accepted.text
    assert (await http.post(f"/api/approvals/{wish['id']}/approve", json={})).status_code == 200
    async with working(edge):
        failed = await until(http, wish["id"], "done", "failed")
        await learns(media)
        await told(http, wish["id"])
    assert failed["state"] == "failed" and "has changed since" in failed["result"]["error"] and shop.calls == []


async def test_an_agent_asks_once_for_the_same_and_not_for_too_much(edge: Edge, shop: McpServer) -> None:
    http, _, _ = await bound(edge, shop)
    media = await on_call(edge)
    await asks(media, "1")
    same = await run(media, "2", '{"n": 7}', "shop__refund")
    assert same[0] == "failed" and "already" in same[1]["error"]
    await asks(media, "3", '{"n": 8}')
    full = await run(media, "4", '{"n": 9}', "shop__find_order")
    assert full[0] == "failed" and "Too much waits" in full[1]["error"]
    listed = (await http.get("/api/approvals")).json()["approvals"]
    assert len(listed) == 2 and {each["schema"] for each in listed} == {None}
    assert (await http.get(f"/api/approvals/{listed[0]['id']}")).json()["schema"] == ORDER
    long = await run(media, "5", json.dumps({"n": 1, "x": "y" * 20_000}), "shop__refund")
    assert long[0] == "failed" and "too long" in long[1]["error"]


async def test_who_follows_sees_it_at_once_and_misses_nothing(edge: Edge, shop: McpServer) -> None:
    http, _, _ = await bound(edge, shop)
    media = await on_call(edge)
    stream = follow(http)
    first = await anext(stream)
    assert first.event == "resync" and first.id
    await asks(media)
    seen = await anext(stream)
    assert (seen.event, seen.data["state"], seen.data["tool"]) == ("approval", "pending", "shop__refund")
    await stream.aclose()  # type: ignore[attr-defined]
    await http.post(f"/api/approvals/{seen.data['id']}/deny", json={})
    again = follow(http, first.id)
    later = await anext(again)
    assert (later.data["id"], later.data["state"]) == (seen.data["id"], "denied"), "as it is now"
    await again.aclose()  # type: ignore[attr-defined]
    stranger = await edge.client("Stranger")
    assert (await stranger.get("/api/approvals")).json()["approvals"] == []
    assert (await stranger.get(f"/api/approvals/{seen.data['id']}")).status_code == 404
    assert (await stranger.post(f"/api/approvals/{seen.data['id']}/deny", json={})).status_code == 404


async def follow(http: httpx.AsyncClient, last: int | None = None) -> AsyncIterator[Sent]:
    headers = {"Last-Event-ID": str(last)} if last is not None else {}
    async with http.stream("GET", "/api/approvals/stream", headers=headers, timeout=60) as answer:
        assert answer.status_code == 200, await answer.aread()
        found: dict[str, str] = {}
        async for line in answer.aiter_lines():
            if line and not line.startswith(":"):
                name, _, value = line.partition(": ")
                found[name] = value
            elif "event" in found:
                yield Sent(found["event"], json.loads(found["data"]), int(found["id"]) if "id" in found else None)
                found = {}
