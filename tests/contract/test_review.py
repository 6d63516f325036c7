"""Tags, notes and the blocklist over REST."""

from typing import Any

import httpx
import pytest

from control.review import servicer
from hum import ids
from hum.ids import Kind
from storage import voicemails
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


async def test_a_call_has_its_limit_of_tags(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servicer, "MAX_TAGS", 9)
    http = await flow_with_number(edge)
    await post(edge, "/twilio/voice", CALL)
    (call,) = (await http.get("/api/calls")).json()["calls"]
    tags = f"/api/calls/{call['id']}/tags"
    for n in range(9):
        assert (await http.post(tags, json={"tag": f"tag {n}"})).status_code == 201
    one_more = await http.post(tags, json={"tag": "one more"})
    assert (one_more.status_code, one_more.json()["error"]["code"]) == (402, "plan_limit")
    assert (await http.post(tags, json={"tag": "tag 7"})).status_code == 201, "it has that one"
    assert (await http.delete(f"{tags}/tag%207")).status_code == 204
    assert len((await http.post(tags, json={"tag": "one more"})).json()["tags"]) == 9


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
    assert (await http.patch(f"{path}/{made[0]['id']}", json={})).json()["body"] == "better"
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


async def voicemail(edge: Edge, http: httpx.AsyncClient, call: str, sound: bytes) -> str:
    """Leave a voicemail on a call, as the call itself will."""
    org = ids.require(Kind.ORGANIZATION, (await http.get("/api/me")).json()["organization"]["id"])
    folder = edge.plane.settings.recordings_dir
    folder.mkdir(exist_ok=True)
    (folder / f"{call}.wav").write_bytes(sound)
    async with edge.plane.control.db.system() as tx:
        of_call, path = ids.require(Kind.CALL, call), f"{call}.wav"
        id = await voicemails.upsert(tx, ids.new(), org, of_call, path, 1500)
        assert id is not None
        assert await voicemails.upsert(tx, ids.new(), org, of_call, path, 1500) is None, "it is there"
        assert await voicemails.store_transcript(tx, org, id, path, "Please call me back.") == of_call
        assert await voicemails.store_transcript(tx, org, id, path, "Never mind.") is None, "once"
    found: str = (await http.get("/api/voicemails")).json()["voicemails"][0]["id"]
    return found


async def test_voicemails(edge: Edge) -> None:
    http = await flow_with_number(edge)
    left = []
    for n in range(3):
        await post(edge, "/twilio/voice", {**CALL, "CallSid": f"CA{n}", "CallerName": "Ann"})
        call = (await http.get("/api/calls")).json()["calls"][0]["id"]
        left.append((call, await voicemail(edge, http, call, b"RIFF" + bytes(range(100)))))
    call, id = left[-1]
    told = (await http.get(f"/api/calls/{call}")).json()["voicemail"]
    assert (told["id"], told["call_id"], told["from"], told["to"]) == (id, call, CALL["From"], CALL["To"])
    assert (told["duration_ms"], told["transcript"], told["contact_name"]) == (1500, "Please call me back.", "Ann")
    assert (told["heard"], told["heard_at"], told["heard_by"]) == (False, None, None)
    path = f"/api/voicemails/{id}"
    heard = (await http.patch(path, json={"heard": 1})).json()
    assert (heard["heard"], heard["heard_by"]) == (True, "test")
    assert (await http.patch(path, json={"heard": True})).json() == heard, "twice is once"

    async def listed(**query: Any) -> list[str]:
        answer = (await http.get("/api/voicemails", params=query)).json()
        return [each["id"] for each in answer["voicemails"]]

    assert await listed() == [id for _, id in reversed(left)]
    assert await listed(heard="true") == [id]
    assert await listed(heard=0) == [left[1][1], left[0][1]]
    first = (await http.get("/api/voicemails", params={"heard": 0, "limit": 1})).json()
    assert await listed(heard=0, limit=1, cursor=first["next_cursor"]) == [left[0][1]]
    assert (await http.patch(path, json={"heard": False})).json()["heard_at"] is None
    for bad in ({"heard": None}, {"duration_ms": 3}, {"heard": "maybe"}):
        assert (await http.patch(path, json=bad)).status_code == 400
    audio = await http.get(f"{path}/audio", headers={"Range": "bytes=0-3"})
    assert (audio.status_code, audio.content, audio.headers["content-type"]) == (206, b"RIFF", "audio/wav")
    assert len((await http.get(f"{path}/audio")).content) == 104
    assert (await http.get(f"{path}/audio", headers={"Range": "bytes=500-"})).status_code == 416
    assert (await http.get(path)).json()["transcript"] == "Please call me back."
    other = await edge.client("Other")
    for forged in (path, f"{path}0", "/api/voicemails/voicemail_x", f"/api/voicemails/{call}"):
        client = other if forged == path else http
        assert (await client.get(forged)).status_code == (await client.delete(forged)).status_code == 404
        assert (await client.get(f"{forged}/audio")).status_code == 404
    assert (await other.get(f"{path}/audio")).status_code == (await other.patch(path, json={"heard": 1})).status_code
    assert (await other.get(f"{path}/audio")).status_code == 404
    assert (await other.get("/api/voicemails")).json() == {"voicemails": [], "next_cursor": None}


async def test_a_deleted_voicemail_is_gone_for_its_readers_at_once(edge: Edge) -> None:
    http = await flow_with_number(edge)
    await post(edge, "/twilio/voice", CALL)
    call = (await http.get("/api/calls")).json()["calls"][0]["id"]
    path = f"/api/voicemails/{await voicemail(edge, http, call, b'RIFF')}"
    viewer = await edge.client("Viewers", role="viewer")
    assert (await viewer.delete(path)).status_code == 403
    assert (await http.delete(path)).status_code == 204
    for gone in (await http.get(path), await http.get(f"{path}/audio"), await http.delete(path)):
        assert gone.status_code == 404
    assert (await http.patch(path, json={"heard": True})).status_code == 404
    assert (await http.get("/api/voicemails")).json()["voicemails"] == []
    assert (await http.get(f"/api/calls/{call}")).json()["voicemail"] is None
    assert (await http.get("/api/dashboard")).json()["unheard_voicemails"] == 0
    entries = (await http.get("/api/audit-log")).json()["entries"]
    assert "deleteVoicemail" in [each["action"] for each in entries]


async def test_a_key_for_figures_is_told_no_calls(edge: Edge) -> None:
    http = await flow_with_number(edge)
    await post(edge, "/twilio/voice", CALL)
    for scopes, calls in ((["analytics:read"], 0), (["analytics:read", "calls:read"], 1)):
        async with await edge.key(http, *scopes) as key:
            assert len((await key.get("/api/dashboard")).json()["recent_calls"]) == calls


async def test_a_blocked_caller_gets_no_stream_and_so_no_model(edge: Edge) -> None:
    http = await flow_with_number(edge)
    await http.post("/api/blocklist", json={"phone_e164": CALL["From"]})
    answer = await post(edge, "/twilio/voice", CALL)
    assert "<Reject" in answer.text and "<Stream" not in answer.text
    (call,) = (await http.get("/api/calls", params={"status": "blocked"})).json()["calls"]
    assert (call["end_reason"], call["answered_at"]) == ("blocked", None)
    async with edge.plane.control.db.system() as tx:
        assert await tx.fetchval("SELECT count(*) FROM calls WHERE token_hash IS NOT NULL OR streams_opened > 0") == 0
