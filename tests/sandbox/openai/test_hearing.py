"""The input buffer over a real socket: turns, transcription, interruption."""

from tests.sandbox.openai.conftest import OpenHouse, silence, speech


async def test_a_turn_is_detected_committed_and_transcribed(house: OpenHouse) -> None:
    async with house({"heard": ["I need a plumber."]}) as h, h.call() as client:
        await client.configure()
        await client.say(silence(500), speech(1_000), silence(400))
        started = await client.until("input_audio_buffer.speech_started")
        stopped = await client.until("input_audio_buffer.speech_stopped")
        assert started["audio_start_ms"] == 200, "300 ms before the onset belong to it"
        assert stopped["audio_end_ms"] == 1_800, "and the silence that ended it"
        committed = await client.until("input_audio_buffer.committed")
        assert committed["item_id"] == started["item_id"] == stopped["item_id"]
        assert committed["previous_item_id"] is None
        added = await client.until("conversation.item.added")
        assert added["item"]["content"] == [{"type": "input_audio", "transcript": None}]
        await client.until("conversation.item.done")
        completed = await client.until("conversation.item.input_audio_transcription.completed")
        assert completed["transcript"] == "I need a plumber."
        deltas = client.of("conversation.item.input_audio_transcription.delta")
        assert "".join(each["delta"] for each in deltas) == "I need a plumber."
        assert "response.created" not in client.types(), "create_response is false"
        assert len(h.truth.heard) == 1_900 * 8
        assert h.truth.understood == {committed["item_id"]: "I need a plumber."}


async def test_eagerness_is_how_long_it_waits(house: OpenHouse) -> None:
    async with house() as h:
        for eagerness, silence_ms in (("high", 300), ("medium", 600), ("low", 1_200), ("auto", 600)):
            async with h.call() as client:
                await client.configure(turn_detection={"type": "semantic_vad", "eagerness": eagerness})
                await client.say(speech(400), silence(2_000))
                assert (await client.until("input_audio_buffer.speech_stopped"))["audio_end_ms"] == 400 + silence_ms


async def test_server_vad_has_its_own_times_and_answers_by_itself(house: OpenHouse) -> None:
    detection = {"type": "server_vad", "silence_duration_ms": 200, "prefix_padding_ms": 100}
    async with house({"heard": ["Hello?"]}) as h, h.call() as client:
        session = await client.configure(turn_detection=detection)
        assert session["audio"]["input"]["turn_detection"]["create_response"] is True
        await client.say(silence(400), speech(400), silence(400))
        assert (await client.until("input_audio_buffer.speech_started"))["audio_start_ms"] == 300
        assert (await client.until("input_audio_buffer.speech_stopped"))["audio_end_ms"] == 1_000
        await client.until("response.done")
        assert h.truth.spoken().startswith("I heard: Hello.")


async def test_the_callers_speech_interrupts_when_it_may(house: OpenHouse) -> None:
    script = {"turns": [{"tone": {"hz": 440, "ms": 60_000}}]}
    async with house(script, speed=10) as h, h.call() as client:
        await client.configure(turn_detection={"type": "server_vad"})
        await client.send("response.create")
        await client.until("response.output_audio.delta")
        await client.say(speech(400))
        done = (await client.until("response.done"))["response"]
        assert done["status_details"] == {"type": "cancelled", "reason": "turn_detected"}


async def test_without_interruption_the_automatic_answer_is_lost(house: OpenHouse) -> None:
    script = {"turns": [{"tone": {"hz": 440, "ms": 60_000}}]}
    async with house(script, speed=10) as h, h.call() as client:
        await client.configure(turn_detection={"type": "server_vad", "interrupt_response": False})
        await client.send("response.create")
        await client.until("response.output_audio.delta")
        await client.say(speech(400), silence(600))
        await client.until("input_audio_buffer.committed")
        await client.send("response.cancel")
        await client.until("response.done")
        await client.send("input_audio_buffer.clear")
        await client.until("input_audio_buffer.cleared")
        assert len(client.of("response.created")) == 1


async def test_without_detection_the_client_commits(house: OpenHouse) -> None:
    async with house({"heard": ["Yes."]}) as h, h.call() as client:
        await client.configure(turn_detection=None)
        await client.say(speech(80))
        await client.send("input_audio_buffer.commit")
        assert (await client.error())["code"] == "input_audio_buffer_commit_empty"
        await client.say(speech(80))
        await client.send("input_audio_buffer.commit")
        first = await client.until("input_audio_buffer.committed")
        await client.say(speech(200))
        await client.send("input_audio_buffer.commit")
        second = await client.until("input_audio_buffer.committed")
        assert second["previous_item_id"] == first["item_id"]
        assert "input_audio_buffer.speech_started" not in client.types()


async def test_cleared_audio_is_gone(house: OpenHouse) -> None:
    async with house() as h, h.call() as client:
        await client.configure(turn_detection=None)
        await client.say(speech(500))
        await client.send("input_audio_buffer.clear")
        await client.until("input_audio_buffer.cleared")
        await client.send("input_audio_buffer.commit")
        assert (await client.error())["code"] == "input_audio_buffer_commit_empty"


async def test_nobody_transcribes_unless_asked_to(house: OpenHouse) -> None:
    async with house({"heard": ["Hello."]}) as h, h.call() as client:
        await client.configure(transcription=None)
        await client.say(speech(400), silence(400))
        await client.until("input_audio_buffer.committed")
        await client.send("response.create")
        await client.until("response.done")
        assert not any("transcription" in each for each in client.types())
        assert h.truth.spoken().startswith("I heard: Hello."), "but the model has heard it"


async def test_transcription_may_fail(house: OpenHouse) -> None:
    async with house(faults={"fail_transcription": True}) as h, h.call() as client:
        await client.configure()
        await client.say(speech(400), silence(400))
        committed = await client.until("input_audio_buffer.committed")
        failed = await client.until("conversation.item.input_audio_transcription.failed")
        assert failed["item_id"] == committed["item_id"]
        assert failed["error"]["message"]


async def test_audio_that_is_not_base64_is_refused(house: OpenHouse) -> None:
    async with house() as h, h.call() as client:
        await client.send("input_audio_buffer.append", audio="***")
        assert (await client.error())["param"] == "audio"
        await client.send("input_audio_buffer.append")
        assert (await client.error())["code"] == "missing_required_parameter"


async def test_pcm_is_heard_as_well(house: OpenHouse) -> None:
    from sandbox.speech import sound

    loud = sound.sine(300, 400, 24_000).astype("<i2").tobytes()
    async with house() as h, h.call() as client:
        await client.say(loud, bytes(48 * 700))
        assert (await client.until("input_audio_buffer.speech_stopped"))["audio_end_ms"] == 900
