"""The carrier's texts against the stand-in: what each fault of the network means, and files that come only from the carrier."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from control.clients import twilio_texts
from control.clients.twilio import CarrierText, Text, Twilio, carrier_code, is_refusal, was_not_sent
from hum.contract.errors import CarrierBusy, CarrierError
from hum.settings import ControlSettings
from sandbox.twilio import Carrier, Fault, Recipient

ACCOUNT, TOKEN, NUMBER, PERSON = "AC" + "2" * 32, "token", "+13175550100", "+14155550123"


@pytest.fixture
async def carrier() -> AsyncIterator[Carrier]:
    async with Carrier.serve(account_sid=ACCOUNT, auth_token=TOKEN, numbers=[NUMBER]) as running:
        yield running


def settings(url: str, **more: Any) -> ControlSettings:
    return ControlSettings(twilio_account_sid=ACCOUNT, twilio_auth_token=TOKEN, twilio_api_base_url=url, **more)


@pytest.fixture
async def twilio(carrier: Carrier) -> AsyncIterator[Twilio]:
    client = Twilio(settings(carrier.url), 1.0)
    yield client
    await client.close()


def text(body: str = "hello", **more: Any) -> Text:
    return Text("", NUMBER, PERSON, body, (), "http://127.0.0.1:9/status", 600, **more)


async def refused(twilio: Twilio, wish: Text) -> CarrierError:
    with pytest.raises(CarrierError) as error:
        await twilio.send_text(wish)
    return error.value


def outcome(error: CarrierError) -> str:
    return "not sent" if was_not_sent(error) else "refused" if is_refusal(error) else "ambiguous"


async def test_a_text_is_sent_found_and_listed(carrier: Carrier, twilio: Twilio) -> None:
    before = datetime.now(UTC)
    sent = await twilio.send_text(text("one"))
    assert (sent.status, sent.body, sent.from_e164, sent.to_e164, sent.segments) == ("queued", "one", NUMBER, PERSON, 1)
    later = await twilio.send_text(text("x" * 161))
    assert later.segments == 2
    carrier.text(NUMBER, PERSON, "an answer")
    await carrier.texts_settled()
    listed = await twilio.sent_texts("", NUMBER, PERSON, before)
    assert [(each.sid, each.status) for each in listed] == [(later.sid, "delivered"), (sent.sid, "delivered")]
    assert await twilio.sent_texts(ACCOUNT, NUMBER, PERSON, before) == listed
    assert await twilio.sent_texts("", NUMBER, "+14155550199", before) == []
    assert await twilio.sent_texts("", NUMBER, PERSON, before + timedelta(seconds=5)) == []
    found = await twilio.find_text(sent.sid)
    assert isinstance(found, CarrierText) and found.status == "delivered"
    assert await twilio.find_text("SM" + "0" * 32) is None
    assert [each.body for each in carrier.texts_to(PERSON) if each.arrived_at] == ["one", "x" * 161]


@pytest.mark.parametrize(
    ("fault", "said", "made"),
    [
        (Fault("message", "busy", stage="before"), "not sent", 0),
        (Fault("message", "refuse", code=14107), "not sent", 0),
        (Fault("message", "refuse", code=21611), "not sent", 0),
        (Fault("message", "refuse", code=21610), "refused", 0),
        (Fault("message", "refuse", code=21211), "refused", 0),
        (Fault("message", "refuse", code=20500), "ambiguous", 0),
        (Fault("message", "error", stage="before"), "ambiguous", 0),
        (Fault("message", "error", stage="before", status=400), "ambiguous", 0),
        (Fault("message", "error", stage="before", status=302), "ambiguous", 0),
        (Fault("message", "error"), "ambiguous", 1),
        (Fault("message", "cut", stage="before"), "ambiguous", 0),
        (Fault("message", "cut"), "ambiguous", 1),
        (Fault("message", "hang"), "ambiguous", 1),
    ],
    ids=lambda value: (
        f"{value.do}-{value.stage}-{value.code or value.status}" if isinstance(value, Fault) else str(value)
    ),
)
async def test_each_fault_is_of_its_class(carrier: Carrier, twilio: Twilio, fault: Fault, said: str, made: int) -> None:
    carrier.inject_faults(fault)
    error = await refused(twilio, text())
    assert outcome(error) == said, error.metadata
    listed = await twilio.sent_texts("", NUMBER, PERSON, datetime.now(UTC) - timedelta(minutes=1))
    assert len(listed) == len(carrier.texts_to(PERSON)) == made


async def test_a_full_queue_is_waited_for_longer_than_a_rate(carrier: Carrier, twilio: Twilio) -> None:
    carrier.inject_faults(Fault("message", "refuse", code=21611), Fault("message", "busy", stage="before"))
    full, busy = await refused(twilio, text()), await refused(twilio, text())
    assert isinstance(full, CarrierBusy) and isinstance(busy, CarrierBusy)
    assert (carrier_code(full), carrier_code(busy)) == ("21611", "20429")
    assert full.retry_after_seconds > busy.retry_after_seconds == 1


async def test_credentials_that_are_wrong_are_not_the_texts_fault(carrier: Carrier) -> None:
    stranger = Twilio(
        ControlSettings(twilio_account_sid=ACCOUNT, twilio_auth_token="x", twilio_api_base_url=carrier.url), 5
    )
    assert outcome(await refused(stranger, text())) == "not sent"
    await stranger.close()


async def test_who_can_not_connect_has_sent_nothing() -> None:
    nobody = Twilio(settings("http://127.0.0.1:9"), 1)
    assert outcome(await refused(nobody, text())) == "not sent"
    await nobody.close()
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, contextlib.ExitStack() as stack:
        for _ in range(4):  # then its queue is full, and it answers no handshake any more
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        silent = Twilio(settings(f"http://127.0.0.1:{full.getsockname()[1]}", carrier_connect_seconds=0.05), 5)
        assert outcome(await refused(silent, text())) == "not sent"
        await silent.close()


@pytest.mark.parametrize("said", [b"HTTP/1.1 201 Created\r\n\r\n{", b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n[]",
    b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}", b"HTTP/1.1 201 Created\r\nContent-Length: 200\r\n\r\n{", b"nonsense\r\n\r\n", b""])  # fmt: skip
async def test_an_answer_that_is_none_is_ambiguous(said: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        client = Twilio(settings(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"), 2)
        assert outcome(await refused(client, text())) == "ambiguous"
        await client.close()


async def test_a_text_in_the_carriers_queue_is_listed(carrier: Carrier, twilio: Twilio) -> None:
    carrier.texting.pace.segments_per_second = 0.01
    await twilio.send_text(text("first"))
    waiting = await twilio.send_text(text("second"))
    (newest, _) = await twilio.sent_texts("", NUMBER, PERSON, datetime.now(UTC) - timedelta(minutes=1))
    assert (newest.sid, newest.status) == (waiting.sid, "queued")


async def test_a_text_behind_many_others_is_found_and_never_taken_for_absent(
    carrier: Carrier, twilio: Twilio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(twilio_texts, "PAGE_TEXTS", 2)
    since = datetime.now(UTC) - timedelta(minutes=1)
    sids = [(await twilio.send_text(text(str(n)))).sid for n in range(7)]
    assert [each.sid for each in await twilio.sent_texts("", NUMBER, PERSON, since)] == sids[::-1]
    monkeypatch.setattr(twilio_texts, "MOST_PAGES", 3)
    with pytest.raises(CarrierError, match="more texts"):
        await twilio.sent_texts("", NUMBER, PERSON, since)
    carrier.inject_faults(Fault("message_list", "error", times=2))
    with pytest.raises(CarrierError):
        await twilio.sent_texts("", NUMBER, PERSON, since)


async def test_a_text_that_failed_says_why(carrier: Carrier, twilio: Twilio) -> None:
    carrier.texting.recipients[PERSON] = Recipient(fails=30007)
    sent = await twilio.send_text(text())
    await carrier.texts_settled()
    found = await twilio.find_text(sent.sid)
    assert found is not None and (found.status, found.error_code) == ("undelivered", "30007")
