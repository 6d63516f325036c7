"""A call over a cascade, through the whole platform: each stage is a server of its own, and `hum voice` is between."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hum.process.sockets import free_port
from hum.settings import VoiceSettings
from sandbox.openai import Model, Script
from sandbox.openai.settings import Settings, StageSettings
from sandbox.speech import Speech
from sandbox.twilio import say
from tests.contract.httptools.conftest import serving
from tests.e2e.conftest import House
from tests.e2e.test_http_tools_call import ORDER_ID, bound
from tests.e2e.test_inbound_call import LISTEN, interrupted_after
from voice import app as voice

KEY = "sk-stages"
QUESTION = "Where is my order A seven?"
LONG = (
    "Your order is packed, and it leaves the house on Tuesday, in the morning, at nine. It is carried by a van of our own, and the "
    "driver calls you half an hour before, so that somebody is at home, and can look at every part of it before they sign for it."
)
FILE = """
[[cascades.clinic.ears]]
url = "{url}"
model = "ears"
key = "STAGES_KEY"

[[cascades.clinic.mind]]
url = "{url}"
model = "first"
key = "STAGES_KEY"

[[cascades.clinic.mind]]
url = "{url}"
model = "second"
key = "STAGES_KEY"

[[cascades.clinic.mouth]]
url = "{url}"
model = "mouth"
voice = "alloy"
key = "STAGES_KEY"

[cascades.clinic.turn]
silence_ms = {{ high = 400 }}
"""


@pytest.fixture
async def stages() -> AsyncIterator[Model]:
    """The servers of the cascade."""
    script = Script.of(
        {
            "heard": [QUESTION] * 20,
            "turns": [
                {"call": {"name": "look_up_order", "arguments": {"order_id": "A-7"}}},
                {"say": LONG},
                {"say": "You are welcome."},
            ],
            "shared": True,
        }
    )
    latencies = StageSettings(hearing_ms=50, first_word_ms=100, speaking_ms=50)
    async with Model.serve(api_key=KEY, script=script, settings=Settings(stages=latencies)) as model:
        yield model


@pytest.fixture
async def shared_settings(
    stages: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[dict[str, Any]]:
    monkeypatch.setenv("STAGES_KEY", KEY)
    file, listen = tmp_path / "cascades.toml", f"127.0.0.1:{free_port('127.0.0.1')}"
    file.write_text(FILE.format(url=stages.url))
    settings = VoiceSettings(home=tmp_path, cascades_file=file, voice_listen=listen, drain_seconds=0)
    async with voice.build(settings):
        yield {"cascades_file": file, "voice_url": f"http://{listen}"}


def spoken(record: dict[str, Any], role: str) -> list[str]:
    return [turn["text"].strip() for turn in record["transcript"] if turn["role"] == role]


@pytest.mark.calls
async def test_a_call_is_heard_answered_interrupted_and_recorded_over_a_cascade(
    house: House, speech: Speech, stages: Model
) -> None:
    async with serving() as shop:
        await house.answer_with(model="cascade:clinic", greeting="Welcome to the shop.")
        tool = {"name": "look_up_order", "url": "/orders/{{ args.order_id }}", "parameters_json": ORDER_ID}
        await bound(house, shop, tool)
        await house.clips_rendered()
        question, thanks = [
            await speech.say(text, "caller") for text in (QUESTION, "Thank you very much, that is all.")
        ]
        call = await house.ring(LISTEN, say(question), interrupted_after(900), say(thanks), LISTEN)
        await call.ended()
        record = await house.record()
    assert [(method, path) for method, path, _, _ in shop.asked] == [("GET", "/orders/A-7")]
    assert [(each["name"], each["status"]) for each in record["tool_activity"]] == [("look_up_order", "ok")]
    _, answer, thanked = [turn for turn in record["transcript"] if turn["role"] == "agent"]
    assert thanked["text"].strip() == "You are welcome."
    heard = answer["heard_text"]
    assert answer["interrupted"] and LONG.startswith(heard) and heard != LONG, record["transcript"]
    assert spoken(record, "caller") == [QUESTION] * 2
    # The mind's next prompt has exactly the words that were heard.
    (message,) = [each for each in stages.chats[-1]["messages"] if each["role"] == "assistant" and each.get("content")][
        1:
    ]
    assert message["content"] == heard
    assert house.model.sessions == [], "nothing went to the provider of other models"
    ears, mind, mouth = record["model_stages"]
    assert [(each["stage"], each["model"], each["failures"]) for each in (ears, mind, mouth)] == [
        ("ears", "ears", 0),
        ("mind", "first", 0),
        ("mouth", "mouth", 0),
    ]
    assert ears["average_ms"] >= 50 and mind["average_ms"] >= 100 and mouth["longest_ms"] >= 50
    assert mind["requests"] <= len(stages.chats)
    lines = {(each["meter"], each["item"]): each["quantity"] for each in record["usage"]["lines"]}
    # What was broken off by the caller, nobody has counted.
    charged = [used for model, used in stages.charged if model == "first"]
    assert 0 < lines["text_tokens_in", "first"] <= sum(used["prompt_tokens"] for used in charged)
    assert 0 < lines["text_tokens_out", "first"] <= sum(used["completion_tokens"] for used in charged)
    assert 0 < lines["transcription_ms", "ears"] and 0 < lines["speech_ms", "mouth"]
    assert not [item for _, item in lines if item and item.startswith(("gpt-live", "gpt-realtime"))]


@pytest.mark.calls
async def test_a_mind_that_breaks_is_followed_by_the_next_within_the_sentence(
    house: House, speech: Speech, stages: Model
) -> None:
    stages.play(
        Script.of(
            {
                "heard": [QUESTION] * 20,
                "turns": [{"say": LONG}, {"say": "on Tuesday, at nine."}, {"say": "No more."}],
                "faults": {"stages": {"chat_ends_after": 9, "models": ["first"]}},
                "shared": True,
            }
        )
    )
    await house.answer_with(model="cascade:clinic", greeting="Welcome to the shop.")
    await house.clips_rendered()
    call = await house.ring(LISTEN, say(await speech.say(QUESTION, "caller")), LISTEN)
    await call.ended()
    record = await house.record()
    assert spoken(record, "agent")[1:] == ["Your order is packed, on Tuesday, at nine."]
    assert [each["model"] for each in stages.chats] == ["first", "second"]
    minds = {each["model"]: each for each in record["model_stages"] if each["stage"] == "mind"}
    assert minds["first"]["failures"] == 1 and minds["first"]["last_error"] == "its stream ended early"
    assert minds["second"]["failures"] == 0 and minds["second"]["average_ms"] is not None


@pytest.mark.calls
async def test_a_cascade_that_is_unknown_is_refused_when_the_flow_is_saved_and_when_it_has_vanished(
    house: House,
) -> None:
    answer = await house.http.post("/api/flows", json={"name": "F", "model": "cascade:other"})
    assert answer.status_code == 400, answer.text
    assert "cascade:clinic" in answer.text
    await house.answer_with(model="cascade:clinic")
    async with house.control.db.system() as tx:
        await tx.execute(
            """UPDATE flow_versions SET definition = jsonb_set(definition::jsonb, '{model}', '"cascade:gone"')"""
        )
    call = await house.ring(stay=True)
    await call.ended()
    record = await house.record()
    assert (record["status"], record["end_reason"]) == ("failed", "model_refused"), record
