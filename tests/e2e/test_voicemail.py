"""Messages through the whole platform: what the caller says is what somebody hears later, and the model that talks is not asked."""

import asyncio
import io
import wave
from typing import Any

import pytest

from media.core.audio import to_linear
from media.core.beep import BEEP_HZ, beep
from sandbox.openai import Faults, Script
from sandbox.twilio import Call, say
from tests.e2e.conftest import CALLER, House
from tests.e2e.test_inbound_call import LISTEN
from tests.e2e.test_tools import sse
from tests.support.simulation import voice
from tests.support.waits import patience

MESSAGE = b"".join(voice(1_600, seed=11))
MORE = b"".join(voice(1_200, seed=12))
NEVER = {"time_zone": "UTC", "weekly": {"mon": []}}
BEEPED: dict[str, Any] = {"do": "wait_for_tone", "hz": BEEP_HZ, "timeout_ms": 60_000}
HASH = {"do": "press", "digits": "#"}


@pytest.fixture
def script() -> Script:
    return Script.of(
        {
            "heard": ["Please call me back about the boiler"],
            "turns": [
                {"say": "I connect you to our mailbox.", "call": {"name": "take_voicemail", "arguments": {}}},
                {"say": "This is never said."},
            ],
        }
    )


@pytest.fixture
def media_settings() -> dict[str, Any]:
    return {"voicemail_silence_seconds": 3.0, "voicemail_max_seconds": 6.0}


async def closed(house: House, **fields: Any) -> None:
    """A flow that answers nobody at this hour, and takes messages."""
    await house.answer_with(voicemail_enabled=True, business_hours_json=NEVER, language="de", **fields)


async def item(house: House, *, transcribed: bool = True) -> dict[str, Any]:
    """The only voicemail, once it is there (and transcribed)."""
    async with patience():
        while True:
            found = (await house.http.get("/api/voicemails")).json()["voicemails"]
            if found and (found[0]["transcript"] is not None or not transcribed):
                (only,) = found
                return dict(only)
            await asyncio.sleep(0.03)


async def samples(house: House, voicemail: dict[str, Any]) -> bytes:
    content = (await house.http.get(voicemail["audio_url"])).raise_for_status().content
    with wave.open(io.BytesIO(content)) as wav:
        assert (wav.getnchannels(), wav.getframerate(), wav.getsampwidth()) == (1, 8000, 2)
        sound: bytes = wav.readframes(wav.getnframes())
    assert len(sound) == len(content) - 44
    assert abs(len(sound) / 16 - voicemail["duration_ms"]) < 1
    return sound


def heard(call: Call) -> bytes:
    return b"".join(bytes(each.payload) for stream in call.streams for each in stream.playout.segments)


async def nothing_left(house: House) -> None:
    """The call is over and its work is done, and there is no message and no file."""
    async with patience():
        while True:
            async with house.control.db.system() as tx:
                if not await tx.fetchval("SELECT count(*) FROM pgqueuer") and not await tx.fetchval(
                    "SELECT count(*) FROM message_parts"
                ):
                    break
            await asyncio.sleep(0.05)
    assert (await house.http.get("/api/voicemails")).json()["voicemails"] == []
    assert list((house.home / "recordings").rglob("*.wav")) == []


