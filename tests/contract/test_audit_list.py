"""The list of the audit log: what its subjects are called, and its filters."""

from datetime import UTC, datetime
from typing import Any

import pytest
from google.api import annotations_pb2

from control.audit import kinds
from control.base.wire import word
from hum.contract.services import services
from hum.v1 import audit_pb2 as pb
from hum.v1 import options_pb2
from storage import audit_names
from tests.contract.conftest import Edge
from tests.contract.test_audit import log
from tests.contract.test_deletion import colleague


async def test_an_entry_has_the_name_that_its_subject_has_now(edge: Edge) -> None:
    http, yours = await edge.client(), await edge.client("Yours")
    flow = (await http.post("/api/flows", json={"name": "Desk", "greeting": "Hello"})).json()["id"]
    gone = (await http.post("/api/flows", json={"name": "Gone"})).json()["id"]
    contact = (await http.post("/api/contacts", json={"phone_e164": "+13175550142", "name": "Ana Ruiz"})).json()["id"]
    hook = {"url": "https://hooks.example.com/services/T0/secret", "events": ["call.summary"]}
    webhook = (await http.post("/api/webhooks", json=hook)).json()["id"]
    await http.patch(f"/api/flows/{flow}", json={"name": "Front desk"})
    await http.delete(f"/api/flows/{gone}")
    await yours.delete(f"/api/flows/{flow}")
    named = {
        (each["action"], each["subject"]): (each["subject_kind"], each["subject_name"]) for each in await log(http)
    }
    assert named["createFlow", flow] == named["updateFlow", flow] == ("flow", "Front desk")
    assert named["createFlow", gone] == named["deleteFlow", gone] == ("flow", None)
    assert named["createContact", contact] == ("contact", "Ana Ruiz")
    assert named["createWebhook", webhook] == ("webhook", "hooks.example.com")
    # A key that may read the log, but no contacts, is told no names of theirs.
    narrow = await colleague(edge, http, "admin", ("team:read", "flows:read"))
    told = {each["action"]: each["subject_name"] for each in await log(narrow)}
    assert (told["updateFlow"], told["createContact"], told["createWebhook"]) == ("Front desk", None, None)


async def test_the_names_of_a_page_are_one_query(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    http, asked = await edge.client(), list[int]()
    for n in range(5):
        await http.post("/api/flows", json={"name": f"f{n}"})
    names = audit_names.names

    async def counted(tx: Any, ids: Any) -> Any:
        asked.append(len(ids))
        return await names(tx, ids)

    monkeypatch.setattr(audit_names, "names", counted)
    page = (await http.get("/api/audit-log", params={"limit": 3})).json()
    assert [each["subject_name"] for each in page["entries"]] == ["f4", "f3", "f2"]
    assert asked == [3]


async def test_the_log_of_a_kind_a_person_and_a_time_by_pages(edge: Edge) -> None:
    http, since = await edge.client(), datetime.now(UTC)
    viewer = await colleague(edge, http, "operator")
    for n in range(3):
        await http.post("/api/flows", json={"name": f"f{n}"})
        await viewer.post("/api/contacts", json={"phone_e164": f"+1317555014{n}"})
    until = datetime.now(UTC)
    await http.post("/api/flows", json={"name": "later"})
    assert [each["action"] for each in await log(http, subject_kind="contact")] == ["createContact"] * 3
    # Beside these six, the colleague's key, whose transaction may have begun before or after.
    both = await log(http, at_from=since.isoformat(), at_to=until.isoformat())
    assert {each["action"] for each in both} >= {"createContact", "createFlow"} and len(both) == 7
    assert await log(http, at_to=since.isoformat(), subject_kind="flow") == []
    assert await log(http, subject_kind="contact", action="createFlow") == []
    actor = str((await log(http, action="createContact"))[0]["actor"])
    assert len(await log(http, actor=actor, subject_kind="contact")) == 3
    assert await log(http, actor=actor, subject_kind="flow") == []
    got, query = list[str](), {"subject_kind": "flow", "limit": "2", "at_from": since.isoformat()}
    while True:
        page = (await http.get("/api/audit-log", params=query)).json()
        got += [each["subject_name"] for each in page["entries"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert got == ["later", "f2", "f1", "f0"]
    query["subject_kind"] = "contact"  # a cursor belongs to its filter
    assert (await http.get("/api/audit-log", params=query)).status_code == 400
    for bad in ({"subject_kind": "x"}, {"at_from": "yesterday"}):
        assert (await http.get("/api/audit-log", params=bad)).status_code == 400


def test_every_logged_operation_has_a_kind() -> None:
    kinds_of = kinds.kinds()
    methods = [method for service in services() for method in service.methods]
    nameless = [
        method.name
        for method in methods
        if (rule := method.GetOptions().Extensions[annotations_pb2.http]).WhichOneof("pattern")
        and (rule.get == "" or method.GetOptions().Extensions[options_pb2.access].audits_reads)
        and method.name[0].lower() + method.name[1:] not in kinds_of
    ]
    assert nameless == []
    words = {word(pb.AuditSubjectKind, number) for number in pb.AuditSubjectKind.values()} - {None}
    assert set(kinds_of.values()) == words
