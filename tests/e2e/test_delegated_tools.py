"""A model that hears and speaks at once, through the whole platform: what is to be done is done with the agent's tools."""

from typing import Any

import pytest

from sandbox.openai import Script
from sandbox.openai.live.truth import LiveTruth
from sandbox.speech import Speech
from sandbox.twilio import say
from tests.contract.httptools.conftest import serving
from tests.e2e.conftest import House
from tests.e2e.test_http_tools_call import ORDER_ID, bound
from tests.e2e.test_inbound_call import LISTEN

LIVE = "gpt-live-1.1"


@pytest.fixture
def shared_settings() -> dict[str, Any]:
    return {"live_models": LIVE}


@pytest.fixture
def script() -> Script:
    return Script.of(
        {
            "heard": ["Where is my order A seven", "Thank you, goodbye"],
            "turns": [{"call": {"name": "any"}}, {"call": {"name": "any"}}],
            "texts": [
                {"call": {"name": "look_up_order", "arguments": {"order_id": "A-7"}}},
                {"say": "Your order is packed."},
                {"say": "Goodbye.", "call": {"name": "end_call"}},
            ],
        }
    )


@pytest.mark.calls
async def test_a_voice_that_delegates_looks_things_up_and_ends_the_call(house: House, speech: Speech) -> None:
    async with serving() as shop:
        await house.answer_with(model=LIVE, greeting="Welcome to the shop.")
        tool = {"name": "look_up_order", "url": "/orders/{{ args.order_id }}", "parameters_json": ORDER_ID}
        await bound(house, shop, tool)
        await house.clips_rendered()
        question = await speech.say("Where is my order A seven?", "caller")
        farewell = await speech.say("Thank you, goodbye.", "caller")
        call = await house.ring(LISTEN, say(question), LISTEN, LISTEN, say(farewell), {"do": "wait", "ms": 30_000})
        await call.ended()
        record = await house.record()
    assert [(method, path) for method, path, _, _ in shop.asked] == [("GET", "/orders/A-7")]
    spoken = [turn["text"].strip() for turn in record["transcript"] if turn["role"] == "agent"]
    assert "Your order is packed." in spoken, record["transcript"]
    assert record["end_reason"] == "agent", record
    assert [(each["name"], each["status"]) for each in record["tool_activity"]] == [
        ("delegate", "ok"),
        ("look_up_order", "ok"),
        ("delegate", "ok"),
    ]
    (truth,) = house.model.sessions
    assert isinstance(truth, LiveTruth)
    assert [[each.kind for each in task.answers] for task in truth.live.delegations.values()] == [["commentary"]] * 2
    assert "look_up_order" not in truth.session["instructions"], "the voice is told abilities, and no names"