@pytest.mark.calls
async def test_the_agent_takes_a_message(house: House) -> None:
    await house.answer_with(greeting="Welcome.", voicemail_enabled=True, language="en-US")
    await house.clips_rendered()
    call = await house.ring(LISTEN, say(b"".join(voice(900))), BEEPED, say(MESSAGE), HASH, stay=True)
    await call.ended()
    record = await house.record(summarized=True)
    assert (record["status"], record["end_reason"], call.hung_up_by) == ("completed", "message_taken", "agent")
    assert [verb.name for verb in call.verbs] == ["Connect", "Connect", "Hangup"]
    assert len(house.model.sessions) == 1, "the mailbox has no model"
    words = [turn["text"] for turn in record["transcript"] if turn["role"] == "agent"]
    assert words[-3:-1] == [
        "I connect you to our mailbox.",
        "Please leave your name, your number and a message after the tone.",
    ]
    assert "recorded your message" in words[-1]
    starts = [turn["start_ms"] for turn in record["transcript"]]
    assert starts == sorted(starts)

    left = await item(house)
    assert record["voicemail"] == left
    assert (left["from"], left["heard"], left["transcript"]) == (CALLER, False, "Please call me back about the boiler")
    assert to_linear(MESSAGE) in await samples(house, left), "sample by sample"
    assert beep() in heard(call)
    (transcription,) = house.model.transcriptions
    assert (transcription.language, transcription.content[:4]) == ("en", b"RIFF")
    assert record["summary"] is not None

    types = [(each["type"], each["data"]) for each in (await house.http.get("/api/events")).json()["events"]]
    ours = [(type, data) for type, data in types if type.startswith("voicemail.")]
    assert [type for type, _ in ours] == ["voicemail.received", "voicemail.transcribed"], "each once"
    assert ours[1][1] == {"voicemail_id": left["id"], "call_id": record["id"], "transcript": left["transcript"]}
    told = [event for event, _ in await sse(house, record["id"]) if event.startswith("voicemail.")]
    assert told == ["voicemail.begun", "voicemail.over"]
    assert (await house.http.get("/api/dashboard")).json()["unheard_voicemails"] == 1
    found = (await house.http.get("/api/calls", params={"q": "boiler"})).json()["calls"]
    assert [each["id"] for each in found] == [record["id"]], "the message is searchable"


@pytest.mark.calls
async def test_after_hours_no_model_is_opened_and_the_flow_s_words_are_heard(house: House) -> None:
    await closed(house, after_hours_message="Wir haben geschlossen.", voicemail_greeting="Sprechen Sie jetzt.")
    await house.clips_rendered()
    call = await house.ring(BEEPED, say(MESSAGE), LISTEN, stay=True)
    await call.ended()
    record = await house.record(summarized=True)
    assert (record["status"], record["end_reason"]) == ("completed", "message_taken")
    assert [turn["text"] for turn in record["transcript"]][:2] == ["Wir haben geschlossen.", "Sprechen Sie jetzt."]
    assert [verb.name for verb in call.verbs] == ["Connect", "Hangup"]
    assert house.model.sessions == []
    left = await item(house)
    assert to_linear(MESSAGE) in await samples(house, left)
    assert house.model.transcriptions[0].language == "de"


@pytest.mark.calls
async def test_what_is_not_rendered_is_said_by_the_carrier(house: House) -> None:
    house.model.faults = Faults(rest_status=500)
    await closed(house, after_hours_message="Wir haben <geschlossen>.")
    call = await house.ring(BEEPED, say(MESSAGE), HASH, stay=True)
    await call.ended()
    assert [verb.name for verb in call.verbs] == ["Say", "Connect", "Say", "Hangup"]
    assert call.sentences[0].startswith("Wir haben <geschlossen>. Bitte hinterlassen Sie")
    assert "aufgenommen" in call.sentences[1]
    assert heard(call) == beep()
    left = await item(house, transcribed=False)
    assert to_linear(MESSAGE) in await samples(house, left), "a model that fails loses no message"
    house.model.faults = Faults()
    assert (await item(house))["transcript"]


@pytest.mark.calls
@pytest.mark.parametrize("moment", ["greeting", "beep", "silence"])
async def test_whoever_says_nothing_leaves_nothing(house: House, moment: str) -> None:
    await closed(house)
    await house.clips_rendered()
    steps: dict[str, list[dict[str, Any]]] = {
        "greeting": [{"do": "wait_for_agent_to_talk", "for_ms": 300}],
        "beep": [{"do": "press", "digits": "#"}, {"do": "wait_for_agent_to_talk", "for_ms": 60}],
        "silence": [BEEPED, LISTEN],
    }
    call = await house.ring(*steps[moment], stay=moment == "silence")
    await call.ended()
    record = await house.record()
    assert (record["status"], record["voicemail"]) == ("completed", None)
    assert record["end_reason"] == ("no_message" if moment == "silence" else "caller")
    await nothing_left(house)


