"""CRM connectors over REST, and a live call whose caller a CRM knows."""

import asyncio
import base64
import json
from typing import Any

import httpx
import pytest
from aiohttp import web

from tests.contract.conftest import Edge
from tests.contract.test_carrier_webhooks import CALL, flow_with_number, post
from tests.contract.test_contacts import opened
from tests.contract.test_live_stream import answered
from tests.control.conftest import UNLIMITED
from tests.control.crm.conftest import Crm, answers, serving
from tests.support.cases import in_turn

LOOKUP = "/contacts/lookup"
ADA = {"found": True, "contact": {"id": "4711", "name": "Ada Lovelace", "attributes": {"plan": "gold"}}}
CONNECTOR = {"name": "Ours", "base_url": "https://crm.example/hum/"}


@pytest.fixture
def limits() -> dict[str, Any]:
    return {
        **UNLIMITED,
        "egress_allow": "127.0.0.0/8",
        "crm_connectors": 3,
        "crm_failures": 2,
        "crm_inform_retry_seconds": 0.01,
    }


async def connect(http: httpx.AsyncClient, one: Crm, **fields: Any) -> dict[str, Any]:
    made = await http.post("/api/crm-connectors", json={"name": "Ours", "base_url": one.url, **fields})
    assert made.status_code == 201, made.text
    connector: dict[str, Any] = made.json()
    one.secrets[:] = [connector["secret"]]
    return connector


async def test_a_connector_is_made_changed_and_deleted(edge: Edge) -> None:
    http = await edge.client()
    made = (await http.post("/api/crm-connectors", json=CONNECTOR)).json()
    secret = made.pop("secret")
    assert secret.startswith("crmsec_") and len(secret) > 40
    assert {name: made[name] for name in made if name not in {"id", "created_at", "updated_at"}} == {
        "name": "Ours",
        "base_url": "https://crm.example/hum",
        "enabled": True,
        "position": 1,
        "timeout_ms": 4000,
        "create_contacts": False,
        "sync_calls": True,
        "sync_conversations": False,
        "old_secret_expires_at": None,
        "status": "ok",
        "failure": None,
        "failing_since": None,
        "rests_until": None,
    }
    path = f"/api/crm-connectors/{made['id']}"
    assert (await http.get(path)).json() == made | {"secret": None}
    changed = (await http.patch(path, json={"create_contacts": 1, "timeout_ms": 30_000, "enabled": False})).json()
    assert (changed["create_contacts"], changed["timeout_ms"], changed["enabled"]) == (True, 30_000, False)
    assert (await http.patch(path, json={"timeout_ms": None})).json()["timeout_ms"] == 4000
    rotated = (await http.post(f"{path}/rotate-secret")).json()
    assert rotated["secret"] not in {secret, None} and rotated["old_secret_expires_at"]
    assert (await http.delete(path)).status_code == 204 and (await http.get(path)).status_code == 404


OWN = "whsec_" + base64.b64encode(bytes(range(24))).decode()


async def test_a_connector_may_have_a_secret_of_its_owner(edge: Edge) -> None:
    http = await edge.client()
    async with serving() as one:
        made = await http.post("/api/crm-connectors", json={"name": "Ours", "base_url": one.url, "secret": OWN})
        assert made.status_code == 201 and made.json()["secret"] == OWN
        path = f"/api/crm-connectors/{made.json()['id']}"
        one.secrets[:] = [OWN]
        assert (await http.post(f"{path}/ping")).json()["outcome"] == "ok"
        assert (await http.get(path)).json()["secret"] is None
        refused = await http.patch(path, json={"secret": OWN})
        assert refused.status_code == 400 and OWN not in refused.text
        other = OWN.replace("AAEC", "AAED")
        rotated = await http.post(f"{path}/rotate-secret", json={"secret": other})
        assert rotated.json()["secret"] == other
        one.secrets[:] = [other]
        ping = (await http.post(f"{path}/ping")).json()
        assert (ping["outcome"], ping["old_secret"]) == ("ok", False)


