"""Campaigns over REST: the guide's own body, drafts, pages of recipients, launch, pause and cancel, and the forecast."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest

from control.campaigns.dispatching import Dispatcher
from hum import ids
from hum.clock import now
from tests.contract.conftest import Edge
from tests.contract.inbox import listed, organization, receive, started
from tests.contract.test_sms_stream import following
from tests.control.campaigns.conftest import LIMITS
from tests.support.cases import in_turn

NUMBER = "+13175550100"
CAMPAIGNS = "/api/sms/campaigns"
UNKNOWN = f"{CAMPAIGNS}/camp_" + "0" * 26


async def clinic(edge: Edge, **options: Any) -> tuple[httpx.AsyncClient, str]:
    """A client, and the number that texts."""
    http = await edge.client(**options)
    made = await http.post("/api/numbers", json={"e164": NUMBER})
    assert made.status_code == 201, made.text
    number = made.json()["id"]
    assert (await http.patch(f"/api/numbers/{number}", json={"sms_enabled": True})).status_code == 200
    return http, number


@pytest.fixture
async def campaigning(edge: Edge) -> tuple[httpx.AsyncClient, str]:
    return await clinic(edge)


def guide(number: str, **fields: Any) -> dict[str, Any]:
    """The body of the product guide's example."""
    return {
        "name": "January refill reminder",
        "twilio_number_id": number,
        "body_template": "Hi! Time to refill. Reply STOP to opt out.",
        "throttle_per_minute": 30,
        "scheduled_start_at": "2026-02-01T09:00:00Z",
        "recipients": [
            {"contact_e164": "+13175551234"},
            {"contact_e164": "+13175555678", "body": "Custom override for this recipient"},
        ],
        **fields,
    }


async def dispatch(edge: Edge) -> None:
    await Dispatcher(edge.plane.control.db, LIMITS).dispatch()


async def test_the_guides_campaign_is_created_launched_and_sent(edge: Edge) -> None:
    http, number = await clinic(edge)
    made = await http.post(CAMPAIGNS, json=guide(number))
    assert made.status_code == 201, made.text
    campaign = made.json()
    assert (campaign["status"], campaign["counts"]["pending"], campaign["counts"]["total"]) == ("draft", 2, 2)
    assert campaign["scheduled_start_at"] == "2026-02-01T09:00:00Z" and campaign["honor_quiet_hours"] is True
    assert (campaign["flow_id"], campaign["expires_at"], campaign["reason"], campaign["forecast"]) == (None,) * 4
    path = f"{CAMPAIGNS}/{campaign['id']}"
    launched = await http.post(f"{path}/launch")
    assert launched.status_code == 200, launched.text
    assert (launched.json()["status"], launched.json()["id"]) == ("queued", campaign["id"])
    await dispatch(edge)
    running = (await http.get(path)).json()
    assert (running["status"], running["counts"]["sending"]) == ("running", 2)
    async with edge.plane.control.db.system() as tx:
        await tx.execute("UPDATE messages SET status = 'delivered', due_at = NULL")
        await tx.execute("UPDATE campaigns SET look_at = now()")
    await dispatch(edge)
    ended = (await http.get(path)).json()
    assert (ended["status"], ended["counts"]["delivered"]) == ("completed", 2) and ended["ended_at"]
    shown = (await http.get(f"{path}/recipients")).json()["recipients"]
    assert [(each["contact_e164"], each["status"], each["body"]) for each in shown] == [
        ("+13175551234", "delivered", None),
        ("+13175555678", "delivered", "Custom override for this recipient"),
    ]
    assert (await http.get(CAMPAIGNS)).json() == {"campaigns": [ended], "next_cursor": None}
    types = [each["type"] for each in (await http.get("/api/events")).json()["events"]]
    assert [each for each in types if each.startswith("campaign.")] == ["campaign.launched", "campaign.completed"]
    entries = (await http.get("/api/audit-log")).json()["entries"]
    assert {"createCampaign", "launchCampaign"} <= {each["action"] for each in entries}


