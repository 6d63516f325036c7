"""Tags, notes and the blocklist over REST."""

from tests.contract.conftest import Edge
from tests.contract.test_carrier_webhooks import CALL, flow_with_number, post


async def test_tags(edge: Edge) -> None:
    http = await flow_with_number(edge)
    await post(edge, "/twilio/voice", CALL)
    (call,) = (await http.get("/api/calls")).json()["calls"]
    tags = f"/api/calls/{call['id']}/tags"
    for tag in ("vip", "Follow up", "vip", "ünï"):
        added = await http.post(tags, json={"tag": tag})
        assert added.status_code == 201
    assert added.json() == {"tags": ["Follow up", "vip", "ünï"]}
    assert (await http.get("/api/calls", params={"tag": "vip"})).json()["calls"][0]["tags"] == [
        "Follow up",
        "vip",
        "ünï",
    ]
    assert (await http.delete(f"{tags}/Follow%20up")).status_code == 204
    assert (await http.delete(f"{tags}/Follow%20up")).status_code == 404
    assert (await http.get(tags)).json() == {"tags": ["vip", "ünï"]}
    for bad in ("", "a/b", " x", "x" * 61, None):
        assert (await http.post(tags, json={"tag": bad})).json()["error"]["details"][0]["field"] == "tag"
    other = await edge.client("Other")
    assert (await other.get(tags)).status_code == 404
    assert (await other.post(tags, json={"tag": "x"})).status_code == 404


async def test_notes(edge: Edge) -> None:
    http = await flow_with_number(edge)
    await post(edge, "/twilio/voice", CALL)
    (call,) = (await http.get("/api/calls")).json()["calls"]
    path = f"/api/calls/{call['id']}/notes"
    made = [(await http.post(path, json={"body": f"note {n}"})).json() for n in range(3)]
    assert (made[0]["author"], made[0]["updated_at"]) == ("test", None)
    page = (await http.get(path, params={"limit": 2})).json()
    assert [note["body"] for note in page["notes"]] == ["note 2", "note 1"]
    rest = (await http.get(path, params={"limit": 2, "cursor": page["next_cursor"]})).json()
    assert ([note["body"] for note in rest["notes"]], rest["next_cursor"]) == (["note 0"], None)
    detail = (await http.get(f"/api/calls/{call['id']}")).json()
    assert [note["body"] for note in detail["notes"]] == ["note 2", "note 1", "note 0"]
    changed = (await http.patch(f"{path}/{made[0]['id']}", json={"body": "better"})).json()
    assert changed["body"] == "better"
    assert changed["updated_at"] is not None
    assert (await http.patch(f"{path}/{made[0]['id']}", json={"body": None})).status_code == 400
    assert (await http.delete(f"{path}/{made[1]['id']}")).status_code == 204
    assert (await http.patch(f"{path}/{made[1]['id']}", json={"body": "x"})).status_code == 404
    other = await edge.client("Other")
    assert (await other.delete(f"{path}/{made[0]['id']}")).status_code == 404


async def test_a_blocked_number_is_rejected_until_it_is_not(edge: Edge) -> None:
    http = await flow_with_number(edge)
    made = await http.post("/api/blocklist", json={"phone_e164": CALL["From"], "reason": "spam"})
    assert (made.status_code, made.json()["reason"]) == (201, "spam")
    again = await http.post("/api/blocklist", json={"phone_e164": CALL["From"]})
    assert again.json() == made.json()
    await http.post("/api/blocklist", json={"phone_e164": "+13175550198"})
    first = (await http.get("/api/blocklist", params={"limit": 1})).json()
    second = (await http.get("/api/blocklist", params={"limit": 1, "cursor": first["next_cursor"]})).json()
    assert [each["blocklist"][0]["phone_e164"] for each in (first, second)] == ["+13175550198", CALL["From"]]
    assert second["next_cursor"] is None
    assert "<Reject" in (await post(edge, "/twilio/voice", CALL)).text
    # A raw plus in a path is a plus, as `%2B` is.
    assert (await http.delete(f"/api/blocklist/{CALL['From']}")).status_code == 204
    assert (await http.delete("/api/blocklist/%2B13175550198")).status_code == 204
    assert (await http.delete(f"/api/blocklist/{CALL['From']}")).status_code == 404
    assert "<Connect" in (await post(edge, "/twilio/voice", {**CALL, "CallSid": "CA2"})).text
    assert (await http.post("/api/blocklist", json={"phone_e164": "anonymous"})).status_code == 400


async def test_viewers_only_read(edge: Edge) -> None:
    viewer = await edge.client("Viewers", role="viewer")
    assert (await viewer.get("/api/blocklist")).status_code == 200
    refused = await viewer.post("/api/blocklist", json={"phone_e164": "+13175550198"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "forbidden")
