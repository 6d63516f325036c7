"""The text after a missed call: to a caller who hung up without a word, and not to one who spoke until they hung up."""

import asyncio

import pytest

from control.texts.missedcalls import TEXT_BACK
from sandbox.openai import Script
from sandbox.speech import Speech
from sandbox.twilio import say
from tests.e2e.conftest import CALLER, NUMBER, House
from tests.e2e.test_inbound_call import LISTEN
from tests.support.waits import patience

SILENT = "+13175550198"


@pytest.fixture
def script() -> Script:
    return Script.of({"faults": {"never_transcribe": True}})


@pytest.mark.calls
async def test_who_spoke_until_they_hung_up_is_not_told_that_they_were_missed(house: House, speech: Speech) -> None:
    await house.answer_with(greeting="Welcome.")
    (number,) = (await house.http.get("/api/numbers")).json()["numbers"]
    texting = {"sms_enabled": True, "missed_call_text": "Sorry we missed you."}
    (await house.http.patch(f"/api/numbers/{number['id']}", json=texting)).raise_for_status()
    await house.http.patch("/api/organization", json={"recipient_hours_enabled": False})
    words = await speech.say("I would like to book a visit but my bus is here", "caller")
    for caller, steps in ((CALLER, (LISTEN, say(words))), (SILENT, (LISTEN,))):
        call = await house.carrier.ring(NUMBER, caller, steps)
        await call.ended()
    async with patience():
        while not house.carrier.texts_to(SILENT):
            await asyncio.sleep(0.05)
        async with house.control.db.system() as tx:
            while await tx.fetchval("SELECT count(*) FROM pgqueuer WHERE entrypoint = $1", TEXT_BACK.name):
                await asyncio.sleep(0.05)
    calls = {call["from"]: call for call in (await house.http.get("/api/calls")).json()["calls"]}
    spoken = (await house.http.get(f"/api/calls/{calls[CALLER]['id']}")).json()
    assert {turn["text"] for turn in spoken["transcript"] if turn["role"] == "caller"} == {""}
    assert calls[SILENT]["end_reason"] == calls[CALLER]["end_reason"] == "caller"
    assert [text.body for text in house.carrier.texts_to(SILENT)] == ["Sorry we missed you."]
    assert house.carrier.texts_to(CALLER) == []
