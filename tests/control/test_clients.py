"""The clients against the stand-ins that speak the real wire: the carrier's REST API, the model's speech and writing."""

from collections.abc import AsyncIterator
from datetime import timedelta

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from control.calls import jobs
from control.clients.openai import ModelError, OpenAI, to_ulaw
from control.clients.twilio import Lookup, NumberSearch, Twilio, Webhooks, is_refusal
from hum.contract.errors import CarrierBusy, CarrierError
from hum.settings import ControlSettings
from realtime.audio import decode
from sandbox.openai import Faults, Model
from sandbox.twilio import Carrier, Listing
from tests.support.waits import until

ACCOUNT, TOKEN, NUMBER = "AC" + "2" * 32, "token", "+13175550100"


@pytest.fixture
async def carrier() -> AsyncIterator[Carrier]:
    async with Carrier.serve(account_sid=ACCOUNT, auth_token=TOKEN, numbers=[NUMBER]) as running:
        yield running


def client(carrier: Carrier, token: str = TOKEN) -> Twilio:
    return Twilio(
        ControlSettings(twilio_account_sid=ACCOUNT, twilio_auth_token=token, twilio_api_base_url=carrier.url), 5
    )


async def test_numbers_are_found_and_pointed(carrier: Carrier) -> None:
    twilio = client(carrier)
    held = await twilio.find_number(NUMBER)
    assert held is not None
    assert {"voice", "sms"} <= set(held.capabilities)
    assert await twilio.find_number("+13175550999") is None
    await twilio.point_number(held.sid, Webhooks.at("https://hum.example"))
    number = carrier.number(NUMBER)
    assert number.get("voice_url") == "https://hum.example/twilio/voice#rc=5&rp=all&ct=2000&rt=5000"
    assert number.get("status_callback").startswith("https://hum.example/twilio/voice/status#")
    assert number.get("sms_url") == "https://hum.example/twilio/sms#rc=5&rp=all&ct=2000&rt=5000"
    assert number.get("sms_fallback_url") == "https://hum.example/twilio/sms/fallback#rc=5&rp=all&ct=2000&rt=5000"
    await twilio.close()


@pytest.mark.parametrize(
    "change",
    [
        {"sms_url": "https://elsewhere.example/"},
        {"sms_fallback_url": ""},
        {"sms_method": "GET"},
        {"sms_application_sid": "AP" + "0" * 32},
        {"voice_application_sid": "AP" + "0" * 32},
        {"voice_method": "GET"},
        {"status_callback": ""},
    ],
    ids=str,
)
async def test_a_number_that_asks_otherwise_is_seen_and_pointed_again(carrier: Carrier, change: dict[str, str]) -> None:
    twilio, here = client(carrier), Webhooks.at("https://hum.example")
    held = await twilio.find_number(NUMBER)
    assert held is not None
    await twilio.point_number(held.sid, here)
    carrier.number(NUMBER).configure(change)
    held = await twilio.find_number(NUMBER)
    assert held is not None and held.webhooks != here
    await twilio.point_number(held.sid, here)
    held = await twilio.find_number(NUMBER)
    assert held is not None and held.webhooks == here
    await twilio.close()


async def test_numbers_are_bought_and_given_back(carrier: Carrier) -> None:
    twilio, here = client(carrier), Webhooks.at("https://hum.example")
    offers = await twilio.offers(NumberSearch(area_code="415", contains="4155550*", capabilities=("voice", "sms")), 3)
    assert len(offers) == 3 and all(each.e164.startswith("+1415") for each in offers)
    assert (offers[0].region, offers[0].country, set(offers[0].capabilities)) == ("CA", "US", {"voice", "sms", "mms"})
    assert await twilio.offers(NumberSearch(country="FR"), 3) == []
    bought = await twilio.buy_number(offers[0].e164, here)
    assert bought is not None and bought.webhooks == here
    assert await twilio.buy_number(offers[0].e164, here) is None  # it is not on sale any more
    held = {each.e164: each for each in await twilio.list_numbers()}
    assert held.keys() == {NUMBER, offers[0].e164} and held[bought.e164].webhooks == here
    with pytest.raises(CarrierError) as refused:
        await twilio.buy_number("+0", here)
    assert is_refusal(refused.value)
    for _ in range(2):
        await twilio.release_number(bought.sid)
    assert [each.e164 for each in await twilio.list_numbers()] == [NUMBER]
    await twilio.close()


async def test_refusals_carry_the_carriers_code(carrier: Carrier) -> None:
    stranger = client(carrier, "wrong")
    with pytest.raises(CarrierError) as refused:
        await stranger.find_number(NUMBER)
    assert refused.value.metadata["carrier_code"] == "20003"
    await stranger.close()
    twilio = client(carrier)
    with pytest.raises(CarrierError):
        await twilio.point_number("PN" + "0" * 32, Webhooks.at("https://hum.example"))
    await twilio.end_call("CA" + "0" * 32)  # an unknown call counts as over
    await twilio.close()


