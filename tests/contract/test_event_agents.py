"""Event agents over REST: which flows may be written, and what is listed of their runs; and the examples of docs/event-agents.md."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from control import readers
from control.app import build_worker
from control.clients.openai import OpenAI
from control.eventagents import starting
from control.feature import ExternalClients, Reader
from hum import ids
from hum.contract import eventtypes
from hum.ids import Kind
from hum.settings import ControlSettings
from sandbox.openai import Model, Script
from storage import event_runs
from storage.event_runs import EventRunFinish
from storage.events import ReaderStart
from tests.contract.conftest import Edge
from tests.contract.httptools.conftest import serving
from tests.contract.test_events import seen
from tests.contract.test_triggers_page import run as run_block
from tests.control.conftest import FakeCarrier, Silent
from tests.control.eventagents.conftest import LIMITS
from tests.support.waits import patience

PAGE = (Path(__file__).parents[2] / "docs/event-agents.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
FLOW = {"name": "Orders", "channel": "sms", "trigger_type": "event", "trigger_events": ["external.paid"]}


async def made(http: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await http.post("/api/flows", json=FLOW | fields)
    assert answer.status_code == 201, answer.text
    flow: dict[str, Any] = answer.json()
    return flow


async def posted(edge: Edge, http: httpx.AsyncClient, *orders: int) -> str:
    """A trigger to which these orders are posted."""
    trigger = (await http.post("/api/triggers", json={"name": "Shop", "event": "external.paid"})).json()
    async with httpx.AsyncClient(base_url=edge.url, trust_env=False) as sender:
        for order in orders:
            assert (await sender.post(f"/hooks/{trigger['token']}", json={"order": order})).status_code == 202
    return str(trigger["id"])


async def started(edge: Edge, count: int) -> None:
    """Read the outbox until so many runs are there; other tests' transactions hold the horizon up."""
    db, types = edge.plane.control.db, frozenset(eventtypes.visible())
    reader = Reader("event_agents", ReaderStart.BEGINNING, types, partial(starting.start, limits=LIMITS), 1.0)
    async with patience():
        while True:
            await readers.read(db, reader)
            async with db.system() as tx:
                if await tx.fetchval("SELECT count(*) FROM event_runs") >= count:
                    return
            await asyncio.sleep(0.02)


async def test_a_flow_names_events_that_there_are(edge: Edge) -> None:
    http = await edge.client()
    flow = await made(http, trigger_events=["external.paid", "external.*", "call.completed"])
    assert (flow["trigger_type"], flow["trigger_events"][1]) == ("event", "external.*")
    for bad, path in (
        (["call.compleeted"], "trigger_events[0]"),
        (["external.paid", "flow.updated"], "trigger_events[1]"),  # customers don't see it
        (["external.", "external.paid"], "trigger_events[0]"),
        (["*"], "trigger_events[0]"),
        (["sms.*"], "trigger_events[0]"),
        ([f"external.e{n}" for n in range(51)], "trigger_events"),
    ):
        for verb, where in (("POST", "/api/flows"), ("PATCH", f"/api/flows/{flow['id']}")):
            answer = await http.request(verb, where, json=FLOW | {"trigger_events": bad})
            assert answer.status_code == 400, (bad, answer.text)
            assert any(path in each["field"] for each in answer.json()["error"]["details"]), answer.text
    kept = (await http.get(f"/api/flows/{flow['id']}")).json()
    assert (kept["version"], kept["trigger_events"]) == (1, flow["trigger_events"])


async def test_the_copy_of_a_flow_is_started_by_nothing_until_somebody_says_so(edge: Edge) -> None:
    http = await edge.client()
    flow = await made(http)
    copy = (await http.post(f"/api/flows/{flow['id']}/duplicate")).json()
    assert (copy["trigger_type"], copy["trigger_events"]) == ("message", ["external.paid"])
    trigger = await posted(edge, http, 1)
    await started(edge, 1)
    (delivery,) = (await http.get(f"/api/triggers/{trigger}/deliveries")).json()["deliveries"]
    assert [run["flow_id"] for run in delivery["runs"]] == [flow["id"]]


