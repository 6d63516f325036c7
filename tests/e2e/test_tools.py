"""An agent with tools through the whole platform: from the model's call to the record, the stream and the events."""

import asyncio
import json
from typing import Any

import pytest

from sandbox.openai import Script
from sandbox.speech import Speech
from sandbox.twilio import say
from tests.e2e.conftest import House
from tests.e2e.test_inbound_call import LISTEN
from tests.support.waits import patience

SCHEMA = {
    "type": "object",
    "properties": {"booked": {"type": "boolean"}},
    "required": ["booked"],
    "additionalProperties": False,
}


@pytest.fixture
def script() -> Script:
    return Script.of(
        {
            "heard": ["I would like to book a visit", "Thank you, goodbye"],
            "turns": [
                {"call": {"name": "report_outcome", "arguments": {"booked": "yes"}}},
                {"call": {"name": "report_outcome", "arguments": {"booked": True}}},
                {"say": "You are booked."},
                {"say": "Goodbye.", "call": {"name": "end_call", "arguments": {}}},
            ],
        }
    )


async def sse(house: House, call_id: str) -> list[tuple[str, dict[str, Any]]]:
    """The whole stream of a call that is over."""
    text = (await house.http.get(f"/api/calls/{call_id}/stream", headers={"Last-Event-ID": "0"})).text
    found = []
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and not line.startswith(":"))
        if "event" in lines:
            found.append((lines["event"], json.loads(lines["data"])))
    return found


@pytest.mark.calls
async def test_an_outcome_is_reported_corrected_and_the_call_ended_by_the_agent(house: House, speech: Speech) -> None:
    await house.answer_with(greeting="Welcome.", outcome_schema_json=SCHEMA, filler_phrases=["Let me see."])
    await house.clips_rendered()
    words = [await speech.say(line, "caller") for line in ("I would like to book a visit.", "Thank you and goodbye.")]
    call = await house.ring(LISTEN, say(words[0]), LISTEN, say(words[1]), stay=True)
    await call.ended()
    record = await house.record(summarized=True)
    assert (record["status"], record["end_reason"], call.hung_up_by) == ("completed", "agent", "agent")
    assert record["outcome"] == {"booked": True}, "the agent's own report takes precedence over the later judgement"

    wrong, right, end = record["tool_activity"]
    assert [each["name"] for each in (wrong, right, end)] == ["report_outcome", "report_outcome", "end_call"]
    assert [each["status"] for each in (wrong, right, end)] == ["failed", "ok", "ok"]
    assert "not of type 'boolean'" in wrong["result"]["problems"][0]
    assert right["result"] == {"recorded": True} and right["duration_ms"] is not None
    assert len({each["id"] for each in (wrong, right, end)}) == 3
    spoken = [turn["text"] for turn in record["transcript"] if turn["role"] == "agent"]
    assert spoken[-2:] == ["You are booked.", "Goodbye."]

    events = await sse(house, record["id"])
    started = [data["id"] for name, data in events if name == "tool.started"]
    assert started == [data["id"] for name, data in events if name == "tool.finished"]
    assert len(started) == 3

    async with patience():
        while True:
            listed = (await house.http.get("/api/events")).json()["events"]
            if "call.summary" in {each["type"] for each in listed}:
                break
            await asyncio.sleep(0.05)
    assert [each["type"] for each in listed if each["type"].startswith("call.")] == [
        "call.started",
        "call.outcome",
        "call.completed",
        "call.summary",
    ]


@pytest.mark.calls
@pytest.mark.parametrize("shared_settings", [{"ingress_seconds": 2.0}])
async def test_an_agent_hangs_up_while_control_is_away(house: House, speech: Speech) -> None:
    """`end_call` needs no request; a tool that control runs is answered at its deadline."""
    await house.answer_with(greeting="Welcome.", outcome_schema_json=SCHEMA)
    await house.clips_rendered()
    words = [await speech.say(line, "caller") for line in ("I would like to book a visit.", "Thank you. Goodbye.")]
    call = await house.ring(LISTEN, say(words[0]), LISTEN, say(words[1]), stay=True)
    await call.journal.find("agent.audible")
    await house.control.server.drain(0)
    await call.ended()
    assert call.hung_up_by == "agent"
