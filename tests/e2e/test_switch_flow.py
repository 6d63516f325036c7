"""A call is handed to another flow's agent through the whole platform."""

import pytest

from sandbox.openai import Script
from sandbox.speech import Speech
from sandbox.twilio import say
from tests.e2e.conftest import House
from tests.e2e.test_inbound_call import LISTEN

LONGEST_GAP_MS = 3_000


@pytest.fixture
def script() -> Script:
    return Script.of(
        {
            "shared": True,
            "heard": ["My bill is wrong", "Thank you, goodbye"],
            "turns": [
                {
                    "say": "I will hand you to my colleague in billing.",
                    "call": {"name": "transfer_to_flow", "arguments": {"target": "billing"}},
                },
                {"say": "Billing here. Which bill is it?"},
                {"say": "Goodbye.", "call": {"name": "end_call", "arguments": {}}},
            ],
        }
    )


@pytest.mark.calls
async def test_a_colleague_takes_the_call_over(house: House, speech: Speech) -> None:
    billing = (
        await house.http.post(
            "/api/flows", json={"name": "Billing", "system_prompt": "You do bills.", "idle_prompts_json": {}}
        )
    ).json()
    await house.answer_with(greeting="Welcome.", transfer_map_json={"billing": billing["id"]}, idle_prompts_json={})
    await house.clips_rendered()
    words = [await speech.say(line, "caller") for line in ("My bill is wrong.", "Thank you and goodbye.")]
    # Without a pause between them the two agents' sentences are one to the caller, whose next wait then runs out.
    perhaps = {**LISTEN, "timeout_ms": 10_000}
    call = await house.ring(LISTEN, say(words[0]), LISTEN, perhaps, say(words[1]), stay=True)
    await call.ended()
    record = await house.record()
    assert (record["status"], record["end_reason"]) == ("completed", "agent")
    (switch,) = record["flow_switches"]
    assert (switch["flow_id"], switch["flow_version"]) == (billing["id"], 1)
    assert record["flow_id"] == house.flow["id"]
    agent = [turn for turn in record["transcript"] if turn["role"] == "agent"]
    assert [turn["heard_text"] for turn in agent] == [
        "Welcome.",
        "I will hand you to my colleague in billing.",
        "Billing here. Which bill is it?",
        "Goodbye.",
    ]
    assert agent[2]["start_ms"] - agent[1]["end_ms"] < LONGEST_GAP_MS
    assert len(call.truth.as_json()["streams"]) == 1, "one stream, from the first word to the last"
    first, second = house.model.sessions
    assert "You do bills." not in first.session["instructions"] and "You do bills." in second.session["instructions"]
    assert second.closed_at is None or first.closed_at is not None
