"""The pipeline and the real client against the stand-in carrier, which counts what truly left."""

from contextlib import AsyncExitStack
from typing import Any, cast

from control.clients.twilio import Twilio
from hum.settings import ControlSettings
from sandbox.twilio import Carrier, Fault
from tests.control.conftest import FakeCarrier
from tests.control.texts.conftest import NUMBER, Texting
from tests.control.texts.desk import TextDesk

ACCOUNT, TOKEN = "AC" + "2" * 32, "token"
CONTACTS = [f"+131755512{n:02d}" for n in range(12)]
STOPPED = CONTACTS[5]


async def test_whatever_goes_wrong_on_the_way_each_contact_gets_its_text_once(texting: Texting) -> None:
    serving = Carrier.serve(account_sid=ACCOUNT, auth_token=TOKEN, numbers=[NUMBER])
    async with serving as carrier, AsyncExitStack() as stack:
        settings: Any = {"twilio_account_sid": ACCOUNT, "twilio_auth_token": TOKEN, "twilio_api_base_url": carrier.url}
        twilio = Twilio(ControlSettings(**settings), 2)
        stack.push_async_callback(twilio.close)
        desk = TextDesk(texting, carrier=cast("FakeCarrier", twilio))
        carrier.text(NUMBER, STOPPED, "STOP")
        carrier.inject_faults(
            Fault("message", "cut", times=3, share=0.5),
            Fault("message", "cut", stage="before", times=3, share=0.5),
            Fault("message", "error", times=2, share=0.3),
            Fault("message", "busy", stage="before", times=2, share=0.3),
            Fault("message_list", "error", times=2, share=0.3),
        )
        written = [await desk.write(f"Hello {contact}", contact=contact) for contact in CONTACTS]
        for _ in range(12):
            await desk.send()
            states = [await desk.state(each) for each in written]
            if not any(status == "queued" for status, _, _ in states):
                break
            await desk.later(61)
            await desk.lookups.look_up_unconfirmed_texts()
        await carrier.texts_settled()
        assert sum(each.times for each in carrier.exchange.faults.pending if each.do == "cut") < 6, (
            "something went wrong"
        )
        for contact, (status, code, attempts) in zip(CONTACTS, states, strict=True):
            sent = [each for each in carrier.texts_to(contact) if each.direction == "outbound-api"]
            if contact == STOPPED:
                assert (status, code, sent) == ("opted_out", "21610", [])
            else:
                assert status in {"sent", "delivered"} and [each.body for each in sent] == [f"Hello {contact}"], (
                    contact,
                    attempts,
                )
