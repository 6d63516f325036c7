"""Webhooks over REST."""

from datetime import datetime, timedelta

from hum import ids
from hum.clock import now
from hum.ids import Kind
from tests.contract.conftest import Edge

URL = "https://hooks.example/hum"


async def test_a_webhook_from_its_making_to_its_end(edge: Edge) -> None:
    http, other = await edge.client(), await edge.client("Other")
    wish = {"url": URL, "events": ["sms.*"], "headers_json": {"Authorization": "Bearer abc"}}
    answer = await http.post("/api/webhooks", json=wish)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    path = f"/api/webhooks/{made['id']}"
    assert made["secret"].startswith("whsec_")
    assert (made["status"], made["enabled"], made["headers_json"]) == ("ok", True, {"Authorization": "********"})
    assert (await http.get(path)).json()["secret"] is None
    kept = {"headers_json": {"Authorization": "********", "X-More": "1"}, "enabled": False}
    changed = (await http.patch(path, json=kept)).json()
    assert (changed["status"], changed["disabled_reason"], changed["events"]) == ("disabled", "person", ["sms.*"])
    assert (await http.post(f"{path}/test", json={})).status_code == 409
    assert (await http.patch(path, json={"enabled": True})).json()["status"] == "ok"
    elsewhere = await http.patch(path, json={"url": "https://thief.example/hum"})
    # Whoever may change the URL does not learn what another server was trusted with.
    fields = [each["field"] for each in elsewhere.json()["error"]["details"]]
    assert (elsewhere.status_code, fields[0]) == (400, 'headers_json["Authorization"]')
    assert (await http.patch(path, json={"url": f"{URL}/other"})).status_code == 200
    rotated = (await http.post(f"{path}/rotate-secret", json={})).json()
    assert rotated["secret"] not in (None, made["secret"])
    assert rotated["previous_secret_expires_at"]
    sent = await http.post(f"{path}/test", json={})
    assert sent.status_code == 202
    delivery = f"{path}/deliveries/{sent.json()['id']}"
    assert '"type":"webhook.test"' in (await http.get(delivery)).json()["body"]
    assert [each["state"] for each in (await http.get(f"{path}/deliveries")).json()["deliveries"]] == ["pending"]
    assert (await http.post(f"{path}/replay", json={})).json() == {"queued": 0, "has_more": False}
    for verb, where in (("GET", path), ("GET", delivery), ("POST", f"{delivery}/redeliver"), ("DELETE", path)):
        assert (await other.request(verb, where)).status_code == 404, where
    assert (await http.delete(path)).status_code == 204
    assert (await http.get(path)).status_code == 404


async def test_what_is_refused(edge: Edge) -> None:
    http = await edge.client()
    for bad, field in (
        ({"url": "http://127.0.0.1/x"}, "webhook.url"),
        ({"url": "https://169.254.169.254/"}, "webhook.url"),
        ({"url": "https://[::ffff:10.0.0.1]/"}, "webhook.url"),
        ({"url": "https://2130706433/"}, "webhook.url"),
        ({"url": "https://u:p@hooks.example/"}, "webhook.url"),
        ({"url": URL, "events": ["sms.unknown"]}, "webhook.events[0]"),
        ({"url": URL, "headers_json": {"X-HUM-Signature": "x"}}, 'webhook.headers_json["X-HUM-Signature"]'),
        ({"url": URL, "headers_json": {"Host": "x"}}, 'webhook.headers_json["Host"]'),
        ({"url": URL, "preset": "slack"}, "webhook.url"),
        ({"url": URL, "preset": "nobody"}, "webhook.preset"),
        ({"url": URL, "number_ids": ["01HVN5J8Q0ZR4TB8M3C2Y7K6WD"]}, "webhook.number_ids[0]"),
    ):
        answer = await http.post("/api/webhooks", json=bad)
        assert answer.status_code == 400, bad
        assert any(each["field"].endswith(field.removeprefix("webhook.")) for each in answer.json()["error"]["details"])


async def test_presets_are_listed_and_fill_in_what_is_not_said(edge: Edge) -> None:
    http = await edge.client()
    presets = {each["name"]: each for each in (await http.get("/api/webhook-presets")).json()["presets"]}
    assert set(presets) == {"slack", "discord", "teams", "zapier", "make", "n8n", "crm"}
    for name, prefix in ((name, each["url_prefixes"][:1]) for name, each in presets.items()):
        url = f"{prefix[0] if prefix else 'https://hooks.example/'}T1/B2"
        answer = await http.post("/api/webhooks", json={"url": url, "preset": name})
        assert answer.status_code == 201, answer.text
        for field in ("format", "ordered", "events"):
            assert answer.json()[field] == presets[name][field], (name, field)
    slack = {"url": "https://hooks.slack.com/services/T1/B2", "preset": "slack", "events": ["call.summary"]}
    assert (await http.post("/api/webhooks", json=slack)).json()["events"] == ["call.summary"]


