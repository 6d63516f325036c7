"""Messages over the real wire: the official SDK is the client, and a small application hears the webhooks."""

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from starlette.responses import Response
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.request_validator import RequestValidator
from twilio.rest import Client
from twilio.rest.api.v2010.account.message import MessageInstance

from sandbox.twilio import Carrier, Fault, Recipient, Service
from tests.sandbox.twilio.conftest import Customer

ACCOUNT, TOKEN, NUMBER = "AC" + "a" * 32, "12345", "+13175550100"
PERSON, OTHER = "+14155550123", "+14155550124"
SERVICE = "MG" + "b" * 32
MESSAGES = f"/2010-04-01/Accounts/{ACCOUNT}/Messages"


@pytest.fixture
def sdk(carrier: Carrier) -> Client:
    # Meant to run out, where an answer is dropped.
    client = Client(ACCOUNT, TOKEN, http_client=TwilioHttpClient(timeout=2.0, max_retries=0))
    client.api.base_url = carrier.url
    return client


@pytest.fixture
async def http(carrier: Carrier) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=carrier.url, auth=(ACCOUNT, TOKEN)) as client:
        yield client


async def send(sdk: Client, body: str = "hello", to: str = PERSON, **more: Any) -> MessageInstance:
    return await asyncio.to_thread(sdk.messages.create, to=to, from_=NUMBER, body=body, **more)


async def test_a_message_is_created_followed_and_fetched(carrier: Carrier, customer: Customer, sdk: Client) -> None:
    callback = f"{customer.url}/told/attempt-1#rc=2&rp=all"
    sent = await send(sdk, "héllo €", status_callback=callback)
    assert (sent.status, sent.direction, sent.from_, sent.to) == ("queued", "outbound-api", NUMBER, PERSON)
    assert (sent.body, sent.num_segments, sent.num_media, sent.error_code) == ("héllo €", "1", "0", None)
    assert sent.date_created is not None and sent.date_sent is None
    await carrier.texts_settled()
    path, fields, headers = customer.asked[0]
    assert [each["MessageStatus"] for _, each, _ in customer.asked] == ["sent", "delivered"]
    assert (path, fields["MessageSid"], fields["SmsSid"]) == ("/told/attempt-1", sent.sid, sent.sid)
    assert "RawDlrDoneDate" in customer.asked[1][1]
    url = f"{customer.url}/told/attempt-1"
    assert RequestValidator(TOKEN).validate(url, fields, headers["x-twilio-signature"])
    fetched = await asyncio.to_thread(sdk.messages(sent.sid).fetch)
    assert (fetched.status, fetched.date_sent is not None) == ("delivered", True)
    with pytest.raises(TwilioRestException) as unknown:
        await asyncio.to_thread(sdk.messages("SM" + "0" * 32).fetch)
    assert (unknown.value.status, unknown.value.code) == (404, 20404)


async def test_a_callback_is_retried_with_one_token_until_it_is_heard(
    carrier: Carrier, customer: Customer, sdk: Client
) -> None:
    customer.answer("/told", Response(status_code=503), Response(status_code=204))
    await send(sdk, status_callback=f"{customer.url}/told#rc=3&rp=5xx")
    await carrier.texts_settled()
    assert [fields["MessageStatus"] for _, fields, _ in customer.asked] == ["sent", "sent", "delivered"]
    tokens = [headers["i-twilio-idempotency-token"] for _, _, headers in customer.asked]
    assert tokens[0] == tokens[1] != tokens[2]


