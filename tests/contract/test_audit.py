"""The audit log: every change is in it, and who read what people said; it can't be changed, and its chain reveals tampering."""

import asyncio
import json
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from cli.audit import verify
from control.audit.usecases import seal
from control.mms import files
from hum import audit, ids
from hum.contract.services import services
from hum.ids import Kind
from hum.v1 import options_pb2
from storage import message_media, messages
from storage.db import Db
from tests.contract.conftest import Edge
from tests.contract.inbox import numbered, organization, started
from tests.contract.test_deletion import colleague, recorded
from tests.contract.test_review import voicemail


async def log(client: object, **query: str) -> list[dict[str, object]]:
    answer = await client.get("/api/audit-log", params={"limit": 200, **query})  # type: ignore[attr-defined]  # either kind
    assert answer.status_code == 200, answer.text
    entries: list[dict[str, object]] = answer.json()["entries"]
    return entries


async def test_a_change_is_in_the_log_with_who_what_and_which_fields(edge: Edge) -> None:
    browser = await edge.signed_in()
    org = (await browser.post("/api/organizations", {"name": "Clinic"})).json()["id"]
    user = (await browser.get("/api/me")).json()["user"]["id"]
    headers = {"X-Request-Id": "req-7"}
    flow = (await browser.post("/api/flows", {"name": "Desk", "greeting": "Hello"}, headers=headers)).json()["id"]
    await browser.request("PATCH", f"/api/flows/{flow}", json={"greeting": None, "voice": "cedar"})
    await browser.request("DELETE", f"/api/flows/{flow}")
    newest = await log(browser)
    assert [(each["action"], each["subject"], each["fields"]) for each in newest] == [
        ("deleteFlow", flow, []),
        ("updateFlow", flow, ["greeting", "voice"]),
        ("createFlow", flow, ["name", "greeting"]),
        ("onboardOrganization", org, ["name"]),
    ]
    assert newest[2]["request_id"] == "req-7"
    assert {(each["actor"], each["actor_name"]) for each in newest} == {(f"user:{user}", "ada@example.com")}
    assert [each["action"] for each in await log(browser, action="deleteFlow")] == ["deleteFlow"]
    assert await log(browser, actor="user:x") == []


async def test_what_is_refused_or_repeated_is_not_in_the_log(edge: Edge) -> None:
    client = await edge.client()
    before = len(await log(client))
    once = {"Idempotency-Key": "k"}
    for _ in range(3):
        await client.post("/api/flows", json={"name": "a"}, headers=once)
    await client.post("/api/flows", json={"name": ""})
    await client.delete("/api/flows/flow_x")
    await client.get("/api/flows")
    assert [each["action"] for each in await log(client)][: -before or None] == ["createFlow"]


READS = (
    *("getCall", "listCallTurns", "streamCall", "getRecording", "exportContacts", "exportAuditLog"),
    *("getVoicemail", "getVoicemailAudio", "getMessageMedia", "getFailedImportRows"),
    *("getContact", "listMessages", "listEvents", "getWebhookDelivery", "getTriggerBody"),
    *("listAppointments", "getAppointment", "listWaits"),
)


async def reads(client: httpx.AsyncClient, **query: str) -> list[tuple[object, object, object]]:
    return [
        (each["actor_name"], each["action"], each["subject"])
        for each in await log(client, **query)
        if each["action"] in READS
    ]


async def test_who_read_a_call_or_listened_to_it_is_in_the_log(edge: Edge) -> None:
    http, id, _ = await recorded(edge)
    viewer, path = await colleague(edge, http, "viewer"), f"/api/calls/{id}"
    assert (await viewer.get("/api/calls")).status_code == 200
    assert await reads(http) == []  # a list's pages have no entries
    for _ in range(2):
        assert (await viewer.get(path)).status_code == 200
        assert (await viewer.get(f"{path}/turns")).status_code == 200
        assert (await viewer.get(f"{path}/stream")).status_code in {200, 204}
        for byte_range in ("", "bytes=0-3", "bytes=4-"):
            assert (await viewer.get(f"{path}/recording", headers={"Range": byte_range})).is_success
    assert sorted(await reads(http)) == [
        ("viewer", action, id) for action in ("getCall", "getRecording", "listCallTurns", "streamCall")
    ]
    await http.get(f"{path}/recording")  # another listener has an entry of their own
    assert [who for who, _, _ in await reads(http, action="getRecording", subject=id)] == ["test", "viewer"]
    assert await reads(http, subject="call_x") == []


def test_these_are_all_that_are_logged() -> None:
    methods = [method for service in services() for method in service.methods]
    logged = [each.name for each in methods if each.GetOptions().Extensions[options_pb2.access].audits_reads]
    assert {f"{name[0].lower()}{name[1:]}" for name in logged} == set(READS)


