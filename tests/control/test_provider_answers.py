"""Answers of the deployment's own providers that no honest one gives: endless, of gigabytes when unpacked, of too many members, too deep."""

import zlib
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web

from control.clients.embeddings import Embeddings
from control.clients.openai import ModelError, OpenAI
from control.clients.stripe import StripePayments
from control.clients.twilio import Twilio
from hum import answers, ids
from hum.contract.errors import CarrierError, PaymentError
from hum.settings import BillingSettings, ControlSettings
from tests.support.httpserver import answering

PIECE = b"a" * (64 << 10)
#: What the sockets on both sides hold besides.
BUFFERS = 16 << 20
BODIES = {
    "too deep": b'{"data":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "too many": b'{"data":[' + b"{}," * 300_000 + b"{}]}",
}


async def find_customer(url: str) -> None:
    payments = StripePayments.open(BillingSettings(stripe_api_key="k", stripe_api_base=url, stripe_retries=0))
    try:
        await payments.find_customer(ids.new())
    finally:
        await payments.close()


async def find_number(url: str) -> None:
    settings = ControlSettings(twilio_account_sid="AC" + "1" * 32, twilio_auth_token="t", twilio_api_base_url=url)
    twilio = Twilio(settings, 5)
    try:
        await twilio.find_number("+13175550100")
    finally:
        await twilio.close()


async def write(url: str) -> None:
    model = OpenAI(ControlSettings(openai_base_url=url), 5)
    try:
        await model.write("Summarize.", "Hello", {"type": "object"})
    finally:
        await model.close()


async def embed(url: str) -> None:
    embeddings = Embeddings(ControlSettings(openai_base_url=url), "m", 3)
    try:
        await embeddings.embed(["Hello"], 5)
    finally:
        await embeddings.close()


PROVIDERS = [(find_customer, PaymentError), (find_number, CarrierError), (write, ModelError), (embed, ModelError)]


@pytest.mark.parametrize(("request_one", "failure"), PROVIDERS, ids=lambda part: getattr(part, "__name__", ""))
@pytest.mark.parametrize("body", list(BODIES))
async def test_an_answer_that_costs_more_than_its_bytes_is_not_parsed(
    request_one: Callable[[str], Awaitable[None]], failure: type[Exception], body: str
) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=BODIES[body], content_type="application/json")

    async with answering(answer) as url:
        with pytest.raises(failure):
            await request_one(url)


@pytest.mark.parametrize(("request_one", "failure"), PROVIDERS, ids=lambda part: getattr(part, "__name__", ""))
async def test_an_endless_answer_is_left(
    request_one: Callable[[str], Awaitable[None]], failure: type[Exception]
) -> None:
    sent = 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse(headers={"content-type": "application/json"})
        await response.prepare(request)
        await response.write(b'{"data":"')
        while True:
            await response.write(PIECE)
            sent += len(PIECE)

    async with answering(answer) as url:
        with pytest.raises(failure):
            await request_one(url)
    # The model's SDK asks twice.
    assert sent < 2 * (answers.MOST_BYTES + BUFFERS)


@pytest.mark.parametrize(("request_one", "failure"), PROVIDERS, ids=lambda part: getattr(part, "__name__", ""))
async def test_a_packed_answer_is_bounded_as_it_is_unpacked(
    request_one: Callable[[str], Awaitable[None]], failure: type[Exception]
) -> None:
    packer = zlib.compressobj(wbits=31)
    packed = packer.compress(b'{"data":"') + b"".join(packer.compress(PIECE) for _ in range(2_000)) + packer.flush()

    async def answer(_: web.Request) -> web.Response:
        headers = {"content-encoding": "gzip", "content-type": "application/json"}
        return web.Response(body=packed, headers=headers)

    async with answering(answer) as url:
        with pytest.raises(failure):
            await request_one(url)