async def test_with_a_messaging_service_a_number_is_chosen_later(
    carrier: Carrier, customer: Customer, sdk: Client
) -> None:
    carrier.texting.services[SERVICE] = Service([NUMBER])
    sent = await asyncio.to_thread(
        sdk.messages.create,
        to=PERSON,
        messaging_service_sid=SERVICE,
        body="x" * 161,
        status_callback=f"{customer.url}/told",
    )
    assert (sent.status, sent.num_segments, sent.messaging_service_sid) == ("accepted", "0", SERVICE)
    await carrier.texts_settled()
    assert [fields["MessageStatus"] for _, fields, _ in customer.asked] == ["queued", "sent", "delivered"]
    fetched = await asyncio.to_thread(sdk.messages(sent.sid).fetch)
    assert (fetched.from_, fetched.num_segments) == (NUMBER, "2")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"To": ""}, 21604),
        ({"From": ""}, 21603),
        ({"Body": ""}, 21602),
        ({"To": "911"}, 21211),
        ({"To": NUMBER}, 21266),
        ({"To": "+882161234567"}, 21408),
        ({"From": "+15005550000"}, 21606),
        ({"From": "HUM"}, 21606),
        ({"Body": "x" * 1601}, 21617),
        ({"MediaUrl": ["http://h/x.png"] * 11}, 21623),
        ({"MediaUrl": ["ftp://h/x.png"]}, 21620),
        ({"StatusCallback": "http://under_score.example/x"}, 21609),
        ({"ValidityPeriod": "36001"}, 20001),
        ({"From": "", "MessagingServiceSid": "MG0"}, 21701),
    ],
)
async def test_what_cannot_be_sent_is_refused_with_twilios_code(
    carrier: Carrier, http: httpx.AsyncClient, fields: dict[str, Any], code: int
) -> None:
    carrier.exchange.forbidden_prefixes = {"+882"}
    form = {"To": PERSON, "From": NUMBER, "Body": "hello"} | fields
    refused = await http.post(f"{MESSAGES}.json", data=form)
    assert (refused.status_code, refused.json()["code"], list(carrier.texting.book)) == (400, code, [])


async def test_a_receiver_that_refuses_does_so_at_once(carrier: Carrier, sdk: Client) -> None:
    carrier.texting.recipients[PERSON] = Recipient(refuses=21614)
    with pytest.raises(TwilioRestException) as refused:
        await send(sdk)
    assert (refused.value.status, refused.value.code) == (400, 21614)
    assert [(each.to, each.outcome) for each in carrier.texting.book.requests] == [(PERSON, "21614")]


@pytest.mark.parametrize(
    ("fault", "made"), [(Fault("message", "cut"), 1), (Fault("message", "cut", stage="before"), 0)]
)
async def test_a_reply_is_dropped_after_or_before_the_message_is_taken(
    carrier: Carrier, sdk: Client, fault: Fault, made: int
) -> None:
    carrier.inject_faults(fault)
    with pytest.raises(OSError):
        await send(sdk)
    await carrier.texts_settled()
    assert carrier.texting.book.sent_to[PERSON] == len(carrier.texts_to(PERSON)) == made
    assert (await send(sdk)).status == "queued", "it happens once"


async def test_messages_are_listed_newest_first_and_pages_do_not_move(
    carrier: Carrier, http: httpx.AsyncClient, sdk: Client
) -> None:
    sids = [(await send(sdk, str(n))).sid for n in range(5)]
    await send(sdk, "elsewhere", to=OTHER)
    await carrier.texts_settled()
    listed = await asyncio.to_thread(sdk.messages.list, to=PERSON, from_=NUMBER, page_size=2)
    assert [each.sid for each in listed] == sids[::-1]
    page = (await http.get(f"{MESSAGES}.json", params={"To": PERSON, "PageSize": 2})).json()
    await send(sdk, "meanwhile")
    page = (await http.get(page["next_page_uri"])).json()
    assert [each["sid"] for each in page["messages"]] == [sids[2], sids[1]]
    page = (await http.get(page["next_page_uri"])).json()
    assert ([each["sid"] for each in page["messages"]], page["next_page_uri"]) == ([sids[0]], None)