async def test_a_campaigns_conversations_come_into_the_inbox_when_somebody_answers(edge: Edge) -> None:
    http, number = await clinic(edge)
    org = await organization(http)
    contacts = [f"+1317555{n:04d}" for n in range(2000, 2006)]
    known, closed = [await started(http, number, each) for each in contacts[:2]]
    await http.post(f"/api/sms/conversations/{closed['id']}/close")
    recipients = [{"contact_e164": each} for each in contacts]
    fields = {
        "recipients": recipients,
        "scheduled_start_at": None,
        "throttle_per_minute": None,
        "honor_quiet_hours": False,
    }
    campaign = (await http.post(CAMPAIGNS, json=guide(number, **fields))).json()
    await http.post(f"{CAMPAIGNS}/{campaign['id']}/launch")
    await dispatch(edge)

    async def inbox() -> list[str]:
        return sorted(await listed(http, status="open", snoozed=False, campaign_only=False))

    async def threads() -> dict[str, dict[str, Any]]:
        found = (await http.get("/api/sms/conversations")).json()["conversations"]
        return {each["contact_e164"]: each for each in found}

    assert await inbox() == [known["contact_e164"]]
    assert sorted(await listed(http, campaign_only=True)) == contacts[1:]
    assert sorted(await listed(http, campaign_only=True, q="317555")) == contacts[1:]
    assert await listed(http, campaign_only=False, q="317555") == [known["contact_e164"]]
    assert sorted(await threads()) == contacts  # without the filter, all
    begun = await threads()
    paths = [f"/api/sms/conversations/{begun[each]['id']}" for each in contacts]
    await receive(edge, begun[contacts[1]], org)
    await http.post(
        f"{paths[2]}/messages", json={"body": "Hi", "scheduled_at": (now() + timedelta(days=1)).isoformat()}
    )
    await http.post(f"{paths[3]}/reopen")
    await http.patch(paths[4], json={"snoozed_until": (now() + timedelta(days=1)).isoformat()})
    await http.post(f"{paths[5]}/close")
    assert await inbox() == contacts[:4]
    assert not any(each["campaign_only"] for each in (await threads()).values())
    again = (await http.post(CAMPAIGNS, json=guide(number, **fields))).json()
    await http.post(f"{CAMPAIGNS}/{again['id']}/launch")
    await dispatch(edge)
    assert await inbox() == contacts[:4]  # the next one opens what is closed, and takes nothing out of the inbox
    assert await listed(http, campaign_only=True) == [contacts[5]]


async def test_twelve_spellings_of_a_number_are_one_recipient(edge: Edge) -> None:
    http, number = await clinic(edge)
    spellings = [
        "+13175551234", "+1 317 555 1234", "+1 (317) 555-1234", "(317) 555-1234", "317-555-1234", "317.555.1234",
        "3175551234", "1 317 555 1234", "tel:+13175551234", "+1\u2011317\u2011555\u20111234", " +13175551234 ",
        "+\uff11\uff13\uff11\uff17\uff15\uff15\uff15\uff11\uff12\uff13\uff14",
    ]  # fmt: skip
    given = [{"contact_e164": each} for each in spellings]
    made = await http.post(CAMPAIGNS, json=guide(number, recipients=[*given, {"contact_e164": "12"}]))
    assert made.status_code == 201, made.text
    counts = made.json()["counts"]
    assert (counts["total"], counts["pending"], counts["skipped"], counts["duplicates"]) == (2, 1, 1, 11)
    path = f"{CAMPAIGNS}/{made.json()['id']}/recipients"
    (skipped,) = (await http.get(path, params={"status": "skipped"})).json()["recipients"]
    assert (skipped["contact_e164"], skipped["reason"]) == ("12", "invalid_number") and skipped["reason_text"]
    again = await http.post(
        path, json={"recipients": [{"contact_e164": "317 555 1234"}, {"contact_e164": "+13175550001"}]}
    )
    assert again.json() == {"added": 1, "duplicates": 1, "invalid": 0}