@pytest.mark.calls
@pytest.mark.parametrize("how", ["hang_up", "silence", "too_long", "hang_up_over_rest"])
async def test_however_a_message_ends_it_is_kept(house: House, how: str) -> None:
    await closed(house)
    await house.clips_rendered()
    long = [each for n in range(12) for each in (say(b"".join(voice(500, seed=n))), {"do": "wait", "ms": 300})]
    spoken = long if how == "too_long" else [say(MESSAGE)]
    call = await house.ring(BEEPED, *spoken, *([] if how == "hang_up" else [LISTEN]), stay=how != "hang_up")
    if how == "hang_up_over_rest":
        await call.journal.find("caller.said", phase="end")
        live = await house.call_that_is("in_progress")
        assert (await house.http.post(f"/api/calls/{live['id']}/hangup")).status_code == 200
    await call.ended()
    record = await house.record()
    expected = {"hang_up": "caller", "hang_up_over_rest": "hang_up"}
    assert record["end_reason"] == expected.get(how, "message_taken")
    left = await item(house)
    if how == "too_long":
        assert left["duration_ms"] == pytest.approx(6_000, abs=400)
    else:
        assert to_linear(MESSAGE)[:-640] in await samples(house, left), "but for what was on its way"


@pytest.mark.calls
async def test_a_caller_whose_stream_is_lost_goes_on_with_the_message(house: House) -> None:
    await closed(house)
    await house.clips_rendered()
    call = await house.ring(
        BEEPED, say(MESSAGE), {"do": "wait", "ms": 700}, {"do": "vanish"}, BEEPED, say(MORE), HASH, stay=True
    )
    await call.ended()
    record = await house.record()
    assert [verb.name for verb in call.verbs] == ["Connect", "Connect", "Hangup"]
    assert record["end_reason"] == "message_taken"
    words = [turn["text"] for turn in record["transcript"]]
    assert sum("nach dem Signalton weiter" in each for each in words) == 1, "they are not greeted twice"
    left = await item(house)
    sound = await samples(house, left)
    assert 0 <= sound.find(to_linear(MESSAGE)) < sound.find(to_linear(MORE)), "both parts, in order"
    assert house.model.sessions == []


@pytest.mark.calls
async def test_a_mailbox_that_is_lost_again_and_again_keeps_what_it_has(house: House) -> None:
    await closed(house)
    await house.clips_rendered()
    lost = [say(MESSAGE), {"do": "wait", "ms": 700}, {"do": "vanish"}]
    call = await house.ring(BEEPED, *lost, BEEPED, *lost, BEEPED, *lost, stay=True)
    await call.ended()
    record = await house.record()
    assert [verb.name for verb in call.verbs] == ["Connect", "Connect", "Connect", "Say", "Hangup"]
    assert (record["status"], record["end_reason"]) == ("failed", "stream_lost")
    assert (await samples(house, await item(house))).count(to_linear(MESSAGE)) == 3


@pytest.mark.calls
async def test_an_agent_without_a_mailbox_can_not_take_a_message(house: House) -> None:
    """The model calls what it was not offered."""
    await house.answer_with(greeting="Welcome.")
    call = await house.ring(LISTEN, say(b"".join(voice(900))), LISTEN)
    await call.ended()
    record = await house.record()
    assert [verb.name for verb in call.verbs] == ["Connect"]
    assert [(each["name"], each["status"]) for each in record["tool_activity"]] == [("take_voicemail", "failed")]
    assert record["voicemail"] is None
