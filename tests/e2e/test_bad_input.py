"""What a carrier should never send: the stream is closed, the reason recorded, and no model session opened for it."""

import json
import xml.etree.ElementTree as ET
from typing import Any

import httpx
import pytest
import websockets
from websockets.asyncio.client import ClientConnection

from sandbox.openai import Faults
from sandbox.speech import Speech
from sandbox.twilio import say, sign
from tests.e2e.conftest import ACCOUNT, CALLER, NUMBER, TOKEN, House

FORM = {"CallSid": "CA" + "5" * 32, "AccountSid": ACCOUNT, "From": CALLER, "To": NUMBER, "CallStatus": "ringing"}
MEDIA = {
    "event": "media",
    "sequenceNumber": "2",
    "streamSid": "MZ1",
    "media": {"track": "inbound", "chunk": "1", "timestamp": "20", "payload": "/" * 214 + "=="},
}


class RawCall:
    """A carrier that sends whatever the test says."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.token = self.url = ""

    async def ring(self) -> None:
        url = f"{self._house.http.base_url}/twilio/voice".replace("//twilio", "/twilio")
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.post(
                url, data=FORM, headers={"X-Twilio-Signature": sign(TOKEN, url, list(FORM.items()))}
            )
        stream = ET.fromstring(answer.text).find("Connect/Stream")
        assert stream is not None
        parameter = stream.find("Parameter")
        assert parameter is not None
        self.url, self.token = str(stream.get("url")), str(parameter.get("value"))

    def connect(self, **headers: str) -> Any:
        signature = {"X-Twilio-Signature": sign(TOKEN, self.url)}
        return websockets.connect(self.url, additional_headers={**signature, **headers}, max_queue=None, proxy=None)

    def start(self, **changes: Any) -> str:
        fields = {"streamSid": "MZ1", "accountSid": ACCOUNT, "callSid": FORM["CallSid"], "tracks": ["inbound"]}
        form = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
        start = {**fields, "customParameters": {"token": self.token}, "mediaFormat": form, **changes}
        return json.dumps({"event": "start", "sequenceNumber": "1", "streamSid": "MZ1", "start": start})


CONNECTED = json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"})


async def closed(socket: ClientConnection) -> int:
    """The code with which the other side closes."""
    try:
        async for _ in socket:
            pass
    except websockets.ConnectionClosed:
        pass
    return socket.close_code or 0


@pytest.fixture
async def raw(house: House) -> RawCall:
    await house.answer_with(greeting="Welcome.")
    call = RawCall(house)
    await call.ring()
    return call


async def test_an_unsigned_upgrade_is_refused(raw: RawCall) -> None:
    for signature in ("", sign("other", raw.url), sign(TOKEN, raw.url.replace("ws:", "http:"))):
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with raw.connect(**{"X-Twilio-Signature": signature}):
                pass
        assert refused.value.response.status_code == 403


@pytest.mark.calls
@pytest.mark.parametrize(
    "changes", [{"customParameters": {}}, {"customParameters": {"token": "guessed"}}, {"callSid": "CA" + "6" * 32}]
)
async def test_what_does_not_fit_is_closed_with_1008_and_no_model(
    house: House, raw: RawCall, changes: dict[str, Any]
) -> None:
    async with raw.connect() as socket:
        await socket.send(CONNECTED)
        await socket.send(raw.start(**changes))
        assert await closed(socket) == 1008
    assert house.model.sessions == []


async def test_a_spent_token_opens_nothing(house: House, raw: RawCall) -> None:
    async with raw.connect() as first:
        await first.send(CONNECTED)
        await first.send(raw.start())
        await first.recv()
        async with raw.connect() as second:
            await second.send(CONNECTED)
            await second.send(raw.start())
            assert await closed(second) == 1008
    assert len(house.model.sessions) <= 1


@pytest.mark.calls
@pytest.mark.parametrize(
    "garbage",
    [
        "no json",
        '{"event": "media"}',
        json.dumps({**MEDIA, "media": {**MEDIA["media"], "payload": "%%%"}}),  # type: ignore[dict-item]
        "start again",
    ],
)
async def test_garbage_closes_the_stream_with_a_reason_on_record(house: House, raw: RawCall, garbage: str) -> None:
    async with raw.connect() as socket:
        await socket.send(CONNECTED)
        await socket.send(raw.start())
        await socket.recv()
        await socket.send(raw.start() if garbage == "start again" else garbage)
        assert await closed(socket) not in {0, 1000}
    record = await house.record()
    assert (record["status"], record["end_reason"]) == ("failed", "carrier_protocol")


@pytest.mark.calls
async def test_media_before_start_never_reaches_a_model(house: House, raw: RawCall) -> None:
    async with raw.connect() as socket:
        await socket.send(CONNECTED)
        await socket.send(json.dumps(MEDIA))
        assert await closed(socket) == 1002
    assert house.model.sessions == []


@pytest.mark.calls
async def test_a_frame_that_is_too_large_closes_the_stream(house: House, raw: RawCall) -> None:
    async with raw.connect() as socket:
        await socket.send(CONNECTED)
        await socket.send(raw.start())
        await socket.recv()
        await socket.send("x" * (65 << 10))
        assert await closed(socket) == 1009
    assert (await house.record())["end_reason"] == "carrier_protocol"


@pytest.mark.calls
async def test_a_model_that_dies_is_dialled_again_and_the_caller_is_heard(house: House, speech: Speech) -> None:
    house.model.faults = Faults(times=1, close_after_ms=2500)
    await house.answer_with(greeting="Welcome.")
    await house.clips_rendered()
    line = say(await speech.say("I would like to book a visit please.", "caller"))
    listen = {"do": "wait_for_agent_to_finish", "quiet_ms": 900, "timeout_ms": 60_000}
    call = await house.ring({"do": "wait", "ms": 5000}, line, listen)
    await call.ended()
    assert len(house.model.sessions) == 2, "one that died and one that was dialled for it"
    record = await house.record()
    assert record["status"] == "completed"
    assert [turn["role"] for turn in record["transcript"]][-2:] == ["caller", "agent"]