async def test_recipients_are_added_by_page_and_by_tag_and_listed_in_pages(edge: Edge, charged: list[int]) -> None:
    http, number = await clinic(edge)
    for index, tag in enumerate(["vip", "vip", "other"]):
        contact = {"phone_e164": f"+1317555090{index}", "tags": [tag]}
        assert (await http.post("/api/contacts", json=contact)).status_code == 201
    id = (await http.post(CAMPAIGNS, json=guide(number, recipients=[]))).json()["id"]
    path = f"{CAMPAIGNS}/{id}/recipients"
    page = [{"contact_e164": f"+1317555{n:04d}", "variables": {"n": str(n)}} for n in range(901, 906)]
    assert (await http.post(path, json={"recipients": page})).json() == {"added": 5, "duplicates": 0, "invalid": 0}
    charged.clear()
    assert (await http.post(path, json={"tag": "vip"})).json() == {"added": 1, "duplicates": 1, "invalid": 0}
    assert charged == [100], "the one that was added"
    seen = list[str]()
    cursor: str | None = ""
    while cursor is not None:
        answer = (await http.get(path, params={"limit": 2, "cursor": cursor, "status": "pending"})).json()
        seen += [each["contact_e164"] for each in answer["recipients"]]
        cursor = answer["next_cursor"]
    assert seen == [f"+1317555{n:04d}" for n in range(901, 906)] + ["+13175550900"]
    assert (await http.get(path, params={"limit": 1})).json()["recipients"][0]["variables"] == {"n": "901"}
    for body in ({}, {"recipients": page, "tag": "vip"}):
        assert (await http.post(path, json=body)).status_code == 400
    await http.post(f"{CAMPAIGNS}/{id}/launch")
    late = await http.post(path, json={"tag": "other"})
    assert (late.status_code, late.json()["error"]["code"]) == (409, "invalid_state")


async def test_only_a_draft_is_changed_or_deleted(edge: Edge) -> None:
    http, number = await clinic(edge)
    id = (await http.post(CAMPAIGNS, json=guide(number))).json()["id"]
    path = f"{CAMPAIGNS}/{id}"
    changed = await http.patch(path, json={"name": "B", "throttle_per_minute": None, "honor_quiet_hours": 0})
    assert changed.status_code == 200, changed.text
    shown = changed.json()
    assert (shown["name"], shown["throttle_per_minute"], shown["honor_quiet_hours"]) == ("B", None, False)
    assert shown["body_template"].startswith("Hi!") and shown["scheduled_start_at"]
    for body, field in (
        ({"name": None}, "campaign.name"),
        ({"body_template": " "}, "body_template"),
        ({"twilio_number_id": "x"}, "twilio_number_id"),
        ({"flow_id": "flow_" + "0" * 26}, "flow_id"),
        ({"throttle_per_minute": 0}, "throttle_per_minute"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "9999-12-31T23:59:59Z"}, "expires_at"),
        ({"scheduled_start_at": "9999-12-31T23:59:59Z"}, "scheduled_start_at"),
        ({"media_urls": ["ftp://x"]}, "media_urls[0]"),
        ({"status": "running"}, "status"),
    ):
        refused = await http.patch(path, json=body)
        assert refused.status_code == 400, body
        assert refused.json()["error"]["details"][0]["field"].endswith(field.removeprefix("campaign.")), refused.text
    later = (now() + timedelta(days=300)).isoformat()
    assert (await http.patch(path, json={"scheduled_start_at": later})).status_code == 200
    assert (await http.post(f"{path}/launch")).status_code == 200
    for verb in ("PATCH", "DELETE"):
        refused = await http.request(verb, path, json={"name": "C"} if verb == "PATCH" else None)
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "invalid_state")
    other = (await http.post(CAMPAIGNS, json=guide(number))).json()["id"]
    assert (await http.delete(f"{CAMPAIGNS}/{other}")).status_code == 204
    assert (await http.get(f"{CAMPAIGNS}/{other}")).status_code == 404


