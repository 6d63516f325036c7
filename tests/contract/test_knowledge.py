"""Knowledge over REST: documents added, replaced, searched; flows that name them; and an agent on a call that looks things up."""

import asyncio
import base64
import json
from dataclasses import replace
from typing import Any

import httpx
import pytest
from aiohttp import web

from control.app import build_worker
from control.clients.embeddings import Embeddings
from control.clients.http import GuardedClient
from control.knowledge.jobs import Conversions
from control.knowledge.search import DocumentSearch
from control.knowledge.vectors import VectorCache
from hum import ids
from hum.ids import Kind
from sandbox.openai import Model
from tests.contract.conftest import Edge
from tests.contract.test_carrier_webhooks import CALL
from tests.contract.test_live_stream import answered
from tests.contract.test_tools import joined, run
from tests.control.conftest import UNLIMITED, FakeCarrier, fake_clients
from tests.control.knowledge.documents import docx, pdf
from tests.support.cases import in_turn
from tests.support.httpserver import answering
from tests.support.waits import patience

RULES = "# Returns\n\nSend the parcel back within thirty days.\n\n# Parking\n\nBehind the house."
NEW = {"name": "House rules", "text": RULES, "format": "markdown"}


@pytest.fixture
def limits() -> dict[str, Any]:
    return {
        **UNLIMITED,
        "knowledge_documents": 4,
        "knowledge_bytes": 2 << 20,
        "egress_allow": "127.0.0.0/8",
    }


async def convert(edge: Edge, http: httpx.AsyncClient, id: str) -> dict[str, Any]:
    """Do what a worker does; return the document."""
    org = ids.require(Kind.ORGANIZATION, (await http.get("/api/me")).json()["organization"]["id"])
    web = GuardedClient.open(edge.plane.settings)
    await Conversions(edge.plane.control.db, web, None, edge.plane.settings).convert(
        org, ids.require(Kind.KNOWLEDGE, id)
    )
    await web.close()
    document: dict[str, Any] = (await http.get(f"/api/knowledge/{id}")).json()
    return document


async def ready(edge: Edge, http: httpx.AsyncClient, **fields: Any) -> str:
    made = await http.post("/api/knowledge", json=NEW | fields)
    assert made.status_code == 201, made.text
    document = await convert(edge, http, made.json()["id"])
    assert document["status"] == "ready", document
    return str(document["id"])


async def test_a_document_is_added_converted_changed_and_deleted(edge: Edge, charged: list[int]) -> None:
    http = await edge.client()
    made = (await http.post("/api/knowledge", json=NEW)).json()
    assert {name: made[name] for name in made if name not in {"id", "created_at", "updated_at"}} == {
        "name": "House rules",
        "language": "en",
        "url": None,
        "refetch_hours": 0,
        "format": "markdown",
        "status": "pending",
        "failure": None,
        "passages": 0,
        "embedded": False,
        "content_bytes": len(RULES),
        "converted_at": None,
        "next_fetch_at": None,
    }
    path = f"/api/knowledge/{made['id']}"
    document = await convert(edge, http, made["id"])
    assert (document["status"], document["passages"]) == ("ready", 2) and document["converted_at"]
    passages = (await http.get(f"{path}/passages", params={"limit": 1})).json()
    assert passages["passages"] == [
        {"heading": "Returns", "text": "Send the parcel back within thirty days.", "position": 1}
    ]
    (second,) = (await http.get(f"{path}/passages", params={"cursor": passages["next_cursor"]})).json()["passages"]
    assert second["heading"] == "Parking"

    charged.clear()
    changed = (await http.patch(path, json={"name": "Regeln", "language": "de"})).json()
    (stored,) = charged
    assert (changed["name"], changed["language"]) == ("Regeln", "de")
    found = (await http.post("/api/knowledge/search", json={"query": "Regel"})).json()["passages"]
    assert len(found) == 2, "the name counts, in the new language"
    charged.clear()
    assert (await http.patch(path, json={"refetch_hours": 0})).status_code == 200
    assert stored > charged[0] + 80, "passages that are indexed again count"
    assert (await http.patch(path, json={"language": None})).json()["language"] == "en"

    replaced = await http.post(f"{path}/content", json={"text": "Only Sundays.", "format": "text"})
    assert (replaced.status_code, replaced.json()["status"], replaced.json()["passages"]) == (202, "pending", 2)
    assert (await convert(edge, http, made["id"]))["passages"] == 1
    assert (await http.delete(path)).status_code == 204 and (await http.get(path)).status_code == 404
    assert (await http.post("/api/knowledge/search", json={"query": "Sundays"})).json()["passages"] == []


