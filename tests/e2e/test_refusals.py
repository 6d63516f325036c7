"""Callers whom no agent answers: what each of them heard, in which language, by the carrier's own record; and HUM's."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from control.base.hours import WEEKDAYS
from control.calls.prompts import CallerPrompt, localized
from sandbox.twilio import Call
from tests.e2e.conftest import CALLER, NUMBER, House

LIVE = """
    INSERT INTO calls (id, org_id, call_sid, direction, status, from_e164, to_e164, streams_offered)
    SELECT gen_random_uuid(), org_id, 'CAlive' || n, 'inbound', 'in_progress', CASE WHEN $1 THEN $2 ELSE '+1212555' || lpad(n::text, 4, '0') END, $3, 1
      FROM organizations, generate_series(1, $4::integer) AS n
"""


def said(call: Call) -> tuple[str, str, str]:
    """The last thing that the carrier did: the verb, its language, and the words that the caller heard."""
    verbs = [verb for verb in call.verbs if verb.name != "Hangup"]
    heard = call.truth.as_json()["said"]
    return verbs[-1].name, verbs[-1].get("language"), heard[-1] if heard else ""


async def record(house: House) -> dict[str, Any]:
    """The record of the call that the carrier rang, which is over at once."""
    calls = (await house.http.get("/api/calls", params={"limit": 200})).json()["calls"]
    (mine,) = [call for call in calls if call["ended_at"]]
    return dict((await house.http.get(f"/api/calls/{mine['id']}")).json())


async def test_a_blocked_caller_is_rejected_before_a_model_opens(house: House) -> None:
    await house.answer_with(greeting="Hello")
    assert (await house.http.post("/api/blocklist", json={"phone_e164": CALLER})).status_code == 201
    call = await house.ring()
    await call.ended()
    assert ([verb.name for verb in call.verbs], call.truth.as_json()["said"]) == (["Reject"], [])
    found = await record(house)
    assert (found["status"], found["end_reason"], found["answered_at"]) == ("blocked", "blocked", None)
    assert house.model.sessions == []


@pytest.mark.calls
async def test_a_number_without_a_flow(house: House) -> None:
    made = await house.http.post("/api/numbers", json={"e164": NUMBER})
    assert made.status_code == 201
    call = await house.ring()
    await call.ended()
    text, language = localized(CallerPrompt.UNAVAILABLE, None)
    assert said(call) == ("Say", language, text)
    found = await record(house)
    assert (found["status"], found["end_reason"], found["flow_id"]) == ("failed", "no_flow", None)


@pytest.mark.calls
async def test_a_number_that_nobody_has(house: House) -> None:
    await house.answer_with(greeting="Hello")  # which points the carrier's number here
    async with house.control.db.system() as tx:
        await tx.execute("UPDATE numbers SET e164 = '+13175550111'")
    call = await house.ring()
    await call.ended()
    text, language = localized(CallerPrompt.NOT_IN_SERVICE, None)
    assert said(call) == ("Say", language, text)
    assert (await house.http.get("/api/calls")).json()["calls"] == []


@pytest.mark.calls
@pytest.mark.parametrize(
    ("fields", "heard"),
    [
        ({"language": "fr"}, ("fr-FR", localized(CallerPrompt.CLOSED, "fr")[0])),
        ({"language": "de-AT", "after_hours_message": "Wir haben zu."}, ("de-AT", "Wir haben zu.")),
    ],
)
async def test_after_hours(house: House, fields: dict[str, str], heard: tuple[str, str]) -> None:
    day = WEEKDAYS[(datetime.now(UTC) + timedelta(days=3)).weekday()]
    hours = {"time_zone": "UTC", "weekly": {day: [["00:00", "24:00"]]}}
    await house.answer_with(business_hours_json=hours, **fields)
    call = await house.ring()
    await call.ended()
    assert said(call) == ("Say", *heard)
    found = await record(house)
    assert (found["status"], found["end_reason"]) == ("completed", "after_hours")
    assert house.model.sessions == []


@pytest.mark.calls
@pytest.mark.parametrize(
    ("of_caller", "count", "reason"), [(True, 10, "calls_of_caller"), (False, 200, "calls_of_organization")]
)
async def test_one_call_too_many(house: House, of_caller: bool, count: int, reason: str) -> None:
    await house.answer_with(language="es")
    async with house.control.db.system() as tx:
        await tx.execute(LIVE, of_caller, CALLER, NUMBER, count)
    call = await house.ring()
    await call.ended()
    text, language = localized(CallerPrompt.BUSY, "es")
    assert said(call) == ("Say", language, text)
    found = await record(house)
    assert (found["status"], found["end_reason"]) == ("busy", reason)
    async with house.control.db.system() as tx:
        await tx.execute("DELETE FROM calls WHERE call_sid LIKE 'CAlive%'")


@pytest.mark.calls
async def test_no_place_anywhere(house: House) -> None:
    await house.answer_with(language="it")
    house.media.link.beat.places = 0
    async with house.control.db.system() as tx:
        await tx.execute("UPDATE media_links SET places = 0")
    call = await house.ring()
    await call.ended()
    text, language = localized(CallerPrompt.BUSY, "it")
    assert said(call) == ("Say", language, text)
    found = await record(house)
    assert (found["status"], found["end_reason"]) == ("failed", "no_capacity")
