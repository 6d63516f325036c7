"""The session itself: its configuration, authentication, end, and faults."""

import asyncio
import json
import time
from contextlib import suppress
from typing import Any

import openai
import pytest
import websockets

from tests.sandbox.openai.conftest import KEY, House, OpenHouse, silence, speech


async def test_a_session_is_updated_deeply(house: OpenHouse) -> None:
    async with house() as h, h.call() as client:
        created = client.of("session.created")[0]["session"]
        assert created["model"] == "gpt-realtime"
        await client.configure()
        await client.send("session.update", session={"type": "realtime", "instructions": "Be brief."})
        session = (await client.until("session.updated"))["session"]
        assert session["instructions"] == "Be brief."
        assert session["audio"]["input"]["format"] == {"type": "audio/pcmu"}
        assert session["audio"]["output"]["voice"] == created["audio"]["output"]["voice"]
        assert session["audio"]["input"]["turn_detection"]["eagerness"] == "high"
        await client.send(
            "session.update",
            session={"type": "realtime", "audio": {"input": {"turn_detection": {"interrupt_response": True}}}},
        )
        detection = (await client.until("session.updated"))["session"]["audio"]["input"]["turn_detection"]
        assert detection == {
            "type": "semantic_vad",
            "eagerness": "high",
            "create_response": False,
            "interrupt_response": True,
        }


async def test_a_bad_update_is_answered_with_its_event_id_and_changes_nothing(house: OpenHouse) -> None:
    async with house() as h, h.call() as client:
        await client.send("session.update", event_id="u1", session={"type": "realtime", "voice": "alloy"})
        assert await client.error() == {
            "type": "invalid_request_error",
            "code": "unknown_parameter",
            "message": "Unknown parameter: 'session.voice'.",
            "param": "session.voice",
            "event_id": "u1",
        }
        assert h.truth.session == client.of("session.created")[0]["session"]


async def test_the_voice_stays_once_it_was_heard(house: OpenHouse) -> None:
    wish = {"type": "realtime", "audio": {"output": {"voice": "marin"}}}
    other = {"type": "realtime", "audio": {"output": {"voice": "cedar"}}}
    async with house() as h, h.call() as client:
        await client.send("session.update", session=wish)
        await client.until("session.updated")
        await client.send("response.create")
        await client.until("response.done")
        await client.send("session.update", session=other)
        assert (await client.error())["code"] == "cannot_update_voice"
        await client.send("session.update", session=wish)
        await client.until("session.updated")


async def test_nonsense_is_answered_and_forgiven(house: OpenHouse) -> None:
    async with house() as h, h.call() as client:
        for nonsense, code in (
            ("{", "invalid_json"),
            ("[]", "invalid_event"),
            ("{}", "missing_required_parameter"),
            ('{"type": "conversation.item.created", "event_id": "x"}', "invalid_value"),
        ):
            await client.socket.send(nonsense)
            error = await client.error()
            assert error["code"] == code
            assert set(error) == {"type", "code", "message", "param", "event_id"}
        await client.configure()


@pytest.mark.parametrize(
    ("call", "faults", "status"),
    [
        ({"key": "wrong"}, {}, 401),
        ({}, {"refuse_status": 429}, 429),
        ({}, {"refuse_status": 503}, 503),
        ({"query": ""}, {}, 400),
    ],
)
async def test_the_upgrade_may_be_refused(
    house: OpenHouse, call: dict[str, Any], faults: dict[str, Any], status: int
) -> None:
    async with house(faults=faults) as h:
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with h.call(**call):
                pass
        assert refused.value.response.status_code == status
        assert json.loads(refused.value.response.body)["error"]["message"]
        assert h.model.sessions == []


async def test_faults_may_be_for_the_first_connections_only(house: OpenHouse) -> None:
    async with house(faults={"refuse_status": 503, "times": 1}) as h:
        with pytest.raises(websockets.InvalidStatus):
            async with h.call():
                pass
        async with h.call() as client:
            await client.configure()