async def test_twice_launched_at_once_is_launched_once(edge: Edge) -> None:
    http, number = await clinic(edge)
    id = (await http.post(CAMPAIGNS, json=guide(number))).json()["id"]
    answers = await asyncio.gather(*(http.post(f"{CAMPAIGNS}/{id}/launch") for _ in range(4)))
    assert sorted(each.status_code for each in answers) == [200, 409, 409, 409]
    await asyncio.gather(*(dispatch(edge) for _ in range(3)))
    async with edge.plane.control.db.system() as tx:
        assert await tx.fetchval("SELECT count(*) FROM messages") == 2


async def test_pause_resume_and_cancel(edge: Edge) -> None:
    http, number = await clinic(edge)
    path = f"{CAMPAIGNS}/{(await http.post(CAMPAIGNS, json=guide(number))).json()['id']}"
    early = await http.post(f"{path}/pause")
    assert (early.status_code, early.json()["error"]["code"]) == (409, "invalid_state")
    await http.post(f"{path}/launch")
    await dispatch(edge)
    paused = (await http.post(f"{path}/pause")).json()
    assert (paused["status"], paused["reason"], paused["reason_text"]) == ("paused", "person", "Somebody paused it.")
    assert (paused["counts"]["pending"], paused["counts"]["sending"]) == (2, 0)
    assert (await http.post(f"{path}/launch")).json()["status"] == "queued"
    canceled = (await http.post(f"{path}/cancel")).json()
    assert (canceled["status"], canceled["counts"]["canceled"]) == ("canceled", 2)
    assert (await http.post(f"{path}/cancel")).status_code == 200
    assert (await http.post(f"{path}/launch")).status_code == 409
    assert [
        each["status"] for each in (await http.get(CAMPAIGNS, params={"status": "canceled"})).json()["campaigns"]
    ] == ["canceled"]
    assert (await http.get(CAMPAIGNS, params={"status": "paused"})).json()["campaigns"] == []


async def test_progress_is_told_to_who_may_see_campaigns(edge: Edge) -> None:
    http, number = await clinic(edge)
    key = await http.post("/api/api-keys", json={"name": "inbox", "role": "viewer", "scopes": ["sms:read"]})
    assert key.status_code == 201, key.text
    narrow = httpx.AsyncClient(
        base_url=edge.url, headers={"Authorization": f"Bearer {key.json()['secret']}"}, trust_env=False
    )
    async with following(http) as stream, following(narrow) as theirs:
        assert (await stream.next())[0] == (await theirs.next())[0] == "resync"
        made = (await http.post(CAMPAIGNS, json=guide(number))).json()
        assert await stream.next() == ("campaign.updated", made)
        launched = (await http.post(f"{CAMPAIGNS}/{made['id']}/launch")).json()
        assert await stream.next() == ("campaign.updated", launched)
        await dispatch(edge)
        name, told = (await stream.until("campaign.updated"))[-1]
        assert (name, told["status"], told["counts"]["sending"]) == ("campaign.updated", "running", 2)
        assert (await theirs.next())[0] != "campaign.updated"


async def test_a_forecast_changes_nothing(edge: Edge) -> None:
    http, number = await clinic(edge)
    await http.post("/api/contacts", json={"phone_e164": "+13175551234", "name": "Ada"})
    given = [
        {"contact_e164": "+13175551234"},
        {"contact_e164": "+1 317 555 1234"},
        {"contact_e164": "+13175555678", "body": "\u00e7" * 71},
        {"contact_e164": "+13175550001", "body": "{{nothing}}"},
        {"contact_e164": "nobody"},
    ]
    body = guide(number, body_template="Hi {{contact.name|there}}", recipients=given, honor_quiet_hours=False)
    path = f"{CAMPAIGNS}/{(await http.post(CAMPAIGNS, json=body)).json()['id']}"
    answer = await http.post(f"{path}/launch", json={"validate_only": True})
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "draft"
    forecast = answer.json()["forecast"]
    assert (forecast["recipients"], forecast["segments"], forecast["segments_estimated"]) == (3, 3, False)
    assert (forecast["duplicates"], forecast["invalid"], forecast["unsendable"]) == (1, 1, 1)
    # As the text's composer says it, by the same prices.
    preview = {"body": "\u00e7" * 141, "to_e164": "+13175551234"}
    cost = (await http.post("/api/sms/preview", json=preview)).json()["cost"]
    assert cost == {"amount": forecast["cost"], "currency": forecast["cost_currency"]}
    assert [each["body"][:6] for each in forecast["samples"]] == ["Hi Ada", "\u00e7" * 6]
    assert sum(each["recipients"] for each in forecast["hours"]) == 3 and forecast["finishes_at"]
    assert (await http.get(path)).json()["status"] == "draft"


