"""response.create and what follows, over a real socket."""

import json
import time
from itertools import pairwise

import pytest

from sandbox.speech import sound
from tests.sandbox.openai.conftest import OpenHouse, dominant_hz, silence, speech

SPOKEN_ORDER = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_audio_transcript.delta",
    "response.output_audio.delta",
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "response.output_item.done",
    "conversation.item.done",
    "response.done",
]


async def test_a_spoken_answer_comes_in_the_order_of_the_api(house: OpenHouse) -> None:
    async with house({"turns": [{"say": "We open at nine."}]}) as h, h.call() as client:
        await client.configure()
        del client.seen[:]
        await client.send("response.create")
        done = (await client.until("response.done"))["response"]
        assert list(dict.fromkeys(client.types())) == SPOKEN_ORDER
        assert done["status"] == "completed"
        assert done["usage"]["total_tokens"] == done["usage"]["input_tokens"] + done["usage"]["output_tokens"]
        words = [each["delta"] for each in client.of("response.output_audio_transcript.delta")]
        assert words == ["We", " open", " at", " nine."]
        assert client.of("response.output_audio_transcript.done")[0]["transcript"] == "We open at nine."
        assert done["output"][0]["content"] == [{"type": "output_audio", "transcript": "We open at nine."}]
        assert client.audio() == sound.encode(sound.tones("We open at nine.", 8_000).samples)
        ids = [each["event_id"] for each in client.seen]
        assert len(set(ids)) == len(ids)


async def test_a_words_text_is_never_later_than_its_sound(house: OpenHouse) -> None:
    text = "one two three four five six seven eight"
    spoken = sound.tones(text, 8_000)
    async with house({"turns": [{"say": text}]}) as h, h.call() as client:
        await client.configure()
        await client.send("response.create")
        await client.until("response.done")
        words, audio_ms = 0, 0
        for event in client.seen:
            if event["type"] == "response.output_audio_transcript.delta":
                words += 1
            elif event["type"] == "response.output_audio.delta":
                audio_ms += 100
                assert words >= sum(each.start_ms < audio_ms for each in spoken.words)
        assert words == 8
        assert len(client.of("response.output_audio.delta")) > words / 2, "the words came with their sound"


async def test_pcm_at_24_khz_is_the_default_format(house: OpenHouse) -> None:
    async with house({"turns": [{"tone": {"hz": 440, "ms": 500}}]}) as h, h.call() as client:
        await client.send("response.create")
        await client.until("response.done")
        assert len(client.audio()) == 500 * 48


async def test_a_tone_is_pure_and_as_long_as_asked(house: OpenHouse) -> None:
    async with house({"turns": [{"tone": {"hz": 440, "ms": 1_000}}]}) as h, h.call() as client:
        await client.configure()
        await client.send("response.create")
        await client.until("response.done")
        assert len(client.audio()) == 8_000
        assert dominant_hz(client.audio()) == 440


async def test_audio_comes_at_the_set_multiple_of_real_time_after_the_latency(house: OpenHouse) -> None:
    async with house({"turns": [{"tone": {"hz": 440, "ms": 1_000}}]}, speed=4, latency_ms=80) as h, h.call() as client:
        await client.configure()
        began = time.monotonic()
        await client.send("response.create")
        await client.until("response.output_audio.delta")
        first = time.monotonic() - began
        await client.until("response.done")
        whole = time.monotonic() - began
        assert first >= 0.08
        assert whole >= 0.08 + 0.9 / 4
        ats = [each["at_monotonic"] for each in h.truth.journal.of("response.output_audio.delta")]
        assert len(ats) == 10
        assert all(later >= earlier for earlier, later in pairwise(ats))


async def test_only_one_response_at_a_time(house: OpenHouse) -> None:
    async with house({"turns": [{"tone": {"hz": 440, "ms": 60_000}}]}, speed=1) as h, h.call() as client:
        await client.send("response.create")
        running = (await client.until("response.created"))["response"]["id"]
        await client.send("response.create", event_id="mine")
        error = await client.error()
        assert error["code"] == "conversation_already_has_active_response"
        assert error["type"] == "invalid_request_error"
        assert error["event_id"] == "mine"
        assert running in error["message"]