async def test_failing_is_shown_and_what_failed_since_a_time_is_sent_again(edge: Edge) -> None:
    http = await edge.client()
    path = f"/api/webhooks/{(await http.post('/api/webhooks', json={'url': URL})).json()['id']}"
    sent = [(await http.post(f"{path}/test", json={})).json()["id"] for _ in range(3)]
    async with edge.plane.control.db.system() as tx:
        await tx.execute(
            "UPDATE webhook_queues SET failing_since = now() - interval '2 days', last_failed_at = now(), failures = 7"
        )
        await tx.execute("UPDATE webhook_deliveries SET state = 'failed', due_at = NULL, ended_at = now()")
        await tx.execute(
            "UPDATE webhook_deliveries SET id = $2 WHERE id = $1",
            ids.require(Kind.DELIVERY, sent[0]),
            ids.lowest_at(now() - timedelta(days=3)),
        )
    shown = (await http.get(path)).json()
    assert shown["status"] == "failing" and shown["last_failed_at"]
    since, ends = (datetime.fromisoformat(shown[name]) for name in ("failing_since", "disables_at"))
    assert ends - since == timedelta(days=5)
    wish = {"since": (now() - timedelta(days=1)).isoformat(), "state": "failed"}
    assert (await http.post(f"{path}/replay", json=wish | {"state": "missed"})).json()["queued"] == 0
    assert (await http.post(f"{path}/replay", json=wish)).json() == {"queued": 2, "has_more": False}
    states = [each["state"] for each in (await http.get(f"{path}/deliveries")).json()["deliveries"]]
    assert states == ["pending", "pending", "failed"]
    assert (await http.post(f"{path}/replay", json={})).json()["queued"] == 1


async def test_a_key_has_no_events_sent_that_it_may_not_read(edge: Edge) -> None:
    http = await edge.client()
    async with (
        await edge.key(http, "webhooks:write") as hooks_alone,
        await edge.key(http, "webhooks:write", "sms:read") as texts_too,
    ):
        of_texts = (await http.post("/api/webhooks", json={"url": URL, "events": ["sms.*"]})).json()["id"]
        path = f"/api/webhooks/{of_texts}"
        for key, wish, missing in (
            (hooks_alone, {"url": URL}, "sms:read"),
            (hooks_alone, {"url": URL, "events": ["webhook.failing", "sms.received"]}, "sms:read"),
            (texts_too, {"url": URL, "events": ["*"]}, "calls:read"),
            (texts_too, {"url": URL, "events": ["call.completed"]}, "calls:read"),
        ):
            answer = await key.post("/api/webhooks", json=wish)
            assert answer.status_code == 403, wish
            assert (answer.json()["error"]["code"], missing in answer.text) == ("insufficient_scope", True), wish
        # Nor does what others made lead to it, or get wider.
        elsewhere: dict[str, object] = {"url": "https://thief.example/"}
        wider: dict[str, object] = {"events": []}
        assert [(await hooks_alone.patch(path, json=each)).status_code for each in (elsewhere, wider)] == [403, 403]
        assert (await hooks_alone.patch(path, json={"description": "Desk", "enabled": False})).status_code == 200
        assert (await texts_too.patch(path, json={"url": f"{URL}/2"})).status_code == 200
        assert (await http.get(path)).json()["events"] == ["sms.*"]
        assert (await hooks_alone.post("/api/webhooks", json={"url": URL, "events": ["webhook.*"]})).status_code == 201


async def test_a_delivery_shows_its_body_to_who_may_read_it(edge: Edge) -> None:
    http = await edge.client()
    async with await edge.key(http, "webhooks:read") as hooks_alone:
        path = (
            f"/api/webhooks/{(await http.post('/api/webhooks', json={'url': URL, 'events': ['sms.*']})).json()['id']}"
        )
        sent = (await http.post(f"{path}/test", json={})).json()["id"]
        assert (await hooks_alone.get(f"{path}/deliveries/{sent}")).status_code == 200, "a test tells nothing"
        async with edge.plane.control.db.system() as tx:
            await tx.execute("UPDATE webhook_deliveries SET event_type = 'sms.received'")
        assert (await http.get(f"{path}/deliveries/{sent}")).status_code == 200
        assert (await hooks_alone.get(f"{path}/deliveries/{sent}")).json()["error"]["code"] == "insufficient_scope"
        assert [each["id"] for each in (await hooks_alone.get(f"{path}/deliveries")).json()["deliveries"]] == [sent]
