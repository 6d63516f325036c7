"""`GET /api/events`: what happened, for clients that poll; and its types, as docs and protos list them."""

from pathlib import Path
from typing import Any

from hum import ids
from hum.contract import eventtypes
from hum.contract.authorization import scoped_accesses
from hum.v1 import calls_pb2, events_pb2, runtime_pb2
from storage import events
from tests.contract.conftest import Edge
from tests.contract.test_live_stream import in_progress
from tests.contract.test_tools import SCHEMA, run

PAGE = Path(__file__).parents[2] / "docs/events.md"


async def seen(http: Any, **query: Any) -> list[dict[str, Any]]:
    answer = await http.get("/api/events", params=query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["events"]
    return found


async def test_a_call_is_told_from_beginning_to_end(edge: Edge) -> None:
    http, media, call_id = await in_progress(edge, outcome_schema_json=SCHEMA)
    assert await run(media, "1", '{"booked": true}') == ("ok", {"recorded": True})
    await media.acknowledged(media.report(ended=runtime_pb2.StreamEnded(reason="caller", at_ms=9000)))
    started, outcome, completed = await seen(http)
    assert [each["type"] for each in (started, outcome, completed)] == [
        "call.started",
        "call.outcome",
        "call.completed",
    ]
    assert {each["organization_id"] for each in (started, outcome, completed)} == {
        (await http.get("/api/organization")).json()["id"]
    }
    call = (await http.get(f"/api/calls/{call_id}")).json()
    assert started["data"] == {
        name: call[name] for name in ("direction", "from", "to", "number_id", "flow_id", "flow_version")
    } | {"call_id": call_id, "contact_id": call["contact"]["id"], "started_at": call["answered_at"]}
    reported = {"outcome": {"booked": True}, "source": "agent", "correction": False}
    assert outcome["data"] == {"call_id": call_id, **reported}
    assert {name: completed["data"][name] for name in ("status", "reason", "ended_at", "duration_seconds")} == {
        "status": "completed",
        "reason": "caller",
        "ended_at": call["ended_at"],
        "duration_seconds": call["duration_seconds"],
    }
    assert "transcript.turn" not in {each["type"] for each in await seen(http)}, "that is the call's own stream"


async def append(edge: Edge, org: str, *counts: int) -> None:
    id = ids.require(ids.Kind.ORGANIZATION, org)
    async with edge.plane.control.db.tenant(id) as tx:
        for count in counts:
            await events.append(tx, id, id, events_pb2.VoicemailReceivedEvent(duration_ms=count))
            await events.append(tx, id, id, events_pb2.ContactsImportedEvent(created=count))  # not for customers


async def test_who_keeps_the_last_id_misses_nothing_and_sees_nothing_twice(edge: Edge) -> None:
    http = await edge.client()
    org = (await http.get("/api/organization")).json()["id"]
    await append(edge, org, *range(7))
    found: list[dict[str, Any]] = []
    while True:
        answer = (await http.get("/api/events", params={"limit": 3, "after": found[-1]["id"] if found else ""})).json()
        found += answer["events"]
        if not answer["has_more"]:
            break
    assert [each["data"]["duration_ms"] for each in found] == list(range(7))
    assert await seen(http, after=found[-1]["id"]) == []
    id = ids.require(ids.Kind.ORGANIZATION, org)
    async with edge.plane.control.db.tenant(id) as late:
        await events.append(late, id, id, events_pb2.VoicemailReceivedEvent(duration_ms=100))
        await append(edge, org, 101)
        assert await seen(http, after=found[-1]["id"]) == [], "behind an open transaction nothing is certain yet"
    rest = await seen(http, after=found[-1]["id"])
    assert sorted(each["data"]["duration_ms"] for each in rest) == [100, 101]


async def test_who_looks_back_sees_the_latest_first_and_all_of_them_once(edge: Edge) -> None:
    http = await edge.client()
    org = (await http.get("/api/organization")).json()["id"]
    await append(edge, org, 1, 2, 3, 4, 5)
    pages: list[list[int]] = []
    after = ""
    while True:
        answer = (await http.get("/api/events", params={"newest_first": True, "limit": 2, "after": after})).json()
        pages.append([each["data"]["duration_ms"] for each in answer["events"]])
        if not answer["has_more"]:
            break
        after = answer["events"][-1]["id"]
    assert pages == [[5, 4], [3, 2], [1]]
    assert await seen(http, newest_first=True, type="sms.received") == []


async def test_types_are_chosen_and_strangers_see_nothing(edge: Edge) -> None:
    http, other = await edge.client(), await edge.client("Other")
    await append(edge, (await http.get("/api/organization")).json()["id"], 1)
    (event,) = await seen(http, type=["voicemail.received", "call.started"])
    assert await seen(http, type="call.started") == []
    assert await seen(other) == []
    for query, reason in (
        ({"after": event["id"]}, "invalid_cursor"),
        ({"after": "evt_nothing"}, "invalid_cursor"),
        ({"type": "contacts.imported"}, "invalid_request"),
        ({"type": "nothing"}, "invalid_request"),
    ):
        answer = await other.get("/api/events", params=query)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, reason), query
    reader = await edge.client("Third", scopes=("calls:read",))
    assert (await reader.get("/api/events")).status_code == 403


def test_the_page_says_what_the_protos_say() -> None:
    assert PAGE.read_text() == eventtypes.as_markdown(), "run `make docs`"


def test_every_event_is_documented_and_versioned() -> None:
    types = eventtypes.by_name()
    assert {"call.started", "call.completed", "call.outcome", "call.summary"} <= set(eventtypes.visible())
    for each in types.values():
        assert each.version >= 1 and "." in each.name
        assert each.message.name.endswith("Event"), each.name
    assert "| |" not in PAGE.read_text().replace("| number.released", ""), "each type says when it happens"
    assert calls_pb2.CallEnded.DESCRIPTOR not in {each.message for each in types.values()}


async def test_a_key_reads_the_events_of_what_it_may_read(edge: Edge) -> None:
    http, media, _ = await in_progress(edge)
    await media.acknowledged(media.report(ended=runtime_pb2.StreamEnded(reason="caller", at_ms=9000)))
    assert {each["type"] for each in await seen(http)} == {"call.started", "call.completed"}
    async with (
        await edge.key(http, "webhooks:read") as hooks_alone,
        await edge.key(http, "webhooks:read", "calls:read") as calls_too,
    ):
        assert await seen(hooks_alone) == []
        assert {each["type"] for each in await seen(calls_too)} == {"call.started", "call.completed"}
        refused = await hooks_alone.get("/api/events", params={"type": "call.completed"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "insufficient_scope")


def test_each_event_that_customers_see_has_a_scope() -> None:
    scopes = {access.scope for access in scoped_accesses()}
    for type in eventtypes.by_name().values():
        assert (type.scope in scopes) is type.visible, type.name
