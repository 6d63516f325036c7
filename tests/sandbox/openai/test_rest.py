"""The REST API, through the official SDK."""

import json
from typing import Any, cast

import numpy as np
import openai
import pytest
from openai.types.responses import (
    FunctionToolParam,
    ResponseFormatTextJSONSchemaConfigParam,
    ResponseFunctionToolCall,
    ResponseInputItemParam,
    ResponseTextConfigParam,
)

from sandbox.speech import sound
from tests.sandbox.openai.conftest import KEY, House, OpenHouse

TOOL: FunctionToolParam = {
    "type": "function",
    "name": "lookup",
    "parameters": {"type": "object", "properties": {}},
    "strict": False,
}


def client(h: House, key: str = KEY) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=h.model.url, api_key=key, max_retries=0)


def function_call(item: object) -> ResponseFunctionToolCall:
    assert isinstance(item, ResponseFunctionToolCall)
    return item


async def test_a_text_is_answered_by_the_script(house: OpenHouse) -> None:
    script = {
        "texts": [{"say": "First."}],
        "rules": [{"when": "hours", "say": "Nine to five."}],
        "otherwise": "Pardon?",
    }
    async with house(script) as h, client(h) as api:
        for asked, said in (("Hi", "First."), ("Your hours?", "Nine to five."), ("Eh", "Pardon?")):
            answer = await api.responses.create(model="gpt-5.4-mini", input=asked)
            assert answer.output_text == said
            assert answer.status == "completed"


async def test_texts_with_the_same_words_have_near_embeddings(house: OpenHouse) -> None:
    texts = [
        "How do I return a parcel?",
        "Returns: send the parcel back within 30 days.",
        "We open at nine on Mondays.",
    ]
    async with house({}) as h, client(h) as api:
        # The SDK asks for base64 unless it is told otherwise, and decodes it.
        made = await api.embeddings.create(model="text-embedding-3-small", input=texts, dimensions=256)
        plain = await api.embeddings.create(model="text-embedding-3-small", input=texts[0], encoding_format="float")
        whole = await api.embeddings.create(model="text-embedding-3-large", input=texts[0])
        asked, near, far = (np.array(each.embedding) for each in made.data)
        assert (len(asked), len(plain.data[0].embedding), len(whole.data[0].embedding)) == (256, 1536, 3072)
        assert asked @ near > asked @ far + 0.1
        assert abs(asked @ asked - 1) < 1e-5 and made.usage.total_tokens == made.usage.prompt_tokens > 20


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": [1]}, "input"),
        ({"input": "x" * 40_000}, "input"),
        ({"input": ["x"] * 2049}, "input"),
        ({"dimensions": 0}, "dimensions"),
        ({"dimensions": 1537}, "dimensions"),
        ({"model": "text-embedding-ada-002", "dimensions": 10}, "dimensions"),
    ],
)
async def test_embeddings_refuse_what_the_api_refuses(house: OpenHouse, wrong: dict[str, Any], param: str) -> None:
    async with house({}) as h, client(h) as api:
        with pytest.raises(openai.BadRequestError) as error:
            await api.embeddings.create(**{"model": "text-embedding-3-small", "input": "x", **wrong})
        assert error.value.param == param


async def test_the_strict_stream_of_the_sdk_takes_it(house: OpenHouse) -> None:
    script = {"texts": [{"say": "One moment, please.", "call": {"name": "lookup", "arguments": {"q": "leak"}}}]}
    async with (
        house(script) as h,
        client(h) as api,
        api.responses.stream(model="gpt-5.4-mini", input="Hello", tools=[TOOL]) as stream,
    ):
        deltas = [event.delta async for event in stream if event.type == "response.output_text.delta"]
        final = await stream.get_final_response()
    assert "".join(deltas) == final.output_text == "One moment, please."
    assert len(deltas) == 3
    assert function_call(final.output[1]).arguments == '{"q": "leak"}'


async def test_tools_are_used_in_sequence(house: OpenHouse) -> None:
    script = {"rules": [{"when": "leak", "call": {"name": "lookup"}}]}
    async with house(script) as h, client(h) as api:
        items: list[ResponseInputItemParam] = [
            {"role": "user", "content": [{"type": "input_text", "text": "I have a leak."}]}
        ]
        first = await api.responses.create(model="m", input=items, tools=[TOOL])
        (call,) = map(function_call, first.output)
        assert (call.type, call.name) == ("function_call", "lookup")
        output: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "{}"}
        items += [cast("ResponseInputItemParam", call.to_dict()), output]
        second = await api.responses.create(model="m", input=items, tools=[TOOL])
        assert second.output_text.startswith("That is done.")