@in_turn(("secret",), ["", "whsec_", "whsec_c2hvcnQ=", "crmsec_" + "a" * 43, OWN[6:], "whsec_" + "A" * 200, f"!{OWN}"])
async def test_a_secret_that_is_none_changes_nothing(edge: Edge, secret: str) -> None:
    http = await edge.client()
    made = (await http.post("/api/crm-connectors", json=CONNECTOR)).json()
    path = f"/api/crm-connectors/{made['id']}"
    for refused in (
        await http.post("/api/crm-connectors", json=CONNECTOR | {"secret": secret}),
        await http.post(f"{path}/rotate-secret", json={"secret": secret}),
    ):
        assert refused.status_code == 400 and refused.json()["error"]["details"][0]["field"].endswith("secret")
    assert (await http.get(path)).json() == made | {"secret": None}
    assert len((await http.get("/api/crm-connectors")).json()["connectors"]) == 1
    await http.delete(path)


async def test_connectors_have_an_order_without_gaps_and_a_limit(edge: Edge) -> None:
    http = await edge.client()

    async def order() -> list[tuple[str, int]]:
        pages, cursor = list[tuple[str, int]](), ""
        while True:
            page = (await http.get("/api/crm-connectors", params={"limit": 2, "cursor": cursor})).json()
            pages += [(each["name"], each["position"]) for each in page["connectors"]]
            if not (cursor := page["next_cursor"] or ""):
                return pages

    a, b, c = [(await http.post("/api/crm-connectors", json=CONNECTOR | {"name": n})).json()["id"] for n in "abc"]
    assert await order() == [("a", 1), ("b", 2), ("c", 3)]
    assert (await http.post("/api/crm-connectors", json=CONNECTOR)).json()["error"]["code"] == "plan_limit"
    assert (await http.patch(f"/api/crm-connectors/{c}", json={"position": 1})).json()["position"] == 1
    assert await order() == [("c", 1), ("a", 2), ("b", 3)]
    await http.delete(f"/api/crm-connectors/{a}")
    assert await order() == [("c", 1), ("b", 2)]
    await http.patch(f"/api/crm-connectors/{c}", json={"position": 900})
    assert await order() == [("b", 1), ("c", 2)] and b != c


@in_turn(
    ("field", "value"),
    [
        ("base_url", "ftp://crm.example"),
        ("base_url", "https://user:secret@crm.example"),
        ("base_url", "https://crm.example/?a=b"),
        ("base_url", "https://2130706433/"),
        ("base_url", f"https://crm.example/{'x' * 2000}"),
        ("timeout_ms", 30_001),
        ("timeout_ms", 0),
        ("position", 0),
        ("name", ""),
        ("secret", "mine"),
        ("status", "ok"),
    ],
)
async def test_what_is_not_valid_is_named(edge: Edge, field: str, value: Any) -> None:
    answer = await (await edge.client()).post("/api/crm-connectors", json=CONNECTOR | {field: value})
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["details"][0]["field"].endswith(field)


async def test_a_repeated_request_makes_one_connector_and_shows_no_secret_again(edge: Edge) -> None:
    http, key = await edge.client(), {"Idempotency-Key": "k"}
    first = await http.post("/api/crm-connectors", json=CONNECTOR, headers=key)
    again = await http.post("/api/crm-connectors", json=CONNECTOR, headers=key)
    assert (first.status_code, again.status_code) == (201, 409)
    assert first.json()["secret"] not in again.text
    assert len((await http.get("/api/crm-connectors")).json()["connectors"]) == 1