async def test_the_list_is_filtered_by_when_they_were_sent_and_shows_received_ones(
    carrier: Carrier, sdk: Client
) -> None:
    before = datetime.now(UTC) - timedelta(seconds=5)
    carrier.texting.pace.segments_per_second = 0.001
    sent, _ = await send(sdk, "first"), await send(sdk, "waits")
    got = carrier.text(NUMBER, PERSON, "from outside")
    while sent.sid not in {each.sid for each in carrier.texts_to(PERSON) if each.sent_at} or not got.sent_at:
        await asyncio.sleep(0.01)
    since = await asyncio.to_thread(sdk.messages.list, date_sent_after=before)
    assert {(each.sid, each.direction) for each in since} == {(sent.sid, "outbound-api"), (got.sid, "inbound")}
    assert await asyncio.to_thread(sdk.messages.list, date_sent_before=before) == []
    assert [each.body for each in await asyncio.to_thread(sdk.messages.list, to=NUMBER)] == ["from outside"]


async def test_files_need_credentials_and_are_elsewhere(
    carrier: Carrier, customer: Customer, sdk: Client, http: httpx.AsyncClient
) -> None:
    carrier.number(NUMBER).configure({"sms_url": f"{customer.url}/sms"})
    got = carrier.text(NUMBER, PERSON, "look", ("image/png", b"\x89PNG"), ("text/vcard", b"BEGIN"))
    await carrier.texts_settled()
    fields = customer.fields("/sms")
    assert (fields["NumMedia"], fields["MediaContentType1"]) == ("2", "text/vcard")
    url = fields["MediaUrl0"]
    assert url == f"{carrier.url}{MESSAGES}/{got.sid}/Media/{got.media[0].sid}"
    async with httpx.AsyncClient() as stranger:
        assert (await stranger.get(url)).status_code == 401
    answer = await http.get(url)
    assert (answer.status_code, answer.content) == (307, b"")
    async with httpx.AsyncClient(base_url=carrier.url) as stranger:
        file = await stranger.get(answer.headers["location"])
    assert (file.status_code, file.headers["content-type"], file.content) == (200, "image/png", b"\x89PNG")
    listed = await asyncio.to_thread(sdk.messages(got.sid).media.list)
    assert [each.content_type for each in listed] == ["image/png", "text/vcard"]
    media = await asyncio.to_thread(sdk.messages(got.sid).media(listed[1].sid).fetch)
    assert (media.parent_sid, media.content_type) == (got.sid, "text/vcard")
    assert (await http.get(f"{MESSAGES}/{got.sid}/Media/ME{'0' * 32}")).status_code == 404


async def test_a_received_text_is_retried_and_then_told_to_the_fallback(carrier: Carrier, customer: Customer) -> None:
    carrier.number(NUMBER).configure(
        {"sms_url": f"{customer.url}/sms#rc=2&rp=all", "sms_fallback_url": f"{customer.url}/spool"}
    )
    customer.answer("/sms", Response(status_code=500))
    got = carrier.text(NUMBER, PERSON, "are you there? ")
    await carrier.texts_settled()
    assert customer.paths() == ["/sms", "/sms", "/sms", "/spool"]
    assert len({headers["i-twilio-idempotency-token"] for _, _, headers in customer.asked[:3]}) == 1
    fields = customer.fields("/spool")
    assert (fields["ErrorCode"], fields["ErrorUrl"], fields["MessageSid"]) == ("11200", f"{customer.url}/sms", got.sid)
    assert fields["Body"] == "are you there? "
    signed = customer.asked[3][2]["x-twilio-signature"]
    assert RequestValidator(TOKEN).validate(f"{customer.url}/spool", fields, signed)
    assert [each.http_status for each in got.notices] == [500, 204]


async def test_an_application_has_no_url_here(carrier: Carrier, customer: Customer) -> None:
    carrier.number(NUMBER).configure({"sms_url": f"{customer.url}/sms", "sms_application_sid": "AP0"})
    carrier.text(NUMBER, PERSON, "hello")
    await carrier.texts_settled()
    assert customer.asked == []


