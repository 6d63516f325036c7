"""The examples of docs/sms-api.md against the whole platform: what the carrier sent is what they asked for."""

import asyncio

import pytest

from tests.e2e.conftest import NUMBER, House
from tests.support import smspage
from tests.support.waits import patience

pytestmark = pytest.mark.interop
ANN, BOB = "+13175551234", "+13175555678"


async def test_a_conversation_an_opt_out_and_a_campaign_by_curl(house: House) -> None:
    await house.answer_with()
    (number,) = (await house.http.get("/api/numbers")).json()["numbers"]
    await house.http.patch(f"/api/numbers/{number['id']}", json={"sms_enabled": True})
    key = house.http.headers["Authorization"].removeprefix("Bearer ")

    async def greeted() -> None:
        """A reader takes a moment: the first text has left before its conversation is closed."""
        async with patience():
            while not house.carrier.texts_to(ANN):
                await asyncio.sleep(0.05)

    await smspage.run(str(house.http.base_url), key, number["id"], greeted)
    (campaign,) = (await house.http.get("/api/sms/campaigns")).json()["campaigns"]
    async with patience():
        while campaign["status"] != "completed" or campaign["counts"]["delivered"] < 2:
            await asyncio.sleep(0.1)
            campaign = (await house.http.get(f"/api/sms/campaigns/{campaign['id']}")).json()
    got = {each: [text.body for text in house.carrier.texts_to(each)] for each in (ANN, BOB)}
    assert got == {
        ANN: ["Hi! Just confirming your 10am appointment.", "Hi! Time to refill. Reply STOP to opt out."],
        BOB: ["Custom override for this recipient"],
    }, "and nothing while the contact was opted out"
    assert all(text.from_ == NUMBER for text in house.carrier.texts_to(ANN))
