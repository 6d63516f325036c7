"""Texts over REST: what may be sent, when, and by whom."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from control.identity import usecases as identity
from hum import ids
from hum.clock import now
from hum.ids import Kind
from storage import conversations
from tests.contract.conftest import Edge
from tests.contract.inbox import ANN, BOB, STATE, code, listed, numbered, organization, reasons, started


async def test_what_must_not_be_texted(edge: Edge) -> None:
    http, other = await edge.client(), await edge.client("Other")
    number = await numbered(edge, http)
    theirs = await numbered(edge, other, "+13175550101")

    async def refused(**fields: Any) -> dict[str, str]:
        body = {"twilio_number_id": number, "contact_e164": ANN, **fields}
        return reasons(await http.post("/api/sms/conversations", json=body))

    assert await refused(twilio_number_id=theirs) == {"twilio_number_id": "does not exist"}
    assert await refused(twilio_number_id="nonsense") == {"twilio_number_id": "does not exist"}
    assert await refused(contact_e164="+13175550100") == {"contact_e164": "is the number itself"}
    assert "premium-rate" in (await refused(contact_e164="+19005551234"))["contact_e164"]
    assert "country (JM)" in (await refused(contact_e164="+18765551234"))["contact_e164"]
    assert await refused(initial_message={"body": "  \n"}) == {
        "initial_message.body": "must hold something, if there is no media"
    }
    assert (await refused(contact_e164="317"))["contact_e164"]
    assert await listed(http) == []
    second = await numbered(edge, http, "+13175550102")
    both = await started(http, number, "+13175550102")  # two of our own may text each other
    assert both["contact_e164"] == "+13175550102"
    await http.patch(f"/api/numbers/{second}", json={"sms_enabled": False})
    body = {"twilio_number_id": second, "contact_e164": ANN}
    assert code(await http.post("/api/sms/conversations", json=body)) == STATE


async def test_a_person_silences_the_ai_and_a_key_does_not(edge: Edge) -> None:
    person = await edge.signed_in()
    await person.post("/api/organizations", json={"name": "Clinic"})
    number = await numbered(edge, person)
    thread = await started(person, number, initial_message={"body": "Hi Ann"})
    assert (thread["ai_paused"], thread["ai_paused_reason"]) == (True, "human")
    path = f"/api/sms/conversations/{thread['id']}"
    secret = (
        await person.post("/api/api-keys", json={"name": "k", "role": "operator", "scopes": ["sms:write"]})
    ).json()
    http = httpx.AsyncClient(
        base_url=edge.url, headers={"Authorization": f"Bearer {secret['secret']}"}, trust_env=False
    )
    resumed = (await http.patch(path, json={"ai_paused": False})).json()
    assert (resumed["ai_paused"], resumed["ai_paused_reason"]) == (False, None)
    sent = (await http.post(f"{path}/messages", json={"body": "Your order is ready."})).json()
    assert (sent["sent_by"], sent["author_id"], sent["segments"]) == ("api", None, 1)
    assert (await http.get(path)).json()["ai_paused"] is False
    mine = (await person.post(f"{path}/messages", json={"body": "I am here."})).json()
    assert (mine["sent_by"], mine["author_id"]) == ("human", (await person.get("/api/me")).json()["user"]["id"])
    assert (await http.get(path)).json()["ai_paused_reason"] == "human"
    shown = (await http.get(f"{path}/messages")).json()["messages"]
    assert [each["body"] for each in shown] == ["I am here.", "Your order is ready.", "Hi Ann"]


async def test_hours_hold_a_keys_text_and_not_a_persons(edge: Edge) -> None:
    person = await edge.signed_in()
    await person.post("/api/organizations", json={"name": "Clinic"})
    opens = now() + timedelta(hours=12)
    late = [[f"{opens:%H}:00", f"{opens:%H}:01"]]
    hours = {"weekly": dict.fromkeys(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), late)}
    changed = await person.request("PATCH", "/api/organization", json={"business_hours_json": hours})
    assert changed.status_code == 200, changed.text
    thread = await started(person, await numbered(edge, person))
    path = f"/api/sms/conversations/{thread['id']}/messages"
    made = await person.post("/api/api-keys", json={"name": "k", "role": "operator", "scopes": ["*"]})
    http = httpx.AsyncClient(
        base_url=edge.url, headers={"Authorization": f"Bearer {made.json()['secret']}"}, trust_env=False
    )
    held = (await http.post(path, json={"body": "Offer"})).json()
    assert (held["status"], held["source"], held["held_by"]) == ("scheduled", "quiet_hours", "organization_hours")
    assert (await http.post(path, json={"body": "Now", "honor_quiet_hours": False})).json()["status"] == "queued"
    assert (await person.post(path, json={"body": "Now"})).json()["status"] == "queued"
    assert (await person.post(path, json={"body": "Later", "honor_quiet_hours": True})).json()["status"] == "scheduled"


async def test_every_bad_message_is_named(edge: Edge) -> None:
    http = await edge.client()
    number = await numbered(edge, http)
    path = f"/api/sms/conversations/{(await started(http, number))['id']}/messages"
    soon, past, far = (now() + timedelta(hours=1), now() - timedelta(hours=1), now() + timedelta(days=400))
    for fields, field in [
        ({}, "body"),
        ({"body": " "}, "body"),
        ({"body": "x" * 1601}, "body"),
        ({"body": "a\0b"}, "body"),
        ({"body": "x", "scheduled_at": far.isoformat()}, "scheduled_at"),
        ({"body": "x", "expires_at": past.isoformat()}, "expires_at"),
        ({"body": "x", "scheduled_at": soon.isoformat(), "expires_at": soon.isoformat()}, "expires_at"),
        ({"media_urls": ["http://pictures.example/a.png"]}, "media_urls[0]"),
        ({"media_urls": ["https://pictures.example/a.png", "https://127.0.0.1/"]}, "media_urls[1]"),
        ({"media_urls": ["https://u:p@pictures.example/"]}, "media_urls[0]"),
        ({"media_urls": ["https://pictures.example:22/"]}, "media_urls[0]"),
        ({"media_urls": ["https://0x7f.1/"]}, "media_urls[0]"),
        ({"media_urls": ["https://pictures.example/a.png"] * 11}, "media_urls"),
    ]:
        assert reasons(await http.post(path, json=fields)).keys() == {field}, fields
    assert (await http.get(path)).json()["messages"] == []
    sent = await http.post(path, json={"media_urls": ["https://pictures.example/a.png"]})
    assert sent.status_code == 201, sent.text
    assert [each["url"] for each in sent.json()["media"]] == ["https://pictures.example/a.png"]
    emoji = (await http.post(path, json={"body": "👋" * 36})).json()
    assert emoji["segments"] == 2


async def test_scheduled_messages(edge: Edge) -> None:
    http, other = await edge.client(), await edge.client("Other")
    number, org = await numbered(edge, http), await organization(http)
    threads = [await started(http, number, contact) for contact in (ANN, BOB)]
    at = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(days=1)
    made = []
    for n in (2, 0, 1):
        path = f"/api/sms/conversations/{threads[n % 2]['id']}/messages"
        when = (at + timedelta(hours=n)).isoformat()
        made.append((await http.post(path, json={"body": f"m{n}", "scheduled_at": when})).json())

    async def bodies(**query: Any) -> list[str]:
        found = (await http.get("/api/sms/scheduled", params=query)).json()
        return [each["body"] for each in found["messages"]]

    assert await bodies() == ["m0", "m1", "m2"]
    assert await bodies(conversation_id=threads[1]["id"]) == ["m1"]
    assert await bodies(source="ai_followup") == await bodies(conversation_id="nonsense") == []
    first = (await http.get("/api/sms/scheduled", params={"limit": 2})).json()
    assert await bodies(limit=2, cursor=first["next_cursor"]) == ["m2"]
    gone = f"/api/sms/scheduled/{made[0]['id']}"
    assert code(await other.delete(gone)) == (404, "not_found")
    assert (await http.delete(gone)).status_code == 204
    assert code(await http.delete(gone)) == STATE
    assert await bodies() == ["m0", "m1"]
    # It leaves at this moment: who sends it has the row, and whoever cancels it waits, and comes too late.
    leaving = ids.require(Kind.MESSAGE, made[1]["id"])
    async with edge.plane.control.db.tenant(org) as tx:
        await tx.execute("UPDATE messages SET status = 'queued', due_at = NULL WHERE id = $1", leaving)
        late = asyncio.ensure_future(http.delete(f"/api/sms/scheduled/{made[1]['id']}"))
        while not await tx.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):
            await asyncio.sleep(0.01)
    assert code(await late) == STATE


async def test_who_may_do_what(edge: Edge) -> None:
    http = await edge.client()
    number = await numbered(edge, http)
    thread = await started(http, number)
    path = f"/api/sms/conversations/{thread['id']}"

    async def key(role: str, *scopes: str) -> httpx.AsyncClient:
        _, made = await identity.issue_key(edge.plane.control.db, await organization(http), "k", role, list(scopes))
        return httpx.AsyncClient(base_url=edge.url, headers={"Authorization": f"Bearer {made}"}, trust_env=False)

    viewer, reader, caller = (
        await key("viewer", "*"),
        await key("operator", "sms:read"),
        await key("admin", "calls:write"),
    )
    for each in (viewer, reader):
        assert await listed(each) == [ANN]
        assert (await each.get("/api/sms/scheduled")).status_code == 200
    bodies: list[tuple[str, str, Any]] = [
        ("POST", "/api/sms/conversations", {"twilio_number_id": number, "contact_e164": BOB}),
        ("PATCH", path, {"ai_paused": True}),
        ("POST", f"{path}/messages", {"body": "x"}),
        ("POST", f"{path}/read", None),
        ("POST", f"{path}/close", None),
        ("POST", f"{path}/reopen", None),
        ("DELETE", f"/api/sms/scheduled/{ids.show(Kind.MESSAGE, ids.new())}", None),
    ]
    for verb, url, body in bodies:
        assert code(await viewer.request(verb, url, json=body)) == (403, "forbidden"), url
        assert code(await reader.request(verb, url, json=body)) == (403, "insufficient_scope"), url
    assert code(await caller.get(path)) == (403, "insufficient_scope")
    assert (await httpx.AsyncClient(base_url=edge.url, trust_env=False).get(path)).status_code == 401


async def test_templates(edge: Edge) -> None:
    http, other = await edge.client(), await edge.client("Other")
    await http.post("/api/contacts", json={"phone_e164": ANN, "name": "Ann O'Brien"})
    thread = await started(http, await numbered(edge, http))
    body = {"name": "Hello", "body": "Hi {{contact.first_name|there}}, {{org.name}} of {{contact.company}}here."}
    made = await http.post("/api/sms/templates", json=body)
    assert made.status_code == 201, made.text
    template = made.json()
    assert template["variables"] == ["contact.first_name", "org.name", "contact.company"]
    path = f"/api/sms/templates/{template['id']}"
    assert (await http.get(path)).json() == template
    assert code(await http.post("/api/sms/templates", json={**body, "name": "hELLO"})) == (409, "already_exists")
    for text in ("{{contact.nam}}", "{{contact.name"):
        assert reasons(await http.post("/api/sms/templates", json={"name": "x", "body": text})).keys() == {"body"}
    assert reasons(await http.patch(path, json={"body": "{{x}}"})).keys() == {"body"}
    for bad in ({"name": " y", "body": "x"}, {"name": "y" * 121, "body": "x"}):
        assert reasons(await http.post("/api/sms/templates", json=bad)).keys() == {"name"}
    rendered = await http.get(f"{path}/rendered", params={"conversation_id": thread["id"]})
    assert rendered.json() == {"body": "Hi Ann, Clinic of here.", "segments": 1, "missing": ["contact.company"]}
    changed = (await http.patch(path, json={"name": "Bye"})).json()
    assert (changed["name"], changed["body"]) == ("Bye", body["body"])
    assert [each["name"] for each in (await http.get("/api/sms/templates")).json()["templates"]] == ["Bye"]
    for answer in (
        await other.get(path), await other.patch(path, json={"name": "x"}), await other.delete(path),
        await other.get(f"{path}/rendered", params={"conversation_id": thread["id"]}),
        await http.get(f"{path}/rendered", params={"conversation_id": "conv_x"}),
    ):  # fmt: skip
        assert code(answer) == (404, "not_found")
    assert (await other.get("/api/sms/templates")).json()["templates"] == []
    assert (await http.delete(path)).status_code == 204
    assert code(await http.delete(path)) == (404, "not_found")


async def test_the_hours_of_texts_are_told_before_one_is_sent(edge: Edge) -> None:
    http = await edge.client()
    number = await numbered(edge, http)
    await http.patch("/api/organization", json={"recipient_hours_enabled": True, "time_zone": "America/Chicago"})
    thread = await started(http, number, ANN)

    async def hours(**query: Any) -> dict[str, Any]:
        answer = await http.get("/api/sms/hours", params=query)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    night = {
        "is_open": False,
        "opens_at": "2026-06-01T12:00:00Z",
        "held_by": "recipient_hours",
        "contact_time_zone": "America/New_York",
        "is_day": False,
    }
    assert await hours(contact_e164=ANN, at="2026-06-01T06:12:00Z") == night
    assert await hours(conversation_id=thread["id"], at="2026-06-01T06:12:00Z") == night
    day = await hours(contact_e164=ANN, at="2026-06-01T16:00:00Z")
    assert (day["is_open"], day["is_day"], day["held_by"]) == (True, True, None)
    # Whoever has just written is answered, though it is night there.
    async with edge.plane.control.db.tenant(await organization(http)) as tx:
        id = ids.require(Kind.CONVERSATION, thread["id"])
        await conversations.touch(tx, id, datetime(2026, 6, 1, 6, 0, tzinfo=UTC), "Hi?", "inbound", opens=True)
    awake = await hours(conversation_id=thread["id"], at="2026-06-01T06:12:00Z")
    assert (awake["is_open"], awake["is_day"]) == (True, False)
    assert (await hours(contact_e164=ANN, at="2026-06-01T06:12:00Z"))["is_open"]
    await http.patch("/api/organization", json={"recipient_hours_enabled": False})
    kept = await hours(contact_e164=BOB, at="2026-06-01T06:12:00Z")
    assert (kept["is_open"], kept["is_day"]) == (True, False)
    other = await edge.client("Other")
    missing = await other.get("/api/sms/hours", params={"conversation_id": thread["id"]})
    assert missing.status_code == 404
    assert reasons(await http.get("/api/sms/hours")) == {"contact_e164": "is required where there is no conversation"}