async def test_a_carrier_that_is_away_is_a_carrier_error() -> None:
    away = Twilio(
        ControlSettings(twilio_account_sid=ACCOUNT, twilio_auth_token=TOKEN, twilio_api_base_url="http://127.0.0.1:9"),
        1,
    )
    with pytest.raises(CarrierError, match=r"can't be reached|did not respond"):
        await away.find_number(NUMBER)
    await away.close()


async def test_the_model_speaks_and_writes() -> None:
    async with Model.serve(api_key="k") as model:
        openai = OpenAI(ControlSettings(openai_api_key="k", openai_base_url=model.url), 5)
        spoken = await openai.synthesize("cedar", "Hello there, this is the clinic.")
        assert len(spoken) > 8000
        assert np.abs(decode(spoken)).max() > 1000
        wanted = jobs.schema({"type": "object", "properties": {"urgent": {"type": "boolean"}}, "required": ["urgent"]})
        written = await openai.write(jobs.INSTRUCTIONS, "caller: I need a plumber, please call me back", wanted)
        Draft202012Validator(wanted).validate(written.answer)
        model.faults = Faults(rest_status=500)
        for asked in (openai.synthesize("cedar", "x"), openai.write("i", "t", wanted)):
            with pytest.raises(ModelError):
                await asked
        await openai.close()


def test_resampling_keeps_the_tone_and_the_length() -> None:
    seconds = np.arange(24_000) / 24_000
    pcm = (10_000 * np.sin(2 * np.pi * 1000 * seconds)).astype("<i2").tobytes()
    ulaw = to_ulaw(pcm + b"\x00")
    assert len(ulaw) == 8000
    spectrum = np.abs(np.fft.rfft(decode(ulaw).astype(float)))
    assert int(np.argmax(spectrum)) == 1000
    assert to_ulaw(b"") == b""


async def test_numbers_are_looked_up(carrier: Carrier) -> None:
    carrier.directory.listings["+13175550199"] = Listing("ACME INC", "BUSINESS", "Verizon", "landline")
    twilio = client(carrier)
    assert await twilio.look_up("+13175550199") == Lookup("ACME INC", "Verizon", "landline")
    assert await twilio.look_up("+13175550198") == Lookup(None, "Sandbox Wireless", "mobile")
    assert await twilio.look_up("+0") is None
    assert carrier.directory.lookups == ["+13175550199", "+13175550198"]
    carrier.directory.out_of_order = 503
    with pytest.raises(CarrierError):
        await twilio.look_up("+13175550199")
    carrier.directory.out_of_order = 429
    with pytest.raises(CarrierBusy) as busy:
        await twilio.look_up("+13175550199")
    assert busy.value.retry_after_seconds == 1, "it did not say when"
    await twilio.close()
    stranger = client(carrier, "wrong")
    with pytest.raises(CarrierError):
        await stranger.look_up("+13175550199")
    await stranger.close()


async def test_a_call_is_looked_up_and_ended(carrier: Carrier) -> None:
    twilio = client(carrier)
    assert (await twilio.find_number(NUMBER)).account_sid == ACCOUNT  # type: ignore[union-attr]
    carrier.number(NUMBER).configure({"voice_url": "http://127.0.0.1:9/nobody"})
    call = await carrier.ring(NUMBER, "+13175550199", stay=True)
    standing = await twilio.find_call(call.sid)
    assert standing is not None
    assert standing.status in {"ringing", "in-progress"} and standing.ended_at is None
    await until(lambda: call.status == "in-progress")
    assert await twilio.calls_in_progress() == await twilio.calls_in_progress(ACCOUNT) == {call.sid}
    assert await twilio.end_call(call.sid)
    await call.ended()
    over = await twilio.find_call(call.sid)
    assert over is not None and call.ended_at is not None and over.ended_at is not None
    assert abs((over.ended_at - call.ended_at).total_seconds()) <= 1
    assert await twilio.calls_in_progress() == set()
    before = call.created_at - timedelta(minutes=1)
    assert await twilio.completed_calls(before) == await twilio.completed_calls(before, ACCOUNT) == [over]
    assert await twilio.completed_calls(over.ended_at + timedelta(minutes=1)) == []
    assert not await twilio.end_call(call.sid), "it was over already"
    unknown = "CA" + "f" * 32
    assert await twilio.find_call(unknown) is None
    assert not await twilio.end_call(unknown)
    await twilio.close()


async def test_a_call_is_another_accounts_or_ours(carrier: Carrier) -> None:
    """The account is in the URL: a call of ours is unknown to another one."""
    twilio, other = client(carrier), "AC" + "5" * 32
    carrier.number(NUMBER).configure({"voice_url": "http://127.0.0.1:9/nobody"})
    call = await carrier.ring(NUMBER, "+13175550199", stay=True)
    assert await twilio.find_call(call.sid, other) is None
    assert not await twilio.redirect_call(call.sid, "http://127.0.0.1:9/next", other)
    assert not await twilio.end_call(call.sid, other)
    assert await twilio.find_call(call.sid, ACCOUNT) is not None
    assert await twilio.end_call(call.sid, ACCOUNT)
    await call.ended()
    await twilio.close()