async def test_a_look_at_what_a_launch_would_do_is_no_launch(edge: Edge) -> None:
    http, number = await clinic(edge)
    path = f"{CAMPAIGNS}/{(await http.post(CAMPAIGNS, json=guide(number, honor_quiet_hours=False))).json()['id']}"
    before = len((await http.get("/api/audit-log")).json()["entries"])
    looked = await http.get(f"{path}/forecast")
    assert looked.status_code == 200, looked.text
    asked = (await http.post(f"{path}/launch", json={"validate_only": True})).json()["forecast"]
    assert looked.json()["recipients"] == asked["recipients"] == 2
    assert len((await http.get("/api/audit-log")).json()["entries"]) == before
    assert (await http.get(path)).json()["status"] == "draft"
    (zone,) = asked["zones"]
    assert (zone["time_zone"], zone["recipients"]) == ("America/New_York", 2)
    assert asked["at_night"] == (0 if zone["is_day"] else 2), "it keeps no hours"
    await http.post(f"{path}/launch")
    assert (await http.get("/api/audit-log")).json()["entries"][0]["action"] == "launchCampaign"
    again = await http.get(f"{path}/forecast")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "invalid_state")


async def test_a_campaign_tells_which_hours_hold_its_texts_back(edge: Edge) -> None:
    http, number = await clinic(edge)
    path = f"{CAMPAIGNS}/{(await http.post(CAMPAIGNS, json=guide(number))).json()['id']}"

    async def held_by(**organization: Any) -> list[str]:
        assert (await http.patch("/api/organization", json=organization)).status_code == 200
        hours: list[str] = (await http.get(path)).json()["quiet_hours"]
        return hours

    office = {"weekly": {"mon": [["09:00", "17:00"]]}}
    assert await held_by(recipient_hours_enabled=True) == ["recipient_hours"]
    assert await held_by(business_hours_json=office) == ["organization_hours", "recipient_hours"]
    assert await held_by(recipient_hours_enabled=False) == ["organization_hours"]
    assert await held_by(quiet_hours_enabled=False) == []
    await held_by(quiet_hours_enabled=True, recipient_hours_enabled=True)
    await http.patch(path, json={"honor_quiet_hours": False})
    assert (await http.get(path)).json()["quiet_hours"] == []


async def test_a_forecast_counts_whom_a_launch_would_text(edge: Edge) -> None:
    """As the dispatcher decides: the same campaign is launched, and texts exactly those."""
    http, number = await clinic(edge)
    own = (await http.get("/api/numbers")).json()["numbers"][0]["e164"]
    wrong = [f"+1317555{place:04d}" for place in range(300, 306)]
    given = [
        *({"contact_e164": each, "body": "{{nothing}}"} for each in wrong),
        *({"contact_e164": each} for each in (own, "+13175550190", "+4915123456789", "+4915123456780")),
        *({"contact_e164": f"+1317555{place:04d}"} for place in range(200, 206)),
        *({"contact_e164": each} for each in ("+13175550191", "+13175550192")),
    ]
    for phone_e164 in ("+13175550190", "+13175550200"):
        await http.post("/api/contacts", json={"phone_e164": phone_e164})
    assert (await http.post("/api/blocklist", json={"phone_e164": "+13175550191"})).status_code == 201
    assert (await http.post("/api/sms/opt-outs", json={"contact_e164": "+13175550192"})).status_code < 300
    async with edge.plane.control.db.system() as tx:
        await tx.execute("UPDATE contacts SET untextable_code = '30006' WHERE phone_e164 = '+13175550190'")
        lookup = '{"line_type": "landline"}'
        await tx.execute("UPDATE contacts SET said_by_lookup = $1 WHERE phone_e164 = '+13175550200'", lookup)
        await tx.execute(
            """INSERT INTO conversations (id, org_id, number_id, number_e164, contact_e164)
               SELECT $1, org_id, id, e164, '+4915123456780' FROM numbers""",
            ids.new(),
        )
    body = guide(number, body_template="Hi", recipients=given, honor_quiet_hours=False, throttle_per_minute=None)
    path = f"{CAMPAIGNS}/{(await http.post(CAMPAIGNS, json=body)).json()['id']}"
    forecast = (await http.post(f"{path}/launch", json={"validate_only": True})).json()["forecast"]
    assert (forecast["recipients"], forecast["unreachable"], forecast["unsendable"]) == (13, 3, 6)
    assert (forecast["blocked"], forecast["opted_out"], forecast["landlines"]) == (1, 1, 1)
    assert (forecast["segments"], len(forecast["samples"])) == (7, 5)
    await http.post(f"{path}/launch")
    await dispatch(edge)
    counts = (await http.get(path)).json()["counts"]
    assert (counts["sending"], counts["skipped"], counts["opted_out"]) == (7, 10, 1)


