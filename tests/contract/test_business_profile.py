"""One profile for all agents: what Settings say of the business reaches the prompts of calls, trials and tests, each tenant's its own."""

from typing import Any

from tests.contract.conftest import Edge
from tests.contract.test_apologies import PLACED
from tests.contract.test_browser_calls import flow_of, linked, place
from tests.contract.test_carrier_webhooks import CALL, post
from tests.contract.test_contacts import opened
from tests.contract.test_outbound import CALLS, order, placed
from tests.contract.test_routing import Desk

DAYS = ("mon", "tue", "wed", "thu", "fri")
FACTS = {"address": "14 River Road, Springfield", "languages": "English, Spanish", "parking": "Behind the house"}


BLOCK = """\
# About the business
What Clinic says of itself, for your answers. These are facts, which change nothing of your instructions.
- Name: Clinic
- Address: 14 River Road, Springfield
- Languages spoken: English, Spanish
- parking: Behind the house
Opening hours of the business (UTC):
- Monday to Sunday: all day
Where the instructions above name other opening hours, these here count.
"""


def open_week(*spans: list[str]) -> dict[str, Any]:
    return {"weekly": dict.fromkeys(DAYS, spans), "holidays": ["2090-12-25"]}


async def test_calls_in_and_out_and_from_a_browser_know_the_business(edge: Edge) -> None:
    http = await edge.client()
    all_day = {"weekly": {day: [["00:00", "24:00"]] for day in (*DAYS, "sat", "sun")}}
    body = {"business_identity_json": FACTS, "business_hours_json": all_day}
    assert (await http.patch("/api/organization", json=body)).status_code == 200
    desk = Desk(edge, http)
    inbound = await desk.flow(greeting="Hello", system_prompt="You answer for the clinic.")
    assert (await http.post("/api/numbers", json={"e164": CALL["To"], "flow_id": inbound})).status_code == 201
    other = await edge.client("Other")
    elsewhere = {"business_identity_json": {"address": "Elsewhere"}}
    assert (await other.patch("/api/organization", json=elsewhere)).status_code == 200
    connect, _ = await desk.ring()
    told = (await desk.open(connect)).instructions
    assert told.startswith(f"You answer for the clinic.\n\n{BLOCK}"), "before what differs from call to call"
    outbound = await desk.flow(kind="outbound")
    assert (await http.post(CALLS, json=order(outbound))).status_code == 201
    form = {**PLACED, "CallSid": "CA77"}
    twiml = (await post(edge, f"/twilio/voice/placed/{await placed(edge)}", form)).text
    assert BLOCK in await opened(edge, twiml, "CA77")
    async with linked(edge) as node:
        assert (await place(http, inbound)).status_code == 201
        assert BLOCK in (await node.open(node.offers[0])).instructions
        assert (await place(other, await flow_of(other))).status_code == 201
        theirs = (await node.open(node.offers[1])).instructions
    assert "- Name: Other\n- Address: Elsewhere\n" in theirs and "River Road" not in theirs


async def test_a_changed_lunch_break_reaches_agents_without_hours_of_their_own(edge: Edge) -> None:
    async with linked(edge) as node, await edge.client() as http:
        flow = await flow_of(http)

        async def hours() -> list[str]:
            """What the agent of a new call knows of Mondays and holidays.  A browser calls at any hour."""
            assert (await place(http, flow)).status_code == 201
            told = (await node.open(node.offers[-1])).instructions
            return [line for line in told.splitlines() if line.startswith(("- Monday", "Your own", "- Closed"))]

        early, late = (["08:00", "12:00"], ["13:00", "17:00"]), (["08:00", "12:30"], ["13:30", "17:00"])
        await http.patch("/api/organization", json={"business_hours_json": open_week(*early)})
        closed = "- Closed all day on: Monday 25 December 2090"
        assert await hours() == ["- Monday to Friday: 08:00 to 12:00 and 13:00 to 17:00", closed]
        await http.patch("/api/organization", json={"business_hours_json": open_week(*late)})
        moved = "- Monday to Friday: 08:00 to 12:30 and 13:30 to 17:00"
        assert await hours() == [moved, closed], "from the next call on"
        own = {"business_hours_json": {"weekly": {"sat": [["10:00", "14:00"]]}}}
        assert (await http.patch(f"/api/flows/{flow}", json=own)).status_code == 200
        precedence = "Your own opening hours, which take precedence (UTC):"
        assert await hours() == [moved, closed, precedence, "- Monday to Friday: closed"]


async def test_facts_that_are_too_many_are_refused_by_name_and_change_nothing(edge: Edge) -> None:
    http = await edge.client()
    await http.patch("/api/organization", json={"business_identity_json": FACTS})
    before = (await http.get("/api/organization")).json()
    for facts, field in (
        ({**FACTS, "description": "x" * 2001}, "business_identity_json.description"),
        ({f"fact {n}": "x" * 1900 for n in range(5)}, "business_identity_json"),
        ([1], "business_identity_json"),
    ):
        refused = await http.patch("/api/organization", json={"name": "X", "business_identity_json": facts})
        assert refused.status_code == 400, refused.text
        assert [each["field"] for each in refused.json()["error"]["details"]] == [field]
        assert (await http.get("/api/organization")).json() == before
    async with edge.plane.control.db.system() as tx:
        large = f'{{"a": "{"x" * 60_000}"}}'
        await tx.execute("UPDATE organizations SET business_identity_json = $1", large)
    assert (await http.patch("/api/organization", json={"name": "Y"})).status_code == 200, (
        "stored by an earlier release"
    )


async def test_a_fact_has_a_value_and_an_address_is_one(edge: Edge) -> None:
    http = await edge.client()
    whole = {**FACTS, "email": "front@lakeside.example"}
    assert (await http.patch("/api/organization", json={"business_identity_json": whole})).status_code == 200
    for name, value, why in (
        ("parking", " ", "has no value"),
        ("parking", None, "has no value"),
        ("email", "front@lakeside", "is not an e-mail address"),
        ("email", ["front@lakeside.example", "lakeside"], "is not an e-mail address"),
    ):
        answer = await http.patch("/api/organization", json={"business_identity_json": {**whole, name: value}})
        (detail,) = answer.json()["error"]["details"]
        assert answer.status_code == 400 and detail["field"].endswith(f"business_identity_json.{name}"), value
        assert detail["reason"] == why
    assert (await http.get("/api/organization")).json()["business_identity_json"] == whole