async def test_files_come_in_json_as_a_body_and_in_a_form(edge: Edge) -> None:
    http = await edge.client()
    file = pdf("We open at nine.")
    sent = [
        await http.post("/api/knowledge", json={"name": "One", "content": base64.b64encode(file).decode()}),
        await http.post(
            "/api/knowledge",
            params={"name": "Two"},
            content=file,
            headers={"Content-Type": "application/octet-stream"},
        ),
        await http.post(
            "/api/knowledge",
            data={"name": "Three", "language": "de"},
            files={"content": ("a.docx", docx((0, "Hi there.")), "application/octet-stream")},
        ),
    ]
    made = [await convert(edge, http, each.json()["id"]) for each in sent if each.status_code == 201]
    assert [(each["name"], each["format"], each["status"]) for each in made] == [
        ("One", "pdf", "ready"),
        ("Two", "pdf", "ready"),
        ("Three", "docx", "ready"),
    ]
    path = f"/api/knowledge/{made[0]['id']}/content"
    answer = await http.post(path, files={"content": ("b.pdf", pdf("We open at ten."), "application/pdf")})
    assert answer.status_code == 202, answer.text
    await convert(edge, http, made[0]["id"])
    (passage,) = (await http.get(f"/api/knowledge/{made[0]['id']}/passages")).json()["passages"]
    assert (passage["heading"], passage["text"]) == ("Page 1", "We open at ten.")


@in_turn(
    ("fields", "field"),
    [
        ({"text": None}, "content"),
        ({"url": "https://example.com/"}, "text"),
        ({"text": " \n"}, "text"),
        ({"text": None, "content": ""}, "content"),
        ({"format": "pdf"}, "format"),
        ({"format": "exe"}, "format"),
        ({"name": ""}, "name"),
        ({"name": " x"}, "name"),
        ({"name": None}, "name"),
        ({"language": "english please"}, "language"),
        ({"refetch_hours": 1}, "refetch_hours"),
        ({"text": None, "url": "https://example.com/", "refetch_hours": 721}, "refetch_hours"),
    ],
)
async def test_bad_input_changes_nothing(edge: Edge, fields: dict[str, Any], field: str) -> None:
    http = await edge.client()
    body = {name: value for name, value in (NEW | fields).items() if value is not None}
    answer = await http.post("/api/knowledge", json=body)
    assert answer.status_code == 400, answer.text
    assert field in {each["field"] for each in answer.json()["error"]["details"]}, answer.text
    assert (await http.get("/api/knowledge")).json()["documents"] == []


async def test_a_file_that_is_too_large_is_refused(edge: Edge) -> None:
    http = await edge.client()
    answer = await http.post("/api/knowledge", data={"name": "x"}, files={"content": ("a", b"x" * (3 << 20))})
    assert answer.status_code == 400 and "larger than" in answer.text
    answer = await http.post("/api/knowledge", data={"name": "x"}, files={"content": ("a", b"x" * (10 << 20))})
    assert answer.status_code == 413


async def test_an_organization_has_no_more_documents_than_it_may(edge: Edge) -> None:
    http = await edge.client()
    sent = await asyncio.gather(*(http.post("/api/knowledge", json=NEW) for _ in range(8)))
    assert sorted(each.status_code for each in sent) == [201] * 4 + [402] * 4, [each.text for each in sent]
    assert {each.json()["error"]["code"] for each in sent if each.status_code == 402} == {"plan_limit"}
    seen, cursor = [], ""
    while True:
        page = (await http.get("/api/knowledge", params={"limit": 3, "cursor": cursor})).json()
        seen += [each["id"] for each in page["documents"]]
        if not (cursor := page["next_cursor"] or ""):
            break
    assert len(seen) == len(set(seen)) == 4 and seen == sorted(seen, reverse=True)


async def test_a_page_is_fetched_when_one_asks_for_it(edge: Edge) -> None:
    http, texts = await edge.client(), ["<h1>Hours</h1><p>At nine.</p>", "<h1>Hours</h1><p>At ten.</p>"]

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=texts.pop(0), content_type="text/html")

    async with answering(page) as url:
        made = await http.post("/api/knowledge", json={"name": "Page", "url": f"{url}/hours", "refetch_hours": 24})
        path = f"/api/knowledge/{made.json()['id']}"
        document = await convert(edge, http, made.json()["id"])
        assert (document["format"], document["status"], document["url"]) == ("html", "ready", f"{url}/hours")
        assert document["next_fetch_at"] and (await http.post(f"{path}/content", json={"text": "x"})).status_code == 409
        assert (await http.patch(path, json={"refetch_hours": 0})).json()["next_fetch_at"] is None
        assert (await http.patch(path, json={"refetch_hours": 2})).json()["next_fetch_at"]
        for _ in range(2):  # the second is no second fetch
            assert (await http.post(f"{path}/refetch")).json()["status"] == "pending"
        await convert(edge, http, made.json()["id"])
    (passage,) = (await http.get(f"{path}/passages")).json()["passages"]
    assert passage["text"] == "At ten."
    sent = (await http.post("/api/knowledge", json=NEW)).json()["id"]
    assert (await http.post(f"/api/knowledge/{sent}/refetch")).status_code == 409
    assert (await http.patch(f"/api/knowledge/{sent}", json={"refetch_hours": 1})).status_code == 400