@in_turn(
    ("fields", "field"),
    [
        ({"name": ""}, "name"),
        ({"twilio_number_id": "01" + "0" * 24}, "twilio_number_id"),
        ({"flow_id": "flow_" + "0" * 26}, "flow_id"),
        ({"body_template": ""}, "body_template"),
        ({"body_template": "x" * 1601}, "body_template"),
        ({"body_template": "Hi {{contact.name"}, "body_template"),
        ({"recipients": [{"contact_e164": "+13175551234", "body": "{{a b}}"}]}, "recipients[0].body"),
        ({"throttle_per_minute": 0}, "throttle_per_minute"),
        ({"recipients": [{"contact_e164": ""}]}, "recipients[0].contact_e164"),
        ({"recipients": [{"contact_e164": "+13175551234", "variables": {"": "x"}}]}, 'recipients[0].variables[""]'),
        ({"expires_at": "2026-01-01T00:00:00Z"}, "expires_at"),
    ],
)
async def test_what_is_wrong_is_told(
    campaigning: tuple[httpx.AsyncClient, str], fields: dict[str, Any], field: str
) -> None:
    http, number = campaigning
    refused = await http.post(CAMPAIGNS, json=guide(number, **fields))
    assert refused.status_code == 400, refused.text
    assert [each["field"] for each in refused.json()["error"]["details"]] == [field]


async def test_nobody_else_reaches_a_campaign(edge: Edge) -> None:
    http, number = await clinic(edge)
    id = (await http.post(CAMPAIGNS, json=guide(number))).json()["id"]
    stranger = await edge.client(name="Stranger")
    calls = [
        ("GET", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "/recipients"), ("POST", "/recipients"), ("POST", "/launch"),
        ("POST", "/pause"), ("POST", "/cancel"),
    ]  # fmt: skip
    for verb, path in calls:
        body = {"PATCH": {"name": "mine"}, "POST": {"tag": "vip"} if path == "/recipients" else None}.get(verb)
        for base in (f"{CAMPAIGNS}/{id}", UNKNOWN, f"{CAMPAIGNS}/{id.replace('camp_', 'call_')}"):
            answer = await stranger.request(verb, base + path, json=body)
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found"), (verb, base + path)
    assert (await stranger.get(CAMPAIGNS)).json()["campaigns"] == []
    foreign = await stranger.post(CAMPAIGNS, json=guide(number))
    assert foreign.json()["error"]["details"][0]["field"] == "twilio_number_id"
    viewer = await edge.client(name="Third", role="viewer")
    assert (await viewer.get(CAMPAIGNS)).status_code == 200
    assert (await viewer.post(CAMPAIGNS, json=guide(number))).status_code == 403
    narrow = await edge.client(name="Fourth", scopes=("campaigns:read",))
    refused = await narrow.post(CAMPAIGNS, json=guide(number))
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "insufficient_scope")
