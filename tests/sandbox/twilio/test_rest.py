"""The official SDK is the client."""

import asyncio
from collections.abc import Callable
from typing import Any, Literal

import httpx
import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from sandbox.twilio import Carrier, Person, farend
from sandbox.twilio.call import Callback, Fetch
from sandbox.twilio.placed import CallRequest
from tests.sandbox.twilio.conftest import Customer

ACCOUNT, TOKEN, NUMBER = "AC" + "a" * 32, "12345", "+13175550100"
PERSON = "+14155550123"


@pytest.fixture
def sdk(carrier: Carrier) -> Client:
    client = Client(ACCOUNT, TOKEN)
    client.api.base_url = carrier.url
    return client


async def refused(act: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[int, int]:
    with pytest.raises(TwilioRestException) as error:
        await asyncio.to_thread(act, *args, **kwargs)
    return error.value.status, error.value.code


async def test_a_call_is_placed_answered_and_told(carrier: Carrier, customer: Customer, sdk: Client) -> None:
    customer.answer("/out", "<Response><Say>Hello</Say></Response>")
    carrier.set_people(PERSON, Person(ring_ms=20, stay=True, answered_by="human"))
    placed = await asyncio.to_thread(
        sdk.calls.create,
        to=PERSON,
        from_=NUMBER,
        url=f"{customer.url}/out",
        status_callback=f"{customer.url}/progress",
        status_callback_event=["initiated", "ringing", "answered", "completed"],
        machine_detection="Enable",
    )
    assert (placed.status, placed.direction, placed.to) in {
        (status, "outbound-api", PERSON) for status in ("queued", "ringing")
    }
    await carrier.call(placed.sid).ended()
    told = [fields for path, fields, _ in customer.asked if path == "/progress"]
    assert [each["CallStatus"] for each in told] == ["initiated", "ringing", "in-progress", "completed"]
    assert [each["SequenceNumber"] for each in told] == ["0", "1", "2", "3"]
    assert told[-1]["CallDuration"] == "1"
    assert {each["CallbackSource"] for each in told} == {"call-progress-events"}
    fetched = await asyncio.to_thread(sdk.calls(placed.sid).fetch)
    assert (fetched.status, fetched.duration, fetched.answered_by) == ("completed", "1", "human")
    assert fetched.start_time <= fetched.end_time
    listed = await asyncio.to_thread(sdk.calls.list, to=PERSON, limit=5)
    assert [each.sid for each in listed] == [placed.sid]


@pytest.mark.parametrize(("answers", "status"), [("busy", "busy"), ("failed", "failed"), ("no_answer", "no-answer")])
async def test_nobody_answers(
    carrier: Carrier, customer: Customer, sdk: Client, answers: Literal["busy", "failed", "no_answer"], status: str
) -> None:
    carrier.set_people(PERSON, Person(answers=answers))
    placed = carrier.exchange.place(order(customer, timeout_s=-5 + 0.02))
    await placed.ended()
    assert placed.status == status
    assert customer.fields("/progress")["CallStatus"] == status
    assert "/out" not in customer.paths()


def order(customer: Customer, **more: Any) -> CallRequest:
    return CallRequest(PERSON, NUMBER, Fetch(f"{customer.url}/out"), Callback(f"{customer.url}/progress"), **more)


async def test_a_ringing_call_is_canceled(carrier: Carrier, customer: Customer, sdk: Client) -> None:
    carrier.set_people(PERSON, Person(ring_ms=30_000))
    placed = await asyncio.to_thread(sdk.calls.create, to=PERSON, from_=NUMBER, url=f"{customer.url}/out")
    assert await refused(sdk.calls(placed.sid).update, twiml="<Response/>") == (400, 21220)
    await asyncio.to_thread(sdk.calls(placed.sid).update, status="canceled")
    await carrier.call(placed.sid).ended()
    assert carrier.call(placed.sid).status == "canceled"


async def test_a_live_call_is_redirected_and_then_completed(carrier: Carrier, customer: Customer, sdk: Client) -> None:
    carrier.set_people(PERSON, Person(stay=True))
    placed = await asyncio.to_thread(
        sdk.calls.create, to=PERSON, from_=NUMBER, twiml='<Response><Pause length="60"/></Response>'
    )
    call = carrier.call(placed.sid)
    await call.journal.find("twiml.verb", verb="Pause")
    await asyncio.to_thread(
        sdk.calls(placed.sid).update, twiml='<Response><Say>Moved</Say><Pause length="60"/></Response>'
    )
    await call.journal.find("said", text="Moved")
    await asyncio.to_thread(sdk.calls(placed.sid).update, status="completed")
    await call.ended()
    assert (call.status, call.hung_up_by) == ("completed", "rest")
    assert await refused(sdk.calls(placed.sid).update, status="completed") == (400, 21220)


async def test_an_update_takes_a_call_off_its_stream(carrier: Carrier, customer: Customer, sdk: Client) -> None:
    customer.answer("/out", customer.connect())
    carrier.set_people(PERSON, farend.human(ring_ms=0))
    placed = await asyncio.to_thread(sdk.calls.create, to=PERSON, from_=NUMBER, url=f"{customer.url}/out")
    call = carrier.call(placed.sid)
    await call.journal.find("stream.started")
    await asyncio.to_thread(sdk.calls(placed.sid).update, twiml="<Response><Say>Moved</Say></Response>")
    await call.ended()
    assert (call.stream.closed_by, call.sentences, call.status) == ("carrier", ["Moved"], "completed")
    assert "/next" not in customer.paths(), "who was moved away does not come back to the stream's action"
    assert [each["what"] for each in call.truth.heard()][:2] == ["stream", "silence"]


async def test_refusals(carrier: Carrier, sdk: Client) -> None:
    create = sdk.calls.create
    assert await refused(create, to="12", from_=NUMBER, url="http://h") == (400, 21211)
    assert await refused(create, to=PERSON, from_="+15005550000", url="http://h") == (400, 21210)
    assert await refused(create, to=PERSON, from_=NUMBER) == (400, 21205)
    assert await refused(sdk.calls("CA" + "0" * 32).fetch) == (404, 20404)
    stranger = Client(ACCOUNT, "wrong")
    stranger.api.base_url = carrier.url
    assert await refused(stranger.calls("CA" + "0" * 32).fetch) == (401, 20003)


async def test_the_error_body_is_twilios(carrier: Carrier) -> None:
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"{carrier.url}/2010-04-01/Accounts/{ACCOUNT}/Calls/CA0.json", auth=(ACCOUNT, TOKEN))
    assert answer.json() == {
        "code": 20404,
        "message": f"The requested resource /2010-04-01/Accounts/{ACCOUNT}/Calls/CA0.json was not found",
        "more_info": "https://www.twilio.com/docs/errors/20404",
        "status": 404,
    }


