"""What goes wrong at the REST API, seen by Twilio's SDK and by the product's own client."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from typing import Literal

import httpx
import pytest
from requests.exceptions import ConnectionError as RequestsConnectionError
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client
from twilio.rest.api.v2010.account.call import CallInstance

from sandbox.twilio import Carrier, Fault, farend

ACCOUNT, TOKEN, NUMBER = "AC" + "a" * 32, "12345", "+13175550100"
PERSON, OTHER = "+14155550123", "+14155550124"


@pytest.fixture
def sdk(carrier: Carrier) -> Client:
    # Meant to run out, where an answer is dropped.
    client = Client(ACCOUNT, TOKEN, http_client=TwilioHttpClient(timeout=1.0, max_retries=0))
    client.api.base_url = carrier.url
    carrier.set_people(PERSON, farend.no_answer())
    return client


async def create(sdk: Client, to: str = PERSON) -> CallInstance:
    return await asyncio.to_thread(sdk.calls.create, to=to, from_=NUMBER, twiml="<Response/>")


@pytest.mark.parametrize("do", ["cut", "hang"])
async def test_a_call_whose_response_is_lost_was_made_and_can_be_found(
    carrier: Carrier, sdk: Client, do: Literal["cut", "hang"]
) -> None:
    carrier.inject_faults(Fault("create", do))
    before = datetime.now(UTC) - timedelta(seconds=5)
    with pytest.raises((RequestsConnectionError, OSError)):
        await create(sdk)
    (call,) = carrier.calls_to(PERSON)
    await call.journal.find("call.status", status="ringing")
    found = await asyncio.to_thread(sdk.calls.list, to=PERSON, from_=NUMBER, start_time_after=before)
    assert [(each.sid, each.status) for each in found] == [(call.sid, "ringing")]
    assert await asyncio.to_thread(sdk.calls.list, to=PERSON, start_time_before=before) == []
    await create(sdk)
    assert len(carrier.calls_to(PERSON)) == 2, "the fault happens once"


async def test_an_error_before_creates_nothing_and_one_after_has_created(carrier: Carrier, sdk: Client) -> None:
    stages: tuple[tuple[Literal["before", "after"], int], ...] = (("before", 0), ("after", 1))
    for stage, made in stages:
        carrier.inject_faults(Fault("create", "error", stage=stage))
        with pytest.raises(TwilioRestException) as error:
            await create(sdk)
        assert (error.value.status, len(carrier.calls_to(PERSON))) == (503, made)


async def test_a_late_response_still_comes(carrier: Carrier, sdk: Client) -> None:
    carrier.inject_faults(Fault("create", "late", ms=200))
    assert (await create(sdk)).sid == carrier.calls_to(PERSON)[0].sid


async def test_a_fault_waits_for_its_number(carrier: Carrier, sdk: Client) -> None:
    carrier.set_people(OTHER, farend.no_answer())
    carrier.inject_faults(Fault("create", "busy", stage="before", to=OTHER))
    await create(sdk)
    with pytest.raises(TwilioRestException) as error:
        await create(sdk, OTHER)
    assert (error.value.status, error.value.code, carrier.calls_to(OTHER)) == (429, 20429, [])


async def test_too_many_requests_at_a_time_are_refused_unprocessed(carrier: Carrier) -> None:
    carrier.rest.admission.max_in_flight = 1
    carrier.inject_faults(Fault("list", "hang"))
    url = f"{carrier.url}/2010-04-01/Accounts/{ACCOUNT}/Calls.json"
    async with httpx.AsyncClient(auth=(ACCOUNT, TOKEN)) as http:
        hanging = asyncio.create_task(http.get(url))
        while carrier.exchange.faults.pending:
            await asyncio.sleep(0.01)
        refused = await http.post(url, data={"To": PERSON, "From": NUMBER, "Twiml": "<Response/>"})
        hanging.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await hanging
        assert (refused.status_code, refused.json()["code"], refused.headers["Retry-After"]) == (429, 20429, "1")
        while (fine := await http.get(url)).status_code == 429:
            await asyncio.sleep(0.01)
        assert fine.headers["Twilio-Concurrent-Requests"] == "1"
    assert carrier.calls_to(PERSON) == []


async def test_a_queued_call_has_no_start_time_yet(carrier: Carrier, sdk: Client) -> None:
    carrier.exchange.pacer.calls_per_second = 0.01
    first, second = await create(sdk), await create(sdk)
    await carrier.call(first.sid).journal.find("call.status", status="ringing")
    queued = await asyncio.to_thread(sdk.calls(second.sid).fetch)
    assert (queued.status, queued.start_time) == ("queued", None)
    listed = await asyncio.to_thread(sdk.calls.list, to=PERSON, status="queued")
    assert [each.sid for each in listed] == [second.sid]
    await asyncio.to_thread(sdk.calls(second.sid).update, status="canceled")
    await carrier.call(second.sid).ended()
    assert carrier.call(second.sid).status == "canceled"


async def test_calls_are_listed_page_by_page_newest_first(carrier: Carrier, sdk: Client) -> None:
    sids = [(await create(sdk)).sid for _ in range(5)]
    listed = await asyncio.to_thread(sdk.calls.list, page_size=2)
    assert [each.sid for each in listed] == sids[::-1]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"From": "nobody"}, 21212),
        ({"From": "+15005550000"}, 21210),
        ({"To": "+882161234567"}, 21215),
        ({"To": "911"}, 21211),
        ({"Twiml": "<Response>" + " " * 4000}, 20001),
        ({"MachineDetection": "Perhaps"}, 20001),
        ({"MachineDetection": "Enable", "MachineDetectionSpeechThreshold": "10"}, 20001),
    ],
)
async def test_what_cannot_be_placed_is_refused_with_twilios_code(
    carrier: Carrier, fields: dict[str, str], code: int
) -> None:
    carrier.exchange.forbidden_prefixes = {"+882"}
    url = f"{carrier.url}/2010-04-01/Accounts/{ACCOUNT}/Calls.json"
    form = {"To": PERSON, "From": NUMBER, "Twiml": "<Response/>"} | fields
    async with httpx.AsyncClient(auth=(ACCOUNT, TOKEN)) as http:
        refused = await http.post(url, data=form)
    assert (refused.status_code, refused.json()["code"], carrier.exchange.calls) == (400, code, {})