async def with_a_picture(edge: Edge, http: httpx.AsyncClient) -> str:
    """A text that came in with a file, which is stored."""
    number = await numbered(edge, http, "+13175550101")
    thread, org, id = await started(http, number), await organization(http), ids.new()
    path, picture = files.path_of(org, id, 0), b"\xff\xd8picture"
    (edge.plane.settings.recordings_dir / path).parent.mkdir(parents=True)
    (edge.plane.settings.recordings_dir / path).write_bytes(picture)
    of_thread = ids.require(Kind.CONVERSATION, thread["id"])
    sent = [("https://carrier.example/0", "image/jpeg")]
    async with edge.plane.control.db.tenant(org) as tx:
        await messages.receive(
            tx, id, org, of_thread, thread["number_e164"], thread["contact_e164"], "Look", 1, "MM1", sent
        )
        assert await message_media.set_path(tx, id, 0, path)
        assert await message_media.record_stored(tx, id, 0, "image/jpeg", path, len(picture))
    return ids.show(Kind.MESSAGE, id)


async def test_who_read_a_contact_a_thread_or_the_events_is_in_the_log(edge: Edge) -> None:
    http = await edge.client()
    thread = await started(http, await numbered(edge, http, "+13175550101"))
    contact = (await http.post("/api/contacts", json={"phone_e164": "+13175550142", "name": "Ana"})).json()["id"]
    viewer = await colleague(edge, http, "viewer")
    for listed in ("/api/contacts", "/api/sms/conversations", f"/api/sms/conversations/{thread['id']}"):
        assert (await viewer.get(listed)).status_code == 200
    assert await reads(http) == []  # lists, and a conversation without its messages
    for _ in range(2):
        for path in (f"contacts/{contact}", f"sms/conversations/{thread['id']}/messages", "events"):
            assert (await viewer.get(f"/api/{path}")).status_code == 200
    assert sorted(await reads(http), key=str) == [
        ("viewer", "getContact", contact),
        ("viewer", "listEvents", None),
        ("viewer", "listMessages", thread["id"]),
    ]
    other = await edge.client("Other")
    assert (await other.get(f"/api/contacts/{contact}")).status_code == 404
    assert await reads(other) == []


async def test_who_heard_a_voicemail_or_saw_a_file_is_in_the_log(edge: Edge) -> None:
    http, call, _ = await recorded(edge)
    left, text = await voicemail(edge, http, call, b"RIFF" + bytes(100)), await with_a_picture(edge, http)
    viewer, path = await colleague(edge, http, "viewer"), f"/api/voicemails/{left}"
    file = f"/api/sms/messages/{text}/media/0"
    for listed in ("/api/voicemails", f"/api/sms/messages/{text}"):
        assert (await viewer.get(listed)).status_code == 200
    assert await reads(http) == []  # neither a list's page nor a text has an entry
    for _ in range(2):
        assert (await viewer.get(path)).json()["transcript"] == "Please call me back."
        for byte_range in ("", "bytes=0-3"):
            assert (await viewer.get(f"{path}/audio", headers={"Range": byte_range})).is_success
        assert (await viewer.get(file)).content == b"\xff\xd8picture"
    assert sorted(await reads(http)) == [
        ("viewer", "getMessageMedia", f"{text}/0"),
        ("viewer", "getVoicemail", left),
        ("viewer", "getVoicemailAudio", left),
    ]
    other = await edge.client("Other")
    for refused in (path, f"{path}/audio", file):
        assert (await other.get(refused)).status_code == 404
    assert await reads(other) == []


async def test_a_read_that_is_refused_is_not_in_the_log(edge: Edge) -> None:
    http, id, file = await recorded(edge)
    other = await edge.client("Other")
    file.unlink()
    for client in (http, other):
        for path in ("/recording", "/stream") if client is other else ("/recording",):
            assert (await client.get(f"/api/calls/{id}{path}")).status_code == 404
        assert (await client.get("/api/calls/call_x")).status_code == 404
        assert await reads(client) == []


async def test_a_later_read_has_another_entry_and_concurrent_ones_do_not(edge: Edge) -> None:
    client = await edge.client()
    await asyncio.gather(*(client.get("/api/contacts/export") for _ in range(8)))
    assert await reads(client) == [("test", "exportContacts", None)]
    owner = await asyncpg.connect(edge.plane.control.db.url)
    for minutes, entries in ((4, 1), (6, 2)):
        # As if the first read had been that long ago: in the slot before this one.
        await owner.execute(
            """UPDATE audit_log SET at = now() - make_interval(mins => $1),
                                    read_slot = floor(extract(epoch FROM now()) / 300) - 1
                WHERE read_slot IS NOT NULL""",
            minutes,
        )
        assert (await client.get("/api/contacts/export")).status_code == 200
        assert len(await reads(client)) == entries
    await owner.close()


async def test_an_export_of_the_log_is_in_the_log_and_in_the_chain(edge: Edge) -> None:
    client = await edge.client()
    await client.get("/api/audit-log/export")
    assert await reads(client) == [("test", "exportAuditLog", None)]
    await seal(edge.plane.control.db)
    lines = (await client.get("/api/audit-log/export")).content.splitlines()
    assert "exportAuditLog" in {json.loads(line)["action"] for line in lines}
    audit.verify(lines)


