"""Triggers over REST: made, posted to, and what came of it."""

import asyncio
import base64
import hashlib
import hmac
from datetime import timedelta
from typing import Any

import httpx
import pytest

from control.triggers import jobs
from control.webhooks import signing
from hum.clock import now
from hum.ids import Kind, require
from tests.contract.conftest import Edge
from tests.contract.test_events import seen
from tests.support.examples import examples

NEW = {"name": "Shop", "event": "external.order_paid"}
JSON = {"Content-Type": "application/json"}
DAY = timedelta(days=1)


async def made(http: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await http.post("/api/triggers", json={**NEW, **fields})
    assert answer.status_code == 201, answer.text
    trigger: dict[str, Any] = answer.json()
    return trigger


async def post(edge: Edge, trigger: dict[str, Any], **sent: Any) -> httpx.Response:
    """As a sender, who has nothing but the address."""
    async with httpx.AsyncClient(base_url=edge.url, trust_env=False) as sender:
        return await sender.post(f"/hooks/{trigger['token']}", **sent)


async def deliveries(http: httpx.AsyncClient, trigger: dict[str, Any]) -> list[dict[str, Any]]:
    answer = await http.get(f"/api/triggers/{trigger['id']}/deliveries")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["deliveries"]
    return found


def signature(secret: str, id: str, body: bytes, at: int | None = None) -> dict[str, str]:
    """The headers of Standard Webhooks, by its specification."""
    timestamp = str(at if at is not None else int(now().timestamp()))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{id}.{timestamp}.".encode() + body, hashlib.sha256)
    signed = f"v1a,AAAA v1,{base64.b64encode(digest).decode()}"
    return {"webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signed, **JSON}


async def test_what_is_posted_becomes_an_event(edge: Edge) -> None:
    http = await edge.client()
    trigger = await made(http)
    assert trigger["url"] == f"{edge.plane.settings.public_url}/hooks/{trigger['token']}"
    assert (trigger["enabled"], trigger["signed"], trigger["id_field"], trigger["secret"]) == (True, False, "id", None)
    body = b'{"order": {"no": 7, "total": 12.50}, "big": 9007199254740993}'
    answer = await post(edge, trigger, content=body, headers=JSON)
    assert answer.status_code == 202, answer.text
    (event,) = await seen(http, type="external.order_paid")
    assert (event["type"], event["version"]) == ("external.order_paid", 1)
    assert event["data"]["payload"] == {"order": {"no": 7, "total": 12.5}, "big": 9007199254740993}
    assert (event["data"]["trigger_id"], event["data"]["delivery_id"]) == (trigger["id"], answer.json()["id"])
    (delivery,) = await deliveries(http, trigger)
    assert delivery == {
        "id": answer.json()["id"],
        "event_id": event["id"],
        "event": "external.order_paid",
        "created_at": delivery["created_at"],
        "key_source": None,
        "key": None,
        "media_type": "application/json",
        "body_bytes": len(body),
        "has_body": True,
        "repeats": 0,
        "repeats_that_differ": 0,
        "repeated_at": None,
        "runs": [],
    }
    raw = (await http.get(f"/api/triggers/{trigger['id']}/bodies/{delivery['id']}")).json()
    assert raw == {"media_type": "application/json", "text": body.decode(), "base64": None}
    assert [each["id"] for each in await seen(http, type="external.*")] == [event["id"]]
    assert [each["id"] for each in await seen(http)] == [event["id"]], "made, changed, deleted: not for customers"
    assert await seen(http, type="external.order_lost") == []
    assert (await http.get("/api/triggers")).json()["triggers"][0]["last_received_at"] == delivery["created_at"]


async def test_an_event_of_a_trigger_is_not_posted_to_a_trigger_again(edge: Edge) -> None:
    """A webhook of `external.*` that posts to a trigger would make an event of each of its deliveries."""
    http = await edge.client()
    trigger = await made(http)
    secret = signing.new_secret()

    def delivery(event: str) -> dict[str, str]:
        return signing.headers(
            secrets=[secret], event_id=f"evt_{event}", event_type=event, delivery_id="d", timestamp=0, body=b"{}"
        )

    refused = await post(edge, trigger, content=b"{}", headers=delivery("external.order_paid"))
    assert refused.status_code == 400 and "without end" in refused.json()["error"]["message"]
    assert await deliveries(http, trigger) == []
    assert (await post(edge, trigger, content=b"{}", headers=delivery("call.completed"))).status_code == 202


async def test_the_token_is_shown_once_and_is_nowhere(edge: Edge, capfd: pytest.CaptureFixture[str]) -> None:
    http = await edge.client()
    trigger = await made(http, signed=True)
    shown = (await http.get(f"/api/triggers/{trigger['id']}")).json()
    assert (shown["token"], shown["url"], shown["secret"], shown["signed"]) == (None, None, None, True)
    assert (await post(edge, trigger, content=b"{}", headers=JSON)).status_code == 403
    async with httpx.AsyncClient(base_url=edge.url, trust_env=False) as sender:
        assert (await sender.get(f"/hooks/{trigger['token']}")).status_code == 405
        assert (await sender.post(f"/hooks/{trigger['token']}/more")).status_code == 404
        metrics = (await sender.get(f"{edge.metrics_url}/metrics")).text
    async with edge.plane.control.db.system() as tx:
        kept = [str(dict(row)) for table in ("triggers", "audit_log", "events", "idempotency_keys")
                for row in await tx.fetch(f"SELECT * FROM {table}")]  # fmt: skip
    written = capfd.readouterr()
    assert "/hooks/{token}" in written.out, "requests are logged by their route"
    texts = [written.out, written.err, metrics, *kept]
    for secret in (trigger["token"], trigger["secret"]):
        assert [text for text in texts if secret in text] == []


async def test_forms_and_empty_bodies_become_json(edge: Edge) -> None:
    http = await edge.client()
    trigger = await made(http)
    for sent in (
        {"data": {"name": "Åsa", "size": ["s", "m"], "note": ""}},
        {"content": b'{"from": "curl"}', "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
        {"content": b"[1, 2]", "headers": {"Content-Type": "application/vnd.shop+json; charset=utf-8"}},
        {},
    ):
        assert (await post(edge, trigger, **sent)).status_code == 202
    payloads = [each["data"]["payload"] for each in await seen(http)]
    assert payloads == [{"name": "Åsa", "size": ["s", "m"], "note": ""}, {"from": "curl"}, [1, 2], {}]


@pytest.mark.sampled
@pytest.mark.parametrize("public_socket", [{"ingress_seconds": 100.0}])
@pytest.mark.parametrize(
    "limits",
    [
        {
            "rate_burst": 1000,
            "trigger_rate_burst": 1000,
            "organization_rate_burst": 1000,
            "unknown_rate_burst": 1,  # they are one look-up of an unknown address
            "organization_wait_seconds": 100,
            "lock_seconds": 100,
        }
    ],
)
async def test_many_requests_with_one_key_are_one(edge: Edge) -> None:
    count = examples(100, 30)
    http = await edge.client()
    trigger = await made(http)
    url, headers = f"/hooks/{trigger['token']}", {**JSON, "Idempotency-Key": "order 7"}
    async with httpx.AsyncClient(base_url=edge.url, trust_env=False, timeout=110) as sender:
        answers = await asyncio.gather(*(sender.post(url, content=b'{"n":%d}' % (n % 2), headers=headers)
                                         for n in range(count)))  # fmt: skip
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert [answer.json()["repeated"] for answer in answers].count(False) == 1
    assert len(await seen(http)) == 1
    (delivery,) = await deliveries(http, trigger)
    assert (delivery["repeats"], delivery["repeats_that_differ"]) == (count - 1, count // 2)
    assert (delivery["key_source"], delivery["key"]) == ("idempotency-key", "order 7")


async def test_the_bodys_own_id_is_honoured_where_it_is_one(edge: Edge) -> None:
    http = await edge.client()
    by_id, by_ref, by_none = await made(http), await made(http, id_field="ref"), await made(http, id_field="")
    body = {"id": 1, "ref": "a"}
    first = (await post(edge, by_id, json=body)).json()
    assert (await post(edge, by_id, json={**body, "try": 2})).json() == {"id": first["id"], "repeated": True}
    assert (await post(edge, by_id, data={"id": "1"})).json()["id"] == first["id"], "the same in a form"
    assert not (await post(edge, by_id, json={"id": 2})).json()["repeated"]
    assert not (await post(edge, by_ref, json=body)).json()["repeated"], "keys are a trigger's own"
    assert (await post(edge, by_ref, json={"id": 2, "ref": "a"})).json()["repeated"]
    assert [(await post(edge, by_none, json=body)).json()["repeated"] for _ in range(2)] == [False, False]
    assert [each["repeats"] for each in await deliveries(http, by_id)] == [0, 2]


async def test_signed_requests_are_of_the_sender_and_of_now_and_count_once(edge: Edge) -> None:
    http = await edge.client()
    trigger = await made(http, signed=True)
    secret, body, at = trigger["secret"], b'{"a": 1}', int(now().timestamp())
    right = signature(secret, "msg_1", body)
    assert (await post(edge, trigger, content=body, headers=right)).status_code == 202
    again = await post(edge, trigger, content=body, headers={**right, "Idempotency-Key": "not signed"})
    assert again.json()["repeated"], "whoever recorded a request can't repeat it under another key"
    wrong = (
        JSON,
        {**right, "webhook-id": "msg_2"},
        {**right, "webhook-timestamp": str(at + 1)},
        {**right, "webhook-signature": "v1,AAAA"},
        signature(secret, "msg_3", b"{}"),
        signature(secret, "msg_3", body, at - 900),
        signature(secret, "msg_3", body, at + 900),
        signature("whsec_" + base64.b64encode(b"k" * 32).decode(), "msg_3", body),
    )
    for headers in wrong:
        answer = await post(edge, trigger, content=body, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden"), headers
    assert len(await deliveries(http, trigger)) == 1
    shown = (await http.get(f"/api/triggers/{trigger['id']}")).json()
    assert shown["last_refusal"] == "signature" and shown["last_refused_at"]


async def test_secrets_and_addresses_are_replaced_with_an_overlap_or_without(edge: Edge) -> None:
    http = await edge.client()
    trigger = await made(http)
    path = f"/api/triggers/{trigger['id']}"
    first = (await http.post(f"{path}/rotate-secret", json={})).json()["secret"]
    assert (await post(edge, trigger, json={})).status_code == 403, "it had none, and has one now"
    second = (await http.post(f"{path}/rotate-secret", json={"overlap_seconds": 60})).json()["secret"]
    for number, secret in enumerate((first, second)):
        sent = await post(edge, trigger, content=b"{}", headers=signature(secret, f"m{number}", b"{}"))
        assert sent.status_code == 202
    theirs = "whsec_" + base64.b64encode(b"s" * 24).decode()
    answer = await http.post(f"{path}/rotate-secret", json={"secret": theirs})
    assert answer.json()["secret"] == theirs
    for number, (secret, status) in enumerate(((first, 403), (second, 403), (theirs, 202))):
        sent = await post(edge, trigger, content=b"{}", headers=signature(secret, f"n{number}", b"{}"))
        assert sent.status_code == status
    assert (await http.post(f"{path}/rotate-secret", json={"secret": "whsec_short"})).status_code == 400
    assert (await http.delete(f"{path}/secret")).status_code == 204
    assert (await post(edge, trigger, json={})).status_code == 202

    newer = (await http.post(f"{path}/rotate-token", json={"overlap_seconds": 60})).json()
    assert [(await post(edge, each, json={})).status_code for each in (trigger, newer)] == [202, 202]
    newest = (await http.post(f"{path}/rotate-token", json={})).json()
    statuses = [(await post(edge, each, json={})).status_code for each in (trigger, newer, newest)]
    assert statuses == [404, 404, 202]


@pytest.mark.parametrize("limits", [{"rate_burst": 10_000, "unknown_rate_burst": 30, "unknown_rate_per_second": 0.01}])
async def test_strangers_learn_nothing_and_are_limited(edge: Edge) -> None:
    http = await edge.client()
    off, gone = await made(http, enabled=False), await made(http)
    assert (await http.delete(f"/api/triggers/{gone['id']}")).status_code == 204
    assert (await http.get(f"/api/triggers/{gone['id']}")).status_code == 404
    answers = [await post(edge, each, json={}) for each in (off, gone, {"token": "x" * 43}, {"token": "short"})]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.json()["error"]["message"] for answer in answers}) == 1
    on = await made(http)
    assert (await post(edge, on, json={})).status_code == 202
    async with httpx.AsyncClient(base_url=edge.url, trust_env=False) as stranger:
        for _ in range(40):
            if (answer := await stranger.post("/hooks/" + "y" * 43)).status_code == 429:
                break
    assert answer.status_code == 429 and int(answer.headers["retry-after"]) >= 1
    assert (await post(edge, on, json={})).status_code == 202, "who is known here is not limited by strangers"


async def test_bodies_that_are_refused(edge: Edge) -> None:
    http = await edge.client()
    trigger = await made(http)
    text = {"Content-Type": "text/plain"}
    for content, headers, status in (
        (b"{", JSON, 400),
        (b"\xff", JSON, 400),
        (b'{"a": NaN}', JSON, 400),
        (b"[" * 100 + b"]" * 100, JSON, 400),
        (b"&".join(b"a=%d" % n for n in range(1100)), {"Content-Type": "application/x-www-form-urlencoded"}, 400),
        (b"{}", text, 415),
        (b'"%s"' % (b"x" * (256 << 10)), JSON, 413),
        (b"{}", {**JSON, "Idempotency-Key": "x" * 256}, 400),
    ):
        answer = await post(edge, trigger, content=content, headers=headers)
        assert answer.status_code == status, (content[:20], answer.text)
    assert await deliveries(http, trigger) == []
    large = await post(edge, trigger, content=b'{"x": "%s"}' % (b"x" * (200 << 10)), headers=JSON)
    assert large.status_code == 202
    (event,) = await seen(http)
    assert (event["data"]["payload"], event["data"]["body_bytes"]) == (None, (200 << 10) + 9)
    raw = (await http.get(f"/api/triggers/{trigger['id']}/bodies/{large.json()['id']}")).json()
    assert len(raw["text"]) == event["data"]["body_bytes"]


async def test_triggers_are_changed_and_checked(edge: Edge) -> None:
    http = await edge.client()
    trigger = await made(http)
    for event in ("order.paid", "external.", "external.Order", "external.a b", "external.*", "external._a", "sms.sent"):
        assert (await http.post("/api/triggers", json={**NEW, "event": event})).status_code == 400, event
    answer = await http.patch(f"/api/triggers/{trigger['id']}", json={"event": "external.a.b", "enabled": 0})
    assert (answer.json()["event"], answer.json()["enabled"], answer.json()["name"]) == ("external.a.b", False, "Shop")
    assert (await http.patch(f"/api/triggers/{trigger['id']}", json={"signed": True})).status_code == 400
    viewer = await edge.client("Viewer", "viewer")
    assert (await viewer.post("/api/triggers", json=NEW)).status_code == 403
    key = {"Idempotency-Key": "once"}
    assert (await http.post("/api/triggers", json=NEW, headers=key)).status_code == 201
    repeated = await http.post("/api/triggers", json=NEW, headers=key)
    assert (repeated.status_code, repeated.json()["error"]["code"]) == (409, "idempotency_mismatch")
    listed = (await http.get("/api/triggers", params={"limit": 1})).json()
    rest = (await http.get("/api/triggers", params={"limit": 1, "cursor": listed["next_cursor"]})).json()
    assert rest["triggers"][0]["id"] == trigger["id"] and rest["next_cursor"] is None


async def test_bodies_deliveries_and_deleted_triggers_go_in_the_end(edge: Edge) -> None:
    http, db = await edge.client(), edge.plane.control.db
    trigger, kept = await made(http), await made(http)
    for each in (trigger, kept):
        assert (await post(edge, each, json={"id": 1})).status_code == 202
    await jobs.prune(db, DAY, DAY)
    assert [each["has_body"] for each in await deliveries(http, trigger)] == [True]
    async with db.system() as tx:
        await tx.execute("UPDATE trigger_deliveries SET created_at = created_at - interval '3 days'")
    await jobs.prune(db, DAY, 7 * DAY)
    (emptied,) = await deliveries(http, kept)
    assert (emptied["has_body"], emptied["key"], emptied["body_bytes"]) == (False, None, 8)
    assert (await http.get(f"/api/triggers/{kept['id']}/bodies/{emptied['id']}")).status_code == 404
    assert (await post(edge, kept, json={"id": 1})).json() == {"id": emptied["id"], "repeated": True}
    assert (await http.delete(f"/api/triggers/{trigger['id']}")).status_code == 204
    await jobs.prune(db, DAY, 7 * DAY)
    async with db.system() as tx:
        left = [row["id"] for row in await tx.fetch("SELECT id FROM triggers")]
        assert left == [require(Kind.TRIGGER, kept["id"])]
        assert await tx.fetchval("SELECT count(*) FROM trigger_deliveries") == 1
    await jobs.prune(db, DAY, DAY)
    assert await deliveries(http, kept) == []


SLOW = {"trigger_rate_burst": 3, "trigger_rate_per_second": 0.001, "organization_rate_per_second": 0.001}


@pytest.mark.parametrize("limits", [{"rate_burst": 1000, "organization_rate_burst": 5, **SLOW}])
async def test_each_trigger_has_a_limit_and_all_of_an_organization_have_one(edge: Edge) -> None:
    http = await edge.client()
    one, other, strangers = await made(http), await made(http), await made(await edge.client("Stranger"))
    assert [(await post(edge, one, json={})).status_code for _ in range(4)] == [202, 202, 202, 429]
    full = await post(edge, one, json={})
    assert (full.json()["error"]["code"], int(full.headers["retry-after"]) >= 1) == ("rate_limited", True)
    assert [(await post(edge, other, json={})).status_code for _ in range(3)] == [202, 202, 429], "five of both"
    assert (await post(edge, strangers, json={})).status_code == 202
    assert [len(await deliveries(http, each)) for each in (one, other)] == [3, 2]


@pytest.mark.parametrize("limits", [{"rate_burst": 1000, "trigger_day_bytes": 100, "unknown_rate_burst": 100}])
async def test_an_organization_has_so_many_bytes_a_day(edge: Edge) -> None:
    http = await edge.client()
    one, other = await made(http), await made(http)
    body = b'{"x": "%s"}' % (b"x" * 51)  # 60 bytes
    assert (await post(edge, one, content=body, headers=JSON)).status_code == 202
    over = await post(edge, other, content=body, headers=JSON)
    assert (over.status_code, "100 bytes today" in over.json()["error"]["message"]) == (429, True)
    assert await deliveries(http, other) == [] and len(await seen(http)) == 1, "nothing of it is kept"
    assert (await post(edge, other, content=body[:5] + b'"}', headers=JSON)).status_code == 400
    assert (await post(edge, other, content=b'{"x": 1}', headers=JSON)).status_code == 202, "there is room for less"
    stranger = await made(await edge.client("Stranger"))
    assert (await post(edge, stranger, content=body, headers=JSON)).status_code == 202
