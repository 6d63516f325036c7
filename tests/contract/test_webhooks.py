"""Webhooks over REST."""

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
