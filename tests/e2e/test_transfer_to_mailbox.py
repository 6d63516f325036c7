"""A transfer that nobody answers, through the whole platform: dial, its action, the mailbox's stream, and a message that is kept."""

from typing import Any

import pytest

from media.core.audio import to_linear
from media.core.beep import beep
from sandbox.openai import Script
from sandbox.speech import Speech
from sandbox.twilio import Person, farend, say
from tests.e2e.conftest import CALLER, House
from tests.e2e.test_inbound_call import LISTEN
from tests.e2e.test_tools import sse
from tests.e2e.test_transfers import ADA, ON, ask, child_of
from tests.e2e.test_voicemail import BEEPED, HASH, MESSAGE, heard, item, samples

MAP = {"Dr Ada": {"to": ADA, "accept_key": True, "timeout_seconds": 5, "unanswered": "voicemail"}}


@pytest.fixture
def script() -> Script:
    turns = [ask("Dr Ada"), {"say": "This is never said."}]
    return Script.of({"heard": ["Please put me through", "Call me back about the boiler"], "turns": turns})


@pytest.fixture
def media_settings() -> dict[str, Any]:
    return {"voicemail_silence_seconds": 20.0}


@pytest.mark.calls
@pytest.mark.parametrize(
    ("person", "state", "at_carrier"),
    [(farend.no_answer(), "no_answer", "no-answer"), (farend.busy(), "busy", "busy")],
    ids=["no answer", "busy"],
)
async def test_who_reaches_nobody_leaves_a_message(
    house: House, speech: Speech, person: Person, state: str, at_carrier: str
) -> None:
    await house.answer_with(greeting="Welcome.", transfer_map_json=MAP, voicemail_enabled=True, language="en-US")
    await house.clips_rendered()
    house.carrier.set_people(ADA, person)
    words = await speech.say("Please put me through.", "caller")
    call = await house.ring(LISTEN, say(words), BEEPED, say(MESSAGE), HASH, stay=True)
    await call.ended(90)

    # The carrier's truth: what was rung, what it asked us then, and what the caller heard, one after the other.
    child = await child_of(house, ADA)
    assert (child.status, child.sentences) == (at_carrier, [])
    assert [verb.name for verb in call.verbs] == ["Connect", "Dial", "Connect", "Hangup"]
    asked = [each.parameters["DialCallStatus"] for each in call.webhooks if "/twilio/voice/transfer/" in each.url]
    assert asked == [at_carrier], "its action, once"
    whats = [each["what"] for each in call.truth.heard() if each["what"] != "silence"]
    assert [what for what in whats if what != "ringing"] == ["stream", "stream"], "the agent, and the mailbox"
    if state == "no_answer":
        assert whats == ["ringing", "stream", "ringing", "stream"], "whoever is rung between them"
    assert beep() in heard(call) and call.hung_up_by == "agent" and call.errors == []

    record = await house.record(summarized=True)
    assert (record["status"], record["end_reason"]) == ("completed", "message_taken")
    (row,) = record["transfers"]
    assert (row["state"], row["label"], row["answered_at"], row["connected_at"]) == (state, "Dr Ada", None, None)
    said = [turn["text"] for turn in record["transcript"] if turn["role"] == "agent"]
    assert said[:4] == [
        "Welcome.",
        ON,
        "We are sorry, nobody can take your call at the moment.",
        "Please leave your name, your number and a message after the tone.",
    ]
    assert "This is never said." not in said and len(house.model.sessions) == 1, "the mailbox has no model"

    left = await item(house)
    assert record["voicemail"] == left and left["from"] == CALLER
    assert to_linear(MESSAGE) in await samples(house, left), "sample by sample"
    names = [name for name, _ in await sse(house, record["id"])]
    order = ["transfer.started", "transfer.ended", "voicemail.begun", "voicemail.over", "call.ended"]
    assert [name for name in names if name in order] == order
    types = [each["type"] for each in (await house.http.get("/api/events")).json()["events"]]
    ours = [type for type in types if type.startswith(("voicemail.", "call.transfer"))]
    assert ours == ["call.transfer", "voicemail.received", "voicemail.transcribed"], "each once"