async def test_several_tools_are_called_at_once_unless_that_is_forbidden(house: OpenHouse) -> None:
    both = {"call": {"name": "lookup", "arguments": {"q": "a"}}, "more_calls": [{"name": "lookup"}]}
    async with house({"texts": [both, both]}) as h, client(h) as api:
        many = await api.responses.create(model="m", input="Hello", tools=[TOOL])
        assert [function_call(each).name for each in many.output] == ["lookup", "lookup"]
        one = await api.responses.create(model="m", input="Hello", tools=[TOOL], parallel_tool_calls=False)
        assert [function_call(each).arguments for each in one.output] == ['{"q": "a"}']


async def test_calls_and_outputs_come_in_pairs(house: OpenHouse) -> None:
    call: ResponseInputItemParam = {"type": "function_call", "call_id": "c", "name": "lookup", "arguments": "{}"}
    output: ResponseInputItemParam = {"type": "function_call_output", "call_id": "c", "output": "{}"}
    hello: ResponseInputItemParam = {"role": "user", "content": "Hello"}
    async with house({"otherwise": "Hi."}) as h, client(h) as api:
        assert (await api.responses.create(model="m", input=[hello, call, output])).output_text
        with pytest.raises(openai.BadRequestError, match="No tool output found for function call c"):
            await api.responses.create(model="m", input=[hello, call])
        with pytest.raises(openai.BadRequestError, match="No tool call found"):
            await api.responses.create(model="m", input=[hello, output])


async def test_an_object_is_made_by_its_schema(house: OpenHouse) -> None:
    schema: dict[str, object] = {
        "type": "object",
        "properties": {"key_points": {"type": "array", "items": {"type": "string"}}},
    }
    answered: ResponseFormatTextJSONSchemaConfigParam = {
        "type": "json_schema",
        "name": "answer",
        "schema": schema,
        "strict": False,
    }
    wanted: ResponseTextConfigParam = {"format": answered}
    async with house({"otherwise": "never"}) as h, client(h) as api:
        text = "agent: Hello!\ncaller: I have a leak."
        answer = await api.responses.create(model="m", instructions="Summarize.", input=text, text=wanted)
        assert json.loads(answer.output_text) == {"key_points": ["I have a leak."]}
        answered["schema"] = {"type": "object", "properties": {"a": {"$ref": "#/nowhere"}}}
        with pytest.raises(openai.BadRequestError, match="Invalid schema"):
            await api.responses.create(model="m", input=text, text=wanted)


async def test_sentences_become_pcm_and_wav(house: OpenHouse) -> None:
    expected = sound.tones("Good morning.", 24_000).samples
    wish: dict[str, Any] = {"model": "gpt-4o-mini-tts", "voice": "marin", "input": "Good morning."}
    async with house() as h, client(h) as api:
        pcm = await (await api.audio.speech.create(**wish, response_format="pcm")).aread()
        assert np.array_equal(np.frombuffer(pcm, "<i2"), expected)
        wav = await (await api.audio.speech.create(**wish, response_format="wav")).aread()
        samples, rate_hz = sound.read_wav(wav)
        assert (rate_hz, len(samples)) == (24_000, len(expected))
        for bad in ({"response_format": "mp3"}, {"voice": "hal", "response_format": "pcm"}, {"input": ""}):
            with pytest.raises(openai.BadRequestError):
                await api.audio.speech.create(**(wish | bad))


async def test_a_recording_is_transcribed_by_the_script(house: OpenHouse) -> None:
    wav = sound.write_wav(sound.sine(300, 500, 8_000), 8_000)
    async with house({"heard": ["It drips."]}) as h, client(h) as api:
        for said in ("It drips.", "Speech of 500 ms."):
            answer = await api.audio.transcriptions.create(model="gpt-4o-transcribe", file=("a.wav", wav))
            assert answer.text == said
        with pytest.raises(openai.BadRequestError):
            await api.audio.transcriptions.create(model="gpt-4o-transcribe", file=("a.mp3", b"nonsense"))


async def test_strangers_and_bad_days(house: OpenHouse) -> None:
    async with house(faults={"rest_status": 429, "rest_times": 1}) as h, client(h) as api:
        async with client(h, "wrong") as stranger:
            with pytest.raises(openai.AuthenticationError):
                await stranger.responses.create(model="m", input="Hi")
        with pytest.raises(openai.RateLimitError):
            await api.responses.create(model="m", input="Hi")
        assert (await api.responses.create(model="m", input="Hi")).output_text
        assert (await api.models.retrieve("gpt-realtime")).id == "gpt-realtime"


async def test_bodies_that_are_refused(house: OpenHouse) -> None:
    stored = {"model": "m", "input": "x", "previous_response_id": "resp_1"}
    async with house() as h, client(h) as api:
        for body in ({}, {"model": "m"}, {"model": "m", "input": 1}, stored):
            with pytest.raises(openai.BadRequestError) as refused:
                await api.post("/responses", body=body, cast_to=object)
            assert isinstance(refused.value.body, dict)
            assert refused.value.body["message"]
