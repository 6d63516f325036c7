"""People book by voice, one who interrupts the offer and two at once who want the same time, and by text."""

import asyncio
from typing import Any

import httpx
import pytest

from sandbox.openai import Script
from sandbox.speech import Speech
from sandbox.twilio import Call, say
from tests.contract.bookings import chair, checkup
from tests.e2e.conftest import CALLER, NUMBER, House
from tests.e2e.test_inbound_call import LISTEN, interrupted_after
from tests.support.waits import until

pytestmark = pytest.mark.calls
OTHER = "+13175550188"
WISH, CHOICE, NAME = "I would like to book a check-up tomorrow please", "The first one please", "My name is Ann Lee"


@pytest.fixture
def script() -> Script:
    """No turns: the receptionist answers, who hears exactly what was said."""
    return Script.of({"heard": [WISH, CHOICE, NAME]})


async def opened(house: House) -> str:
    """Let a flow answer that may book a check-up; return the service."""
    service = await checkup(house.http, [await chair(house.http)])
    await house.answer_with(greeting="Welcome to the clinic.", booking_service_ids=[service])
    await house.clips_rendered()
    return service


async def appointments(http: httpx.AsyncClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await http.get("/api/appointments")).json()["appointments"]
    return found


async def lines(speech: Speech) -> list[bytes]:
    return [await speech.say(text, "caller") for text in (WISH, CHOICE, NAME)]


async def test_a_caller_who_interrupts_the_offer_has_an_appointment(house: House, speech: Speech) -> None:
    service = await opened(house)
    wish, choice, name = await lines(speech)
    # Of the agent's audio: more than "One moment, please", less than the offer after it.
    call = await house.ring(LISTEN, say(wish), interrupted_after(3500), say(choice), LISTEN, say(name), LISTEN)
    await call.ended()
    record = await house.record()
    (booked,) = await appointments(house.http)
    assert (booked["state"], booked["name"], booked["contact_e164"]) == ("booked", "Ann Lee", CALLER)
    assert (booked["service_id"], booked["call_id"], booked["origin"]) == (service, record["id"], "call")
    names = [each["name"] for each in record["tool_activity"]]
    assert names == ["find_times", "find_times", "hold_time", "book_time"]
    offer = next(each for each in record["transcript"] if each["text"].startswith("I have tomorrow"))
    assert offer["interrupted"], record["transcript"]
    said = record["tool_activity"][-1]["result"]["say"]
    assert any(f"You are booked: {said}" in each["text"] for each in record["transcript"])
    assert said in offer["text"] and said.startswith("tomorrow, ")


@pytest.mark.parametrize("script", [Script.of({"heard": [WISH, CHOICE, CHOICE, NAME]})])
async def test_two_callers_who_want_the_same_time_have_two(house: House, speech: Speech) -> None:
    await opened(house)
    wish, choice, name = await lines(speech)

    async def ring(number: str) -> Call:
        # Who gets the first time says it again instead of a name; the other one chooses again.
        steps = [LISTEN, say(wish), LISTEN, say(choice), LISTEN, say(choice), LISTEN, say(name), LISTEN]
        return await house.carrier.ring(NUMBER, number, steps)

    calls = await asyncio.gather(*(ring(number) for number in (CALLER, OTHER)))
    await asyncio.gather(*(call.ended() for call in calls))
    found = await appointments(house.http)
    assert len({each["starts_at"] for each in found}) == len(found)
    async with house.control.db.system() as tx:
        overlaps = await tx.fetchval(
            "SELECT count(*) FROM booking_claims a JOIN booking_claims b USING (resource_id, lane)"
            " WHERE a.appointment_id < b.appointment_id AND a.during && b.during"
        )
    assert overlaps == 0
    assert {each["contact_e164"] for each in found} == {CALLER, OTHER}


async def test_a_person_books_by_text(house: House) -> None:
    service = await opened(house)
    fields = {"channel": "sms", "booking_service_ids": [service], "sms_config_json": {"debounce_ms": 0}}
    flow = (await house.http.post("/api/flows", json={"name": "Texts", **fields})).raise_for_status().json()
    (number,) = (await house.http.get("/api/numbers")).json()["numbers"]
    change = {"sms_enabled": True, "sms_flow_id": flow["id"]}
    (await house.http.patch(f"/api/numbers/{number['id']}", json=change)).raise_for_status()
    for place, text in enumerate((WISH, CHOICE, NAME), 1):
        house.carrier.text(NUMBER, CALLER, text)
        await until(lambda place=place: len(house.carrier.texts_to(CALLER)) == place)  # type: ignore[misc]
    offered, held, confirmed = [message.body for message in house.carrier.texts_to(CALLER)]
    assert offered.startswith("I have tomorrow, ") and "What name is it for?" in held
    (booked,) = await appointments(house.http)
    assert (booked["state"], booked["name"], booked["origin"]) == ("booked", "Ann Lee", "conversation")
    assert confirmed.startswith("You are booked: tomorrow, ")
    (change_row,) = (await house.http.get(f"/api/appointments/{booked['id']}")).json()["changes"]
    assert change_row["by"].startswith("conv_")
