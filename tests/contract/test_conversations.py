"""Conversations over REST: begun once, listed, assigned, snoozed, closed and counted."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from hum import ids
from hum.clock import now
from hum.ids import Kind
from storage import inbox
from tests.contract.conftest import Edge
from tests.contract.inbox import (
    ANN,
    BOB,
    CARL,
    CLOSED,
    NOW,
    code,
    happened,
    listed,
    numbered,
    organization,
    reasons,
    receive,
    started,
)
from tests.support.examples import examples


async def test_a_conversation_is_made_once_and_found_afterwards(edge: Edge) -> None:
    http = await edge.client()
    number = await numbered(edge, http)
    body = {"twilio_number_id": number, "contact_e164": ANN}
    made = await http.post("/api/sms/conversations", json=body)
    again = await http.post("/api/sms/conversations", json=body)
    assert (made.status_code, again.status_code) == (201, 200)
    assert made.json() == again.json()
    thread = made.json()
    assert thread == {
        **thread, "twilio_number_id": number, "number_e164": "+13175550100", "contact_e164": ANN, "status": "open",
        "assignee_id": None, "ai_paused": False, "ai_paused_reason": None, "snoozed_until": None, "unread_count": 0,
        "last_message_at": None, "last_message_preview": None, "opted_out": False,
    }  # fmt: skip
    assert thread["contact"]["id"].startswith("contact_")
    assert (await http.get(f"/api/sms/conversations/{thread['id']}")).json() == thread
    assert await happened(http) == []  # it has no message yet


async def test_a_repeated_request_has_the_same_status(edge: Edge) -> None:
    http = await edge.client()
    body = {"twilio_number_id": await numbered(edge, http), "contact_e164": ANN, "initial_message": {"body": "Hi"}}
    first, second = [
        await http.post("/api/sms/conversations", json=body, headers={"Idempotency-Key": "k"}) for _ in range(2)
    ]
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.headers["Idempotent-Replayed"] == "true" and first.json() == second.json()
    path = f"/api/sms/conversations/{first.json()['id']}/messages"
    assert len((await http.get(path)).json()["messages"]) == 1


@pytest.mark.sampled
async def test_many_at_once_make_one(edge: Edge) -> None:
    count = examples(50, 20)
    http = await edge.client()
    number = await numbered(edge, http)
    body = {
        "twilio_number_id": number,
        "contact_e164": ANN,
        "initial_message": {"body": "Hi", "honor_quiet_hours": False},
    }

    async def start() -> httpx.Response:
        while (answer := await http.post("/api/sms/conversations", json=body)).status_code == 429:
            pass  # a busy machine has no lane for it yet
        return answer

    answers = await asyncio.gather(*(start() for _ in range(count)))
    assert sorted(each.status_code for each in answers) == [200] * (count - 1) + [201]
    assert len({each.json()["id"] for each in answers}) == 1
    path = f"/api/sms/conversations/{answers[0].json()['id']}/messages"
    assert len((await http.get(path, params={"limit": 200})).json()["messages"]) == count
    assert [each["type"] for each in await happened(http)] == ["conversation.started"]


async def test_closing_cancels_and_tells_once(edge: Edge) -> None:
    http = await edge.client()
    number = await numbered(edge, http)
    thread = await started(http, number)
    path, later = f"/api/sms/conversations/{thread['id']}", (now() + timedelta(hours=2)).isoformat()
    ahead = (await http.post(f"{path}/messages", json={"body": "Later", "scheduled_at": later})).json()
    assert (ahead["status"], ahead["source"]) == ("scheduled", "manual")
    assert [each["id"] for each in (await http.get("/api/sms/scheduled")).json()["messages"]] == [ahead["id"]]
    closed = [(await http.post(f"{path}/close")).json() for _ in range(2)]
    assert closed[0]["status"] == "closed" and closed[0] == closed[1]
    (shown,) = (await http.get(f"{path}/messages")).json()["messages"]
    assert (shown["status"], shown["error_code"]) == ("canceled", "closed")
    assert (await http.get("/api/sms/scheduled")).json()["messages"] == []
    assert code(await http.post(f"{path}/messages", json={"body": "Hi"})) == CLOSED
    opened = [(await http.post(f"{path}/reopen")).json() for _ in range(2)]
    assert opened[0]["status"] == "open" and opened[0] == opened[1]
    await http.patch(path, json={"status": "closed"})
    await http.patch(path, json={"status": "closed"})
    back = await http.post(
        "/api/sms/conversations",
        json={"twilio_number_id": number, "contact_e164": ANN, "initial_message": {"body": "Again"}},
    )
    assert (back.status_code, back.json()["status"]) == (200, "open")
    told = [each["type"].removeprefix("conversation.") for each in await happened(http)]
    assert told == ["started", "closed", "reopened", "closed", "reopened"]
    assert {each["data"].get("by", "api") for each in await happened(http)} == {"api"}


async def test_assigning_snoozing_and_reading(edge: Edge) -> None:
    person = await edge.signed_in()
    await person.post("/api/organizations", json={"name": "Clinic"})
    me, org = (await person.get("/api/me")).json()["user"]["id"], await organization(person)
    thread = await started(person, await numbered(edge, person))
    path = f"/api/sms/conversations/{thread['id']}"

    async def patched(**fields: Any) -> dict[str, Any]:
        answer = await person.request("PATCH", path, json=fields)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    assert (await patched(assignee_id=me))["assignee_id"] == me
    assert (await patched(assignee_id="me"))["assignee_id"] == me
    assert (await patched(assignee_id=None))["assignee_id"] is None
    assert [each["data"]["assignee_id"] for each in await happened(person, "conversation.assigned")] == [me, None]
    stranger = ids.show(Kind.USER, ids.new())
    bad = await person.request("PATCH", path, json={"assignee_id": stranger})
    assert reasons(bad) == {"assignee_id": "is not a member of the team"}
    until = (now() + timedelta(hours=1)).replace(microsecond=0)
    assert datetime.fromisoformat((await patched(snoozed_until=until.isoformat()))["snoozed_until"]) == until
    assert await listed(person, snoozed=True) == [ANN] and await listed(person, snoozed=False) == []
    assert (await patched(snoozed_until=None))["snoozed_until"] is None
    for when in (now() - timedelta(seconds=1), now() + timedelta(days=400)):
        bad = await person.request("PATCH", path, json={"snoozed_until": when.isoformat()})
        assert reasons(bad).keys() == {"snoozed_until"}
    await patched(snoozed_until=until.isoformat())
    assert (await person.post(f"{path}/reopen")).json()["snoozed_until"] is None
    bad = await person.request("PATCH", path, json={"status": None})
    assert reasons(bad) == {"status": "can't be cleared"}
    await receive(edge, thread, org)
    await receive(edge, thread, org)
    assert (await person.get(path)).json()["unread_count"] == 2
    assert await listed(person, unread=True) == [ANN] and await listed(person, unread=False) == []
    read = [(await person.post(f"{path}/read")).json() for _ in range(2)]
    assert read[0]["unread_count"] == 0 and read[0] == read[1]
    assert await listed(person, unread=True) == []
    for field in ("unread_count", "contact_e164", "ai_paused_reason", "flow_id"):
        assert reasons(await person.request("PATCH", path, json={field: None})).keys() == {field}


async def test_only_who_can_answer_is_assigned_a_conversation(edge: Edge) -> None:
    ada, bob = await edge.signed_in(), await edge.signed_in("bob@example.com")
    await ada.post("/api/organizations", json={"name": "Clinic"})
    await ada.post("/api/team/invites", json={"email": "bob@example.com", "role": "viewer"})
    await bob.accept()
    his = (await bob.get("/api/me")).json()["user"]["id"]
    path = f"/api/sms/conversations/{(await started(ada, await numbered(edge, ada)))['id']}"
    refused = await ada.request("PATCH", path, json={"assignee_id": his})
    assert reasons(refused) == {"assignee_id": "is a viewer, who can't answer texts"}
    assert (await ada.get(path)).json()["assignee_id"] is None
    await ada.request("PATCH", f"/api/team/{his}", json={"role": "operator"})
    assert (await ada.request("PATCH", path, json={"assignee_id": his})).json()["assignee_id"] == his


async def test_a_snooze_ends_however_late_and_when_the_contact_writes(edge: Edge) -> None:
    http = await edge.client()
    number, org, db = await numbered(edge, http), await organization(http), edge.plane.control.db
    late, early = await started(http, number), await started(http, number, BOB)
    for thread in (late, early):
        await http.patch(
            f"/api/sms/conversations/{thread['id']}", json={"snoozed_until": (now() + timedelta(days=1)).isoformat()}
        )
    async with db.tenant(org) as tx:
        id = ids.require(Kind.CONVERSATION, late["id"])
        await inbox.snooze(tx, id, now() - timedelta(days=3))  # no worker ran for days
    assert await listed(http, snoozed=True) == [BOB]
    assert (await http.get(f"/api/sms/conversations/{late['id']}")).json()["snoozed_until"] is None
    async with db.system() as tx:
        assert await inbox.end_snoozes(tx, 10) == 1
        assert await inbox.end_snoozes(tx, 10) == 0
    await receive(edge, early, org)
    assert await listed(http, snoozed=True) == []


async def test_lists_are_the_tenants_filtered_and_stable(edge: Edge) -> None:
    http, other = await edge.client(), await edge.client("Other")
    number, second = await numbered(edge, http), await numbered(edge, http, "+13175550103")
    theirs = await started(other, await numbered(edge, other, "+13175550101"))
    org = await organization(http)
    contacts = [f"+1317555{n:04d}" for n in range(2000, 2009)]
    made = [await started(http, number, contact) for contact in contacts]
    await started(http, second, CARL)
    newest = [CARL, *reversed(contacts)]
    assert await listed(http) == newest
    assert await listed(http, number_id=second) == [CARL]
    assert await listed(http, number_id="nonsense") == await listed(http, assignee="me") == []
    assert await listed(http, assignee="none") == newest
    await http.post(f"/api/sms/conversations/{made[0]['id']}/close")
    assert await listed(http, status="closed") == contacts[:1]
    assert await listed(http, status="open") == newest[:-1]
    first = (await http.get("/api/sms/conversations", params={"limit": 4})).json()
    await receive(edge, made[8], org)  # moves from the first page to the top
    await started(http, number, BOB)
    rest = (await http.get("/api/sms/conversations", params={"limit": 50, "cursor": first["next_cursor"]})).json()
    shown = [each["contact_e164"] for each in (*first["conversations"], *rest["conversations"])]
    assert shown == newest
    assert rest["next_cursor"] is None
    assert (await listed(http))[:2] == [BOB, contacts[8]]
    wrong = {"cursor": first["next_cursor"], "status": "open"}
    assert code(await http.get("/api/sms/conversations", params=wrong)) == (400, "invalid_cursor")
    path = f"/api/sms/conversations/{theirs['id']}"
    for answer in (
        await http.get(path), await http.patch(path, json={"ai_paused": True}), await http.get(f"{path}/messages"),
        await http.post(f"{path}/messages", json={"body": "x"}), await http.post(f"{path}/read"),
        await http.post(f"{path}/close"), await http.post(f"{path}/reopen"),
    ):  # fmt: skip
        assert code(answer) == (404, "not_found")
    assert await listed(other) == [ANN]


async def test_a_conversations_pages(edge: Edge) -> None:
    http = await edge.client()
    path = f"/api/sms/conversations/{(await started(http, await numbered(edge, http)))['id']}/messages"
    for n in range(5):
        await http.post(path, json={"body": f"m{n}", "honor_quiet_hours": False})
    first = (await http.get(path, params={"limit": 2})).json()
    await http.post(path, json={"body": "m5", "honor_quiet_hours": False})
    rest = (await http.get(path, params={"limit": 9, "cursor": first["next_cursor"]})).json()
    assert [each["body"] for each in (*first["messages"], *rest["messages"])] == ["m4", "m3", "m2", "m1", "m0"]


async def test_search(edge: Edge) -> None:
    http, other = await edge.client(), await edge.client("Other")
    number = await numbered(edge, http)
    ann = (
        await http.post("/api/contacts", json={"phone_e164": ANN, "name": "Ann O'Brien", "company": "Müller & Söhne"})
    ).json()
    first, _ = await started(http, number), await started(http, number, BOB)
    await http.post(
        f"/api/sms/conversations/{first['id']}/messages", json={"body": "Your appointment is on Tuesday.", **NOW}
    )
    await receive(edge, first, await organization(http), "Réschedule please, call 555-0177")
    await started(other, await numbered(edge, other, "+13175550101"), ANN, initial_message={"body": "Tuesday"})
    for q in ("ann", "o'br", "SÖHNE", "sohne", "tuesday", "TUES", "reschedule", "appointment tuesday", "5551234",
              "(317) 555-1234", "+1 317-555-1234", "1234", "0177"):  # fmt: skip
        assert await listed(http, q=q) == [ANN], q
    assert await listed(http, q="317555") == [ANN, BOB]
    for q in ("nobody", "' OR true --", "!!!", "tuesday nobody", "z:*|b", "9999", "\\", "reschedule tuesday"):
        assert await listed(http, q=q) == [], q
    assert await listed(http, q="555", status="closed") == await listed(http, q="tuesday", unread=False) == []
    assert await listed(http, q="tuesday", unread=True, assignee="none", number_id=number, snoozed=False) == [ANN]
    await http.patch(f"/api/contacts/{ann['id']}", json={"name": "Zoë"})
    assert await listed(http, q="zoe") == [ANN] and await listed(http, q="brien") == []
    page = (await http.get("/api/sms/conversations", params={"q": "317555", "limit": 1})).json()
    assert await listed(http, q="317555", cursor=page["next_cursor"]) == [BOB]
    await http.delete(f"/api/contacts/{ann['id']}")
    assert await listed(http, q="zoe") == [] and await listed(http, q="5551234") == [ANN]


async def test_what_waits_is_counted(edge: Edge) -> None:
    person = await edge.signed_in()
    await person.post("/api/organizations", json={"name": "Clinic"})
    me, org, number = (
        (await person.get("/api/me")).json()["user"]["id"],
        await organization(person),
        await numbered(edge, person),
    )
    threads = [await started(person, number, f"+1317555{n:04d}") for n in range(4000, 4006)]

    async def counts() -> dict[str, Any]:
        found = (await person.get("/api/sms/inbox")).json()
        assert not any(found[name]["more"] for name in ("unread", "mine", "unassigned"))
        return {name: found[name]["conversations"] for name in ("unread", "mine", "unassigned")} | {
            "of": {each["assignee_id"]: each["unread"]["conversations"] for each in found["assignees"]}
        }

    assert await counts() == {"unread": 0, "mine": 0, "unassigned": 0, "of": {}}
    await asyncio.gather(*(receive(edge, each, org) for each in threads for _ in range(3)))
    await asyncio.gather(
        *(
            person.request("PATCH", f"/api/sms/conversations/{each['id']}", json={"assignee_id": me})
            for each in threads[:2]
        )
    )
    assert await counts() == {"unread": 6, "mine": 2, "unassigned": 4, "of": {me: 2}}
    assert len(await listed(person, unread=True)) == 6  # as counted one by one
    await person.post(f"/api/sms/conversations/{threads[0]['id']}/read")
    await person.post(f"/api/sms/conversations/{threads[5]['id']}/close")
    assert await counts() == {"unread": 4, "mine": 1, "unassigned": 3, "of": {me: 1}}


async def test_whoever_leaves_has_no_conversation(edge: Edge) -> None:
    ada, bob = await edge.signed_in(), await edge.signed_in("bob@example.com")
    await ada.post("/api/organizations", json={"name": "Clinic"})
    await ada.post("/api/team/invites", json={"email": "bob@example.com", "role": "operator"})
    await bob.accept()
    his = (await bob.get("/api/me")).json()["user"]["id"]
    thread = await started(ada, await numbered(edge, ada))
    path = f"/api/sms/conversations/{thread['id']}"
    assert (await ada.request("PATCH", path, json={"assignee_id": his})).json()["assignee_id"] == his
    assert await listed(bob, assignee="me") == await listed(ada, assignee=his) == [ANN]
    assert (await ada.request("DELETE", f"/api/team/{his}")).status_code == 204
    assert (await ada.get(path)).json()["assignee_id"] is None
    assert await listed(ada, assignee="none") == [ANN]
    again = await ada.request("PATCH", path, json={"assignee_id": his})
    assert reasons(again) == {"assignee_id": "is not a member of the team"}