async def test_an_api_key_opens_the_same_door(carrier: Carrier) -> None:
    client = Client("SKtest", "secret", ACCOUNT)
    client.api.base_url = carrier.url
    assert await asyncio.to_thread(client.calls.list) == []


async def test_a_number_is_found_bought_configured_and_released(carrier: Carrier, sdk: Client) -> None:
    on_sale = await asyncio.to_thread(sdk.available_phone_numbers("US").local.list, area_code=415, limit=3)
    assert [(each.locality, each.region, each.capabilities["SMS"]) for each in on_sale] == [
        ("San Francisco", "CA", True)
    ] * 3
    bought = await asyncio.to_thread(
        sdk.incoming_phone_numbers.create, phone_number=on_sale[0].phone_number, voice_url="https://h/v#rc=5"
    )
    assert (bought.friendly_name, bought.voice_url, bought.voice_method) == (
        "(415) 555-0100",
        "https://h/v#rc=5",
        "POST",
    )
    assert await refused(sdk.incoming_phone_numbers.create, phone_number=bought.phone_number) == (400, 21422)
    assert await refused(sdk.incoming_phone_numbers.create, phone_number="415") == (400, 21421)
    changed = await asyncio.to_thread(
        sdk.incoming_phone_numbers(bought.sid).update, sms_url="https://h/s", voice_url="", friendly_name="Front desk"
    )
    assert (changed.sms_url, changed.voice_url, changed.friendly_name) == ("https://h/s", "", "Front desk")
    found = await asyncio.to_thread(sdk.incoming_phone_numbers.list, phone_number=bought.phone_number)
    assert [each.sid for each in found] == [bought.sid]
    assert await asyncio.to_thread(sdk.incoming_phone_numbers(bought.sid).delete)
    assert await refused(sdk.incoming_phone_numbers(bought.sid).fetch) == (404, 20404)


async def test_lists_are_read_page_by_page(carrier: Carrier, sdk: Client) -> None:
    everything = await asyncio.to_thread(sdk.available_phone_numbers("US").local.list, area_code=212, page_size=30)
    assert len({each.phone_number for each in everything}) == 100
    first = await asyncio.to_thread(sdk.incoming_phone_numbers.page, page_size=1)
    assert [each.phone_number for each in first] == [NUMBER]
    assert first.next_page_url is None


async def test_numbers_on_sale_can_be_narrowed(carrier: Carrier) -> None:
    book = carrier.exchange.numbers
    assert NUMBER not in book.on_sale("317")
    assert book.on_sale(contains="512*5*019*", region="tx") == [f"+1512555019{last}" for last in range(10)]
    assert book.on_sale(contains="512", locality="Boston") == []