async def test_everything_is_set_and_told_over_http(
    carrier: Carrier, customer: Customer, http: httpx.AsyncClient
) -> None:
    carrier.number(NUMBER).configure({"sms_url": f"{customer.url}/sms"})
    file = {"content_type": "image/gif", "base64": base64.b64encode(b"GIF").decode()}
    got = await http.post("/sandbox/texts", json={"to": NUMBER, "from": PERSON, "body": "hi", "media": [file]})
    assert got.status_code == 201
    assert (await http.put(f"/sandbox/receivers/{PERSON}", json={"fails": 30006})).status_code == 204
    assert (await http.put(f"/sandbox/services/{SERVICE}", json={"senders": [NUMBER]})).status_code == 204
    assert (await http.put("/sandbox/texting", json={"segments_per_second": 100})).status_code == 204
    form = {"To": PERSON, "MessagingServiceSid": SERVICE, "Body": "out"}
    sent = (await http.post(f"{MESSAGES}.json", data=form)).json()
    await http.post(f"{MESSAGES}.json", data={"To": "911", "From": NUMBER, "Body": "out"})
    await carrier.texts_settled()
    counts = (await http.get("/sandbox/texts/counts")).json()
    assert (counts["requests"], counts["waiting"], counts["sent_to"]) == (1, 0, {PERSON: 1})
    assert counts["statuses"] == {"received": 1, "undelivered": 1}
    (told,) = (await http.get("/sandbox/texts", params={"to": PERSON})).json()["texts"]
    assert (told["sid"], told["error_code"], told["arrived_at"]) == (sent["sid"], 30006, None)
    (asked,) = (await http.get("/sandbox/texts/requests")).json()["requests"]
    assert (asked["from"], asked["to"], asked["outcome"]) == (NUMBER, PERSON, sent["sid"])
    for path, nonsense, status in (
        ("/sandbox/texts", {"to": OTHER, "from": PERSON}, 404),
        ("/sandbox/texts", {"to": NUMBER, "from": PERSON, "media": [file | {"base64": "?"}]}, 400),
        ("/sandbox/texts", {"to": NUMBER, "from": PERSON, "mood": "good"}, 400),
    ):
        assert (await http.post(path, json=nonsense)).status_code == status
    assert (await http.put(f"/sandbox/receivers/{PERSON}", json={"fails": "x"})).status_code == 400


async def test_files_are_fetched_from_the_customer_before_a_message_leaves(
    carrier: Carrier, customer: Customer, sdk: Client
) -> None:
    picture = Response(b"\x89PNG", media_type="image/png")
    customer.answer("/a.png", picture, picture)
    sent = await send(sdk, status_callback=f"{customer.url}/told", media_url=[f"{customer.url}/a.png"])
    await carrier.texts_settled()
    (text,) = [each for each in carrier.texts_to(PERSON) if each.sid == sent.sid]
    assert (text.status, [(file.content_type, file.content) for file in text.media]) == (
        "delivered",
        [("image/png", b"\x89PNG")],
    )
    # Files of others are not fetched: the stand-in asks no strangers.
    other = await send(sdk, status_callback=f"{customer.url}/told", media_url=["https://files.invalid/a.png"])
    await carrier.texts_settled()
    assert [each.status for each in carrier.texts_to(PERSON) if each.sid == other.sid] == ["delivered"]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Response(status_code=404), 11200),
        (Response(b"<html>", media_type="text/html"), 12300),
        (Response(bytes(5_000_001), media_type="image/png"), 11751),
    ],
)
async def test_a_file_that_the_carrier_can_not_send_fails_its_message(
    carrier: Carrier, customer: Customer, sdk: Client, answer: Response, code: int
) -> None:
    customer.answer("/a.png", answer, answer)
    await send(sdk, status_callback=f"{customer.url}/told", media_url=[f"{customer.url}/a.png"])
    await carrier.texts_settled()
    (text,) = carrier.texts_to(PERSON)
    assert (text.status, text.error_code, text.sent_at) == ("failed", code, None)