async def test_a_cancelled_response_says_so_and_makes_room(house: OpenHouse) -> None:
    script = {"turns": [{"tone": {"hz": 440, "ms": 60_000}}, {"say": "Yes?"}]}
    async with house(script, speed=10) as h, h.call() as client:
        await client.configure()
        await client.send("response.create")
        await client.until("response.output_audio.delta")
        await client.send("response.cancel")
        await client.send("response.create")
        done = (await client.until("response.done"))["response"]
        assert done["status"] == "cancelled"
        assert done["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
        assert done["output"][0]["status"] == "incomplete"
        assert (await client.until("response.done"))["response"]["output"][0]["content"][0]["transcript"] == "Yes?"
        assert [each.id for each in h.truth.cancels] == [done["id"]]


async def test_cancelling_nothing_is_an_error(house: OpenHouse) -> None:
    async with house() as h, h.call() as client:
        await client.send("response.cancel")
        assert (await client.error())["code"] == "response_cancel_not_active"
        await client.send("response.create")
        done = await client.until("response.done")
        await client.send("response.cancel", response_id=done["response"]["id"])
        assert (await client.error())["code"] == "response_cancel_not_active"


async def test_a_function_is_called_and_its_output_leads_to_the_next_answer(house: OpenHouse) -> None:
    rule = {"when": "table", "say": "Let me look.", "call": {"name": "book", "arguments": {"people": 4}}}
    async with house({"rules": [rule]}) as h, h.call() as client:
        await client.configure()
        user = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "A table, please."}]}
        await client.send("conversation.item.create", item=user)
        await client.send("response.create")
        arguments = await client.until("response.function_call_arguments.done")
        assert json.loads(arguments["arguments"]) == {"people": 4}
        assert arguments["name"] == "book"
        done = (await client.until("response.done"))["response"]
        assert [each["type"] for each in done["output"]] == ["message", "function_call"]
        assert client.of("response.function_call_arguments.delta")[0]["output_index"] == 1
        output = {"type": "function_call_output", "call_id": arguments["call_id"], "output": "{}"}
        await client.send("conversation.item.create", item=output)
        await client.send("response.create")
        after = (await client.until("response.done"))["response"]
        assert [each["type"] for each in after["output"]] == ["message"], "the rule does not call forever"


async def test_output_for_a_call_that_never_was_is_refused(house: OpenHouse) -> None:
    async with house() as h, h.call() as client:
        item = {"type": "function_call_output", "call_id": "call_x", "output": "{}"}
        await client.send("conversation.item.create", item=item)
        assert (await client.error())["param"] == "item.call_id"


@pytest.mark.parametrize(
    "instruction",
    ["Say exactly: We are closed today.", "Say exactly the following, word for word:\nWe are closed today."],
)
async def test_what_is_to_be_said_exactly_is_said_exactly(house: OpenHouse, instruction: str) -> None:
    async with house({"turns": [{"say": "Not this."}]}) as h, h.call() as client:
        await client.send("response.create", response={"instructions": instruction})
        await client.until("response.done")
        assert h.truth.spoken() == "We are closed today."


async def test_out_of_band_answers_stay_out_of_the_conversation(house: OpenHouse) -> None:
    async with house({"turns": [{"tone": {"hz": 440, "ms": 60_000}}]}, speed=1) as h, h.call() as client:
        await client.send("response.create")
        await client.until("response.created")
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Classify"}]}
        wish = {"conversation": "none", "input": [item], "output_modalities": ["text"], "metadata": {"topic": "x"}}
        await client.send("response.create", response=wish)
        done = (await client.until("response.done"))["response"]
        assert done["metadata"] == {"topic": "x"}
        assert done["conversation_id"] is None
        assert done["output"][0]["content"] == [
            {"type": "output_text", "text": "I heard: Classify. Is there anything else?"}
        ]
        own = {each["item"]["id"] for each in client.of("conversation.item.added")}
        assert done["output"][0]["id"] not in own


async def test_an_unknown_field_of_a_response_is_named(house: OpenHouse) -> None:
    async with house() as h, h.call() as client:
        await client.send("response.create", response={"modalities": ["audio"]})
        error = await client.error()
        assert (error["code"], error["param"]) == ("unknown_parameter", "response.modalities")


async def test_the_receptionist_hangs_up_when_the_caller_is_done(house: OpenHouse) -> None:
    tools = [{"type": "function", "name": "end_call", "parameters": {"type": "object", "properties": {}}}]
    async with house({"heard": ["That is all, goodbye."]}) as h, h.call() as client:
        await client.configure()
        await client.send("session.update", session={"type": "realtime", "tools": tools})
        await client.say(speech(400), silence(400))
        await client.until("input_audio_buffer.committed")
        await client.send("response.create")
        done = (await client.until("response.done"))["response"]
        assert done["output"][1]["name"] == "end_call"
        assert h.truth.spoken() == "Thank you for calling. Goodbye."