async def test_an_audited_read_has_its_entry_in_its_own_transaction(
    edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No second transaction beside the one that the read has."""
    http, id, _ = await recorded(edge)
    begun: list[str] = []
    within = Db._within

    def counted(db: Db, tx: Any, begin: str) -> Any:
        begun.append(begin)
        return within(db, tx, begin)

    monkeypatch.setattr(Db, "_within", counted)
    client = await colleague(edge, http, "viewer")
    await client.get("/api/flows")  # the credential is known from here on
    begun.clear()
    assert (await client.get(f"/api/calls/{id}")).status_code == 200
    assert begun.count("BEGIN") == 1, begun
    monkeypatch.undo()
    assert await reads(http) == [("viewer", "getCall", id)]


async def test_the_log_is_the_tenants_own_and_for_admins(edge: Edge) -> None:
    mine, yours = await edge.client("Mine"), await edge.client("Yours")
    await mine.post("/api/flows", json={"name": "a"})
    assert "createFlow" not in [each["action"] for each in await log(yours)]
    operator = await edge.client("Third", "operator")
    assert (await operator.get("/api/audit-log")).status_code == 403
    assert (await operator.get("/api/audit-log/export")).status_code == 403


async def test_nobody_rewrites_it(edge: Edge) -> None:
    client = await edge.client()
    await client.post("/api/flows", json={"name": "a"})
    db = edge.plane.control.db
    await seal(db)
    for table in ("audit_log", "audit_seals"):
        for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET org_id = org_id"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with db.system() as tx:
                    await tx.execute(statement)


async def test_the_export_verifies_without_us(edge: Edge, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    client = await edge.client("Mine")
    other = await edge.client("Yours")
    assert (await client.get("/api/audit-log/export")).text == ""  # nothing is sealed yet
    await asyncio.gather(
        *(c.post("/api/flows", json={"name": 'ä\u2028"x'}) for c in (client, other) for _ in range(20))
    )
    await asyncio.gather(*(seal(edge.plane.control.db) for _ in range(4)))  # several workers
    answer = await client.get("/api/audit-log/export")
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    lines = answer.content.splitlines()
    newest = max(await log(client), key=lambda entry: int(str(entry["seq"])))  # the order of commits, not of ids
    assert len(lines) == len(await log(client)) == newest["seq"]
    file = tmp_path / "log.jsonl"
    file.write_bytes(answer.content)
    assert verify(str(file), "") == 0
    head = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (head["seq"], head["hash"]) == (len(lines), newest["hash"])
    await client.post("/api/flows", json={"name": "b"})
    await seal(edge.plane.control.db)
    file.write_bytes((await client.get("/api/audit-log/export")).content)
    assert verify(str(file), head["hash"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["seq"] == len(lines) + 1


async def test_a_late_commit_is_sealed_too(edge: Edge) -> None:
    client, db = await edge.client(), edge.plane.control.db
    org = (await client.get("/api/me")).json()["organization"]["id"]
    from hum import ids
    from storage import audit as rows

    tenant = ids.require(ids.Kind.ORGANIZATION, org)
    async with db.tenant(tenant) as late:
        await rows.append(late, tenant, actor="key:x", actor_name="x", action="late")
        await client.post("/api/flows", json={"name": "early"})
        await seal(db)
    await seal(db)
    exported = (await client.get("/api/audit-log/export")).content.splitlines()
    assert {json.loads(line)["action"] for line in exported} >= {"late", "createFlow"}
    audit.verify(exported)


@pytest.fixture
async def lines(edge: Edge) -> list[bytes]:
    client = await edge.client()
    for n in range(4):
        await client.post("/api/flows", json={"name": f"f{n}"})
    await seal(edge.plane.control.db)
    return (await client.get("/api/audit-log/export")).content.splitlines()


async def test_every_kind_of_tampering_shows(lines: list[bytes]) -> None:
    def spoilt(number: int, **change: object) -> list[bytes]:
        members = json.loads(lines[number]) | change
        return [*lines[:number], json.dumps(members).encode(), *lines[number + 1 :]]

    audit.verify(lines)
    forged = [
        *(spoilt(2, **{name: "x"}) for name in ("actor", "actor_name", "action", "subject", "request_id", "organization")),
        spoilt(2, at_us=1), spoilt(2, at="2020-01-01T00:00:00.000000Z"), spoilt(2, fields=["namex"]),
        spoilt(2, fields=["na", "me"]), spoilt(2, seq=9), spoilt(2, hash="00" * 32), spoilt(2, previous_hash="00" * 32),
        [*lines[:2], *lines[3:]], [lines[0], *lines], lines[1:], list(reversed(lines)), [*lines, b"{"], [*lines, b"7"], [],
    ]  # fmt: skip
    for each in forged:
        with pytest.raises(audit.BrokenChain):
            audit.verify(each)
    with pytest.raises(audit.BrokenChain):  # the chain is sound, and too short
        audit.verify(lines[:-1], expected=json.loads(lines[-1])["hash"])