async def test_flows_name_documents_that_are_there_and_they_stay(edge: Edge) -> None:
    http, stranger = await edge.client(), await edge.client("Stranger")
    mine, theirs = await ready(edge, http), await ready(edge, stranger)
    for named in ("doc_x", theirs, ids.show(Kind.KNOWLEDGE, ids.new())):
        answer = await http.post("/api/flows", json={"name": "Desk", "knowledge_ids": [mine, named]})
        assert answer.status_code == 400, answer.text
        assert [each["field"] for each in answer.json()["error"]["details"]] == ["knowledge_ids[1]"]
    flow = (await http.post("/api/flows", json={"name": "Desk", "knowledge_ids": [mine]})).json()
    refused = await http.delete(f"/api/knowledge/{mine}")
    assert refused.status_code == 409 and "Desk" in refused.text and refused.json()["error"]["code"] == "in_use"
    assert (await http.patch(f"/api/flows/{flow['id']}", json={"knowledge_ids": []})).status_code == 200
    assert (await http.delete(f"/api/knowledge/{mine}")).status_code == 204
    search = await http.post("/api/knowledge/search", json={"query": "x", "knowledge_ids": [theirs]})
    assert search.status_code == 400 and "knowledge_ids[0]" in search.text


async def test_an_agent_without_documents_looks_nothing_up(edge: Edge) -> None:
    _, media, _ = await joined(edge)
    assert "lookup_knowledge" not in {tool.name for tool in media.session.tools}
    status, output = await run(media, "1", '{"question": "return a parcel"}', "lookup_knowledge")
    assert (status, output) == ("failed", {"error": "This tool is not available: the agent has no `knowledge_ids`."})


async def test_an_agent_finds_its_flows_documents_and_names_the_source(edge: Edge) -> None:
    http = await edge.client()
    mine = await ready(edge, http)
    await ready(edge, http, name="Secret", text="# Parcel\n\nNot for callers.")
    flow = (await http.post("/api/flows", json={"name": "F", "greeting": "Hi", "knowledge_ids": [mine]})).json()
    assert (await http.post("/api/numbers", json={"e164": CALL["To"], "flow_id": flow["id"]})).status_code == 201
    media = await answered(edge)
    await media.acknowledged(1)
    (tool,) = [tool for tool in media.session.tools if tool.name == "lookup_knowledge"]
    assert json.loads(tool.parameters_json)["required"] == ["question"] and tool.timeout_ms == 3000
    status, output = await run(media, "1", '{"question": "Can I return a parcel?"}', "lookup_knowledge")
    quote = {"source": "House rules", "heading": "Returns", "text": "Send the parcel back within thirty days."}
    assert (status, output) == ("ok", {"passages": [quote]})


@pytest.mark.calls
async def test_a_worker_converts_and_embeds_and_both_ways_find(edge: Edge) -> None:
    http, stop = await edge.client(), asyncio.Event()
    async with Model.serve(api_key="key") as model:
        settings = edge.plane.settings.model_copy(
            update={"worker_idle_seconds": 0.05, "openai_base_url": model.url, "openai_api_key": "key"}
        )
        embedder = Embeddings(settings, "text-embedding-3-small", 256)
        around = replace(fake_clients(FakeCarrier()), embedder=embedder)
        async with build_worker(settings, edge.plane.control.db.url, around) as worker:
            working = asyncio.create_task(worker.run(stop))
            made = (await http.post("/api/knowledge", json=NEW)).json()
            async with patience():
                while not (document := (await http.get(f"/api/knowledge/{made['id']}")).json())["embedded"]:
                    await asyncio.sleep(0.05)
            stop.set()
            await working
        assert (document["status"], document["passages"]) == ("ready", 2)
        org = ids.require(Kind.ORGANIZATION, (await http.get("/api/me")).json()["organization"]["id"])
        answer = await DocumentSearch(edge.plane.control.db, embedder, 10, VectorCache(1 << 20)).find(
            org, None, "returning parcels", 5
        )
        assert answer.by_meaning and answer.hits[0].row.heading == "Returns"
        assert (answer.hits[0].by_words, answer.hits[0].by_meaning) == (1, 1)
        await embedder.close()
    events = (await http.get("/api/events", params={"type": "knowledge.ready"})).json()["events"]
    assert [each["data"] for each in events] == [{"knowledge_id": made["id"], "passages": 2}]
