"""Deletion and recordings over REST: who may, what is left, and a download that outlives its permission."""

import asyncio
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from control.identity import usecases as identity
from hum import ids
from hum.ids import Kind
from hum.v1 import runtime_pb2, runtime_pb2_grpc
from hum.wave import header
from tests.contract.conftest import Edge
from tests.contract.test_carrier_webhooks import CALL, flow_with_number, post
from tests.contract.test_live_stream import in_progress

SOUND = header(1024) + bytes(range(256)) * 4


async def org_of(http: httpx.AsyncClient) -> UUID:
    return ids.require(Kind.ORGANIZATION, (await http.get("/api/me")).json()["organization"]["id"])


async def colleague(edge: Edge, http: httpx.AsyncClient, role: str, scopes: tuple[str, ...] = ()) -> httpx.AsyncClient:
    """A key of the same organization."""
    _, secret = await identity.issue_key(edge.plane.control.db, await org_of(http), role, role, list(scopes))
    return httpx.AsyncClient(base_url=edge.url, headers={"Authorization": f"Bearer {secret}"}, trust_env=False)


async def recorded(edge: Edge, sound: bytes = SOUND) -> tuple[httpx.AsyncClient, str, Path]:
    """A call that is over, and its recording."""
    http, media, id = await in_progress(edge, recording_enabled=True)
    path = f"{(await http.get('/api/me')).json()['organization']['id']}/{id}.wav"
    file = edge.plane.settings.recordings_dir / path
    file.parent.mkdir(parents=True)
    file.write_bytes(sound)
    media.report(recording=runtime_pb2.RecordingStored(path=path, duration_ms=1, size_bytes=len(sound)))
    await media.acknowledged(media.report(ended=runtime_pb2.StreamEnded(reason="caller", at_ms=10)))
    return http, id, file


async def test_a_call_is_deleted_once_and_by_an_admin_alone(edge: Edge) -> None:
    http, id, _ = await recorded(edge)
    other = await edge.client("Other")
    operator, narrow = await colleague(edge, http, "operator"), await colleague(edge, http, "admin", ("calls:read",))
    for stranger, status in ((other, 404), (operator, 403), (narrow, 403)):
        assert (await stranger.delete(f"/api/calls/{id}")).status_code == status
    assert (await http.get(f"/api/calls/{id}")).status_code == 200
    before = (await http.get("/api/events")).json()["events"]
    assert [each["type"] for each in before][-1] == "call.completed"
    key = {"Idempotency-Key": "once"}
    assert [(await http.delete(f"/api/calls/{id}", headers=key)).status_code for _ in range(2)] == [204, 204]
    assert (await http.delete(f"/api/calls/{id}")).status_code == 404
    for path in ("", "/recording", "/stream", "/notes"):
        assert (await http.get(f"/api/calls/{id}{path}")).status_code == 404
    assert (await http.get("/api/calls", params={"q": CALL["From"]})).json()["calls"] == []
    after = (await http.get("/api/events")).json()["events"]
    assert not [each for each in after if CALL["From"] in str(each)]
    # A client that read up to an event whose payload is gone reads on.
    assert (await http.get("/api/events", params={"after": before[-1]["id"]})).json()["events"] == []
    entries = (await http.get("/api/audit-log")).json()["entries"]
    assert [(each["action"], each["subject"]) for each in entries if "elete" in each["action"]] == [("deleteCall", id)]


async def test_an_organizations_recordings_go_with_it_and_its_key_at_once(edge: Edge) -> None:
    http, _, file = await recorded(edge)
    mine, other = (await http.get("/api/me")).json()["organization"], await edge.client("Other")
    admin = runtime_pb2_grpc.AdminServiceStub(edge.plane.channel)
    request = runtime_pb2.DeleteOrganizationRequest(organization_id=mine["id"], name=mine["name"])
    answer = await admin.DeleteOrganization(request, metadata=edge.plane.node("admin"))
    assert answer.done and list(answer.numbers) == [CALL["To"]] and edge.plane.carrier.released == []
    assert not file.exists()
    assert (await http.get("/api/me")).status_code == 401
    assert (await other.get("/api/me")).status_code == 200
    # Whoever calls its number hears that nobody has it.
    assert "<Connect>" not in (await post(edge, "/twilio/voice", {**CALL, "CallSid": "CA9"})).text