async def test_an_organization_has_so_many_flows_that_events_start(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("control.flows.flowchecks.MOST_STARTED_BY_EVENTS", 2)
    http = await edge.client()
    first, _ = await made(http), await made(http)
    answer = await http.post("/api/flows", json=FLOW)
    assert answer.status_code == 400 and "2 flows already" in answer.text
    assert (await http.patch(f"/api/flows/{first['id']}", json={"system_prompt": "New."})).status_code == 200
    assert (await http.patch(f"/api/flows/{first['id']}", json={"trigger_type": "message"})).status_code == 200
    await made(http)


async def test_runs_are_listed_in_pages_with_filters_and_one_has_its_tools(edge: Edge) -> None:
    http, db = await edge.client(), edge.plane.control.db
    flow = await made(http)
    trigger = await posted(edge, http, 1, 2, 3)
    await started(edge, 3)
    path = f"/api/flows/{flow['id']}/runs"
    first = (await http.get(path, params={"limit": 2})).json()
    second = (await http.get(path, params={"limit": 2, "cursor": first["next_cursor"]})).json()
    runs = [*first["runs"], *second["runs"]]
    assert [len(first["runs"]), len(second["runs"]), second["next_cursor"]] == [2, 1, None]
    assert [run["id"] for run in runs] == sorted((run["id"] for run in runs), reverse=True)
    assert {(run["status"], run["event_type"], run["depth"]) for run in runs} == {("waiting", "external.paid", 0)}
    deliveries = (await http.get(f"/api/triggers/{trigger}/deliveries")).json()["deliveries"]
    assert {(each["event_id"], each["runs"][0]["id"]) for each in deliveries} == {
        (run["event_id"], run["id"]) for run in runs
    }
    id = ids.require(Kind.RUN, runs[0]["id"])
    async with db.system() as tx:
        await tx.execute(
            "INSERT INTO tool_runs (id, org_id, channel, purpose, run_id, tool_call_id, name, kind, arguments, status)"
            " SELECT gen_random_uuid(), org_id, 'event', 'agent', id, 'call_1', 'ship', 'http', '{\"order\": 3}',"
            " 'running' FROM event_runs WHERE id = $1",
            id,
        )
        await event_runs.finish(tx, id, EventRunFinish("failed", "interrupted"))
    one = (await http.get(f"{path}/{runs[0]['id']}")).json()
    assert (one["status"], one["reason"]) == ("failed", "interrupted")
    (execution,) = (await http.get("/api/tool-executions", params={"tool": "ship"})).json()["executions"]
    assert (execution["run_id"], execution["call_id"], execution["conversation_id"]) == (runs[0]["id"], None, None)
    (tool,) = one["tool_activity"]
    assert (tool["name"], tool["arguments"], tool["status"]) == ("ship", {"order": 3}, "lost")
    async with await edge.key(http, "flows:read") as reader:  # the event is for `integrations:read`
        unread = (await reader.get(f"{path}/{runs[0]['id']}")).json()
        assert (unread["status"], unread["tool_activity"]) == ("failed", [])
    async with await edge.key(http, "integrations:read") as reader:
        listed = (await reader.get("/api/tool-executions", params={"tool": "ship"})).json()["executions"]
        assert [(each["id"], each["arguments"]) for each in listed] == [(execution["id"], {"not_shown": True})]
    async with db.system() as tx:
        await event_runs.await_approval(
            tx, ids.require(Kind.RUN, runs[1]["id"]), EventRunFinish("completed", None, "It waits.")
        )
    waits = (await http.get(f"{path}/{runs[1]['id']}")).json()
    assert (waits["status"], waits["result"], waits["finished_at"]) == ("waiting_for_approval", "It waits.", None)
    for scopes, result in ((("flows:read",), None), (("flows:read", "integrations:read"), "It waits.")):
        async with await edge.key(http, *scopes) as reader:
            (listed,) = (await reader.get(path, params={"status": "waiting_for_approval"})).json()["runs"]
            assert listed["result"] == result
    for query, count in (
        ({"status": "failed"}, 1),
        ({"status": "waiting"}, 1),
        ({"status": "waiting_for_approval"}, 1),
        ({"type": "external.paid"}, 3),
        ({"type": "external.x"}, 0),
        ({"event_id": runs[1]["event_id"]}, 1),
    ):
        assert len((await http.get(path, params=query)).json()["runs"]) == count, query
    for bad, status in (
        (f"{path}?status=x", 400),
        (f"{path}?event_id=x", 404),
        (f"{path}?cursor=x", 400),
        (f"{path}/{ids.show(Kind.RUN, ids.new())}", 404),
        (f"{path}/x%00y", 400),
        (f"/api/flows/{(await made(http))['id']}/runs/{runs[0]['id']}", 404),
        (f"/api/flows/{ids.show(Kind.FLOW, ids.new())}/runs", 404),
    ):
        assert (await http.get(bad)).status_code == status, bad
    stranger = await edge.client("Stranger")
    assert (await stranger.get(path)).status_code == 404
    assert (await stranger.get(f"{path}/{runs[0]['id']}")).status_code == 404
    narrow = await edge.client("Narrow", "viewer", ("calls:read",))
    assert (await narrow.get(path)).status_code == 403


SCRIPT: dict[str, Any] = {
    "rules": [
        {"when": '"order": 7', "call": {"name": "report_outcome", "arguments": {"needs_a_look": True}}},
        {"when": "order_paid", "say": "Nothing to do."},
    ]
}


@asynccontextmanager
async def worker(edge: Edge, home: Path, script: dict[str, Any]) -> AsyncIterator[None]:
    """A worker beside the edge, whose model follows a script."""
    async with Model.serve(api_key="k", script=Script.of(script)) as model:
        settings = ControlSettings(
            home=home,
            openai_api_key="k",
            openai_base_url=model.url,
            event_run_read_seconds=0.02,
            egress_allow="127.0.0.0/8",
        )
        responder, stop = OpenAI(settings, 20), asyncio.Event()
        clients = ExternalClients(FakeCarrier(), Silent(), Silent(), Silent(), Silent(), responder)
        async with build_worker(settings, edge.plane.control.db.url, clients) as made:
            working = asyncio.create_task(made.run(stop))
            async with patience():  # it reads what happens from when it begins
                while not await _has_begun(edge):
                    await asyncio.sleep(0.02)
            yield
            stop.set()
            await working
        await responder.close()


@pytest.mark.interop
async def test_the_examples_do_what_the_page_says(edge: Edge, tmp_path: Path) -> None:
    http = await edge.client()
    make, post, look = BLOCKS
    env = {"HUM": edge.url, "KEY": http.headers["authorization"].removeprefix("Bearer ")}
    async with worker(edge, tmp_path, SCRIPT):
        flow = json.loads(await run_block("sh", make, env))
        trigger = (await http.post("/api/triggers", json={"name": "Shop", "event": "external.order_paid"})).json()
        await run_block("sh", post, {"HOOK_URL": f"{edge.url}/hooks/{trigger['token']}"})
        found: list[dict[str, Any]] = []
        async with patience():
            while not found:
                found = json.loads(await run_block("sh", look, env | {"FLOW_ID": flow["id"]}))["runs"]
    (run,) = found
    assert run["outcome"] == {"needs_a_look": True} and run["result"]
    (tool,) = (await http.get(f"/api/flows/{flow['id']}/runs/{run['id']}")).json()["tool_activity"]
    assert (tool["name"], tool["status"]) == ("report_outcome", "ok")
    (told,) = await seen(http, type="agent.run_completed")
    assert (told["data"]["run_id"], told["data"]["outcome"]) == (run["id"], run["outcome"])


@pytest.mark.interop
async def test_a_run_waits_for_a_person_and_goes_on(edge: Edge, tmp_path: Path) -> None:
    """By a worker, with a customer's tool."""
    http, script = await edge.client(), {"texts": [{"call": {"name": "refund", "arguments": {"order": 9}}},
                                                   {"say": "It waits."}, {"say": "Refunded."}]}  # fmt: skip
    order = {"type": "object", "properties": {"order": {"type": "integer"}}, "required": ["order"]}
    async with serving() as shop, worker(edge, tmp_path, script):
        flow = await made(http)
        wish = {"name": "refund", "description": "Refunds.", "method": "POST", "url": f"{shop.url}/refunds"}
        more = {"parameters_json": order, "body_json": {"order": "{{ args.order }}"}, "requires_approval": True}
        tool = (await http.post("/api/tools", json=wish | more)).json()
        bound = await http.post(f"/api/flows/{flow['id']}/tools", json={"tool_id": tool["id"]})
        assert bound.status_code == 201, bound.text
        await posted(edge, http, 9)
        (run,) = await until_status(http, flow, "waiting_for_approval")
        (approval,) = (await http.get("/api/approvals", params={"state": "pending"})).json()["approvals"]
        assert (approval["run_id"], approval["flow_id"], approval["call_id"]) == (run["id"], flow["id"], None)
        assert (run["result"], approval["arguments"], shop.asked) == ("It waits.", {"order": 9}, [])
        decided = await http.post(f"/api/approvals/{approval['id']}/approve", json={"arguments": {"order": 10}})
        assert decided.status_code == 200, decided.text
        (run,) = await until_status(http, flow, "completed")
    assert [(method, path, json.loads(body)) for method, path, body, _ in shop.asked] == [
        ("POST", "/refunds", {"order": 10})
    ]
    assert (run["result"], (await http.get(f"/api/approvals/{approval['id']}")).json()["state"]) == (
        "Refunded.",
        "done",
    )
    executions = (await http.get("/api/tool-executions")).json()["executions"]
    assert [(each["run_id"], each["approval_id"]) for each in executions] == [
        (run["id"], approval["id"]),
        (run["id"], None),
    ]
    assert len(await seen(http, type="agent.run_completed")) == 1


async def until_status(http: httpx.AsyncClient, flow: dict[str, Any], status: str) -> list[dict[str, Any]]:
    """The flow's runs, once there is one with this status."""
    async with patience():
        while True:
            answer = await http.get(f"/api/flows/{flow['id']}/runs", params={"status": status})
            found: list[dict[str, Any]] = answer.json()["runs"]
            if found:
                return found
            await asyncio.sleep(0.05)


async def _has_begun(edge: Edge) -> bool:
    async with edge.plane.control.db.system() as tx:
        return bool(await tx.fetchval("SELECT true FROM event_cursors WHERE reader = $1", starting.READER))