async def test_a_ping_says_what_came_of_it_and_ends_a_rest(edge: Edge) -> None:
    http = await edge.client()
    async with serving() as one:
        path = f"/api/crm-connectors/{(await connect(http, one))['id']}"
        one.paths["/ping"] = answers("<h1>Bad gateway</h1>", 502)
        for _ in range(2):
            bad = await http.post(f"{path}/ping")
        assert (bad.status_code, bad.json()["outcome"], bad.json()["reason"]) == (200, "failed", "http_status")
        resting = (await http.get(path)).json()
        assert (resting["status"], resting["failure"]) == ("resting", "The connector answered 502.")
        assert resting["rests_until"] and resting["failing_since"]
        one.paths["/ping"] = answers({})
        good = (await http.post(f"{path}/ping")).json()
        assert (good["outcome"], good["status"], good["event"]) == ("ok", 200, "ping")
        assert (await http.get(path)).json()["status"] == "ok"
        logs = (await http.get(f"{path}/logs", params={"limit": 2})).json()
        assert logs["logs"][0] == good and logs["next_cursor"]
        rest = (await http.get(f"{path}/logs", params={"limit": 2, "cursor": logs["next_cursor"]})).json()
        assert [log["response_body"] for log in rest["logs"]] == ["<h1>Bad gateway</h1>"]


async def test_only_admins_change_connectors_and_read_what_was_sent(edge: Edge) -> None:
    http = await edge.client("Other", "operator")
    assert (await http.get("/api/crm-connectors")).status_code == 200
    assert (await http.post("/api/crm-connectors", json=CONNECTOR)).status_code == 403
    scoped = await edge.client("Third", "admin", ("calls:read",))
    assert (await scoped.get("/api/crm-connectors")).json()["error"]["code"] == "insufficient_scope"


async def test_a_call_is_answered_while_the_crm_is_silent_and_its_agent_is_told_then(edge: Edge) -> None:
    http, may_answer = await flow_with_number(edge), asyncio.Event()
    async with serving() as one:
        plain = answers(ADA)

        async def slow(request: web.Request) -> web.StreamResponse:
            await may_answer.wait()
            return await plain(request)

        one.paths[LOOKUP] = slow
        connector = await connect(http, one, timeout_ms=30_000)
        media = await answered(edge)
        call_id, session = media.call_id, media.session
        assert "Ada" not in session.instructions
        assert session.instructions.endswith(session.caller_context) and session.caller_context
        await one.came.wait()
        may_answer.set()
        early = await media.command()
        media.answer(early, "over")  # its session is only being opened
        command = await media.command()
        media.answer(command, "done")
        assert (command.call_id, command.WhichOneof("command")) == (call_id, "caller")
        assert command.caller.text.splitlines() == [
            "# Caller Context",
            "- name: Ada Lovelace",
            f"- phone: {CALL['From']}",
            '- attributes: {"plan": "gold"}',
        ]
        (contact,) = (await http.get("/api/contacts")).json()["contacts"]
        assert (contact["name"], contact["source"]["name"]) == ("Ada Lovelace", "crm")
        (log,) = (await http.get(f"/api/crm-connectors/{connector['id']}/logs?call_id={call_id}")).json()["logs"]
        assert (log["outcome"], log["contact_id"]) == ("ok", contact["id"])
        assert json.loads(log["request_body"]) == {
            "phone": CALL["From"],
            "direction": "inbound",
            "call_id": call_id,
        }
        for scopes, body in (
            (("integrations:read",), ""),
            (("integrations:read", "contacts:read"), log["request_body"]),
        ):
            async with await edge.key(http, *scopes) as reader:
                (seen,) = (await reader.get(f"/api/crm-connectors/{connector['id']}/logs?call_id={call_id}")).json()[
                    "logs"
                ]
                has_answer = seen["response_body"] is not None
                assert (seen["id"], seen["request_body"], has_answer) == (log["id"], body, bool(body))
        again = await post(edge, "/twilio/voice", {**CALL, "CallSid": "CA2"})
        assert "- name: Ada Lovelace" in await opened(edge, again.text, "CA2"), "the next call begins with it"