async def test_a_live_call_is_not_deleted(edge: Edge) -> None:
    http, _, id = await in_progress(edge)
    refused = await http.delete(f"/api/calls/{id}")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "invalid_state")
    assert (await http.get(f"/api/calls/{id}")).json()["status"] in ("ringing", "in_progress")


async def test_everything_of_a_contact_is_deleted(edge: Edge) -> None:
    http = await flow_with_number(edge)
    for sid in ("CA1", "CA2"):
        await post(edge, "/twilio/voice", {**CALL, "CallSid": sid, "CallerName": "Ann"})
        await post(edge, "/twilio/voice/status", {**CALL, "CallSid": sid, "CallStatus": "busy"})
    await post(edge, "/twilio/voice", {**CALL, "CallSid": "CA3", "From": "+13175550177"})
    (contact,) = (await http.get("/api/contacts", params={"q": "Ann"})).json()["contacts"]
    path = f"/api/contacts/{contact['id']}/everything"
    other, operator = await edge.client("Other"), await colleague(edge, http, "operator")
    assert [(await each.delete(path)).status_code for each in (other, operator)] == [404, 403]
    answer = await http.delete(path)
    assert answer.status_code == 204, answer.text
    assert (await http.delete(path)).status_code == 404
    left = (await http.get("/api/calls")).json()["calls"]
    assert [each["from"] for each in left] == ["+13175550177"]
    assert CALL["From"] not in str((await http.get("/api/events")).json())
    entries = (await http.get("/api/audit-log")).json()["entries"]
    told = [(each["action"], each["subject"], each["fields"]) for each in entries]
    assert ("eraseContact", contact["id"], []) in told
    assert [fields[0] for action, _, fields in told if action == "erasedContact"] == ["calls=2"]


async def test_who_may_hear_a_recording(edge: Edge) -> None:
    http, id, _ = await recorded(edge)
    path, viewer = f"/api/calls/{id}/recording", await colleague(edge, http, "viewer")
    whole = await viewer.get(path)
    assert (whole.status_code, whole.content, whole.headers["accept-ranges"]) == (200, SOUND, "bytes")
    part = await viewer.get(path, headers={"Range": "bytes=4-9"})
    assert (part.status_code, part.content) == (206, SOUND[4:10])
    assert part.headers["content-range"] == f"bytes 4-9/{len(SOUND)}"
    assert (await viewer.get(path, headers={"Range": "bytes=-6"})).content == SOUND[-6:]
    assert (await viewer.get(path, headers={"Range": f"bytes={len(SOUND)}-"})).status_code == 416
    other, narrow = await edge.client("Other"), await colleague(edge, http, "viewer", ("contacts:read",))
    assert [(await each.get(path)).status_code for each in (other, narrow)] == [404, 403]
    async with httpx.AsyncClient(base_url=edge.url, trust_env=False) as nobody:
        assert (await nobody.get(path)).status_code == 401


async def test_a_download_ends_when_its_call_is_gone(edge: Edge) -> None:
    """Whoever reads slowly, for an hour, gets nothing more of a deleted call; of a revoked key: `test_revoked_streams`."""
    size = 64 << 20  # more than all buffers between
    http, id, file = await recorded(edge, b"")
    with file.open("r+b") as sparse:
        sparse.truncate(size)
    got = 0
    with pytest.raises(httpx.HTTPError):
        async with http.stream("GET", f"/api/calls/{id}/recording") as answer:
            assert answer.status_code == 200
            async for chunk in answer.aiter_raw(256 << 10):
                if not got:
                    assert (await http.delete(f"/api/calls/{id}")).status_code == 204
                    await asyncio.sleep(2 * edge.plane.settings.recheck_seconds)
                got += len(chunk)
    assert got < size