async def test_a_session_has_a_limit(house: OpenHouse) -> None:
    async with house(session_limit_s=0.05) as h, h.call() as client:
        assert (await client.error())["code"] == "session_expired"
        assert await client.closed() == 1001
        await asyncio.wait_for(_closed(h), 30)
        assert h.truth.close_code == 1001


async def _closed(h: House) -> None:
    async for _ in h.truth.journal.follow():
        pass


@pytest.mark.parametrize("faults", [{"close_after_events": 3}, {"close_after_ms": 30}])
async def test_the_connection_may_break(house: OpenHouse, faults: dict[str, int]) -> None:
    async with house(faults=faults) as h, h.call() as client:
        with suppress(websockets.ConnectionClosed):  # it may have broken already
            await client.send("response.create")
        assert await client.closed() == 1011
        if "close_after_events" in faults:
            assert len(client.seen) == 3


@pytest.mark.parametrize("chunks", [0, 2])
async def test_the_connection_may_break_within_an_answer(house: OpenHouse, chunks: int) -> None:
    faults = {"close_after_chunks": chunks, "close_code": 1000}
    async with house({"turns": [{"tone": {"hz": 440, "ms": 2_000}}]}, faults) as h, h.call() as client:
        await client.send("response.create")
        assert await client.closed() == 1000
        assert len(client.of("response.output_audio.delta")) == chunks


async def test_the_upgrade_may_take_its_time(house: OpenHouse) -> None:
    async with house(faults={"accept_after_ms": 300, "times": 1}) as h:
        began = asyncio.get_running_loop().time()
        async with h.call():
            assert asyncio.get_running_loop().time() - began >= 0.3


async def test_it_may_go_silent(house: OpenHouse) -> None:
    async with house(faults={"silent_after_events": 1}) as h, h.call() as client:
        await client.send("response.create")
        await h.truth.until_received("response.create")
        await (await client.socket.ping())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.socket.recv(), 0.05)  # meant to run out


async def test_it_may_never_transcribe(house: OpenHouse) -> None:
    async with house(faults={"never_transcribe": True}) as h, h.call() as client:
        await client.configure()
        await client.say(speech(400), silence(400))
        await client.until("input_audio_buffer.committed")
        await client.send("response.create")
        await client.until("response.done")
        assert not any("transcription" in each for each in client.types())


async def test_the_first_delta_may_be_slow(house: OpenHouse) -> None:
    async with house(faults={"first_delta_ms": 60}) as h, h.call() as client:
        asked = time.monotonic()  # not when it was noted that the answer was created: that may be late
        await client.send("response.create")
        await client.until("response.done")
        assert h.truth.journal.of("response.output_audio.delta")[0]["at_monotonic"] - asked >= 0.06


async def test_a_session_may_be_dropped(house: OpenHouse) -> None:
    async with house() as h, h.call() as client:
        h.model.drop(h.truth.id)
        assert await client.closed() == 1011
        with pytest.raises(LookupError):
            h.model.drop("sess_nobody")


async def test_each_session_begins_the_script_unless_it_is_shared(house: OpenHouse) -> None:
    for shared, said in ((False, ["one", "one"]), (True, ["one", "two"])):
        async with house({"turns": [{"say": "one"}, {"say": "two"}], "shared": shared}) as h:
            for _ in range(2):
                async with h.call() as client:
                    await client.send("response.create")
                    await client.until("response.done")
            assert [each.spoken() for each in h.model.sessions] == said


async def test_the_official_sdk_holds_a_conversation(house: OpenHouse) -> None:
    async with house({"turns": [{"say": "Hello there."}]}) as h:
        client = openai.AsyncOpenAI(base_url=h.model.url, api_key=KEY)
        async with client, client.realtime.connect(model="gpt-realtime") as connection:
            await connection.session.update(
                session={"type": "realtime", "audio": {"output": {"format": {"type": "audio/pcmu"}}}}
            )
            await connection.response.create()
            words = ""
            async for event in connection:
                if event.type == "response.output_audio_transcript.delta":
                    words += event.delta
                if event.type == "response.done":
                    break
            assert words == "Hello there."
            assert event.type == "response.done"
            assert event.response.status == "completed"
