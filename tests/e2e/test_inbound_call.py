"""An inbound call through the whole platform, judged by audio: up to the interruption, what the model sent is what the
caller heard and what is recorded; after it, nothing.
"""

import asyncio
from typing import Any

import numpy as np
import pytest

from cli.simulate import heard_before_clear
from sandbox.openai import Script
from sandbox.speech import Speech
from sandbox.twilio import say
from tests.contract.test_live_stream import Sent, events
from tests.e2e.conftest import House
from tests.support.recordings import WINDOW_MS, channels, tone_ms
from tests.support.stalls import Stalls
from tests.support.transcript import Transcript
from tests.support.waits import patience

TONE_HZ, SECOND_HZ = 1000.0, 1800.0
LISTEN = {"do": "wait_for_agent_to_finish", "quiet_ms": 600, "timeout_ms": 60_000}


def interrupted_after(ms: int) -> dict[str, Any]:
    return {"do": "wait_for_agent_to_talk", "for_ms": ms, "timeout_ms": 60_000}


async def followed(house: House) -> Transcript:
    """What a page shows that follows the call from its beginning to its end."""
    page, call = Transcript(), await house.call_that_is("in_progress")
    async for each in events(house.http, call["id"]):
        if isinstance(each, Sent):
            page.feed(each.event, each.data)
    assert page.is_over
    return page


@pytest.fixture
def script() -> Script:
    return Script.of(
        {
            "heard": ["I would like to book a visit", "Tuesday please"],
            "turns": [{"tone": {"hz": TONE_HZ, "ms": 6000}}, {"tone": {"hz": SECOND_HZ, "ms": 900}}],
        }
    )


@pytest.mark.parametrize("exact", [False, pytest.param(True, marks=pytest.mark.realtime)])
async def test_a_call_is_answered_interrupted_recorded_and_summarized(
    house: House, speech: Speech, stalls: Stalls, exact: bool
) -> None:
    await house.answer_with(greeting="Welcome to the clinic.", announce_recording=True)
    await house.clips_rendered()
    first, second = [
        await speech.say(line, "caller")
        for line in ("I would like to book a visit please.", "Tuesday would be better for me.")
    ]
    call = await house.ring(LISTEN, say(first), interrupted_after(1500), say(second), LISTEN)
    following = asyncio.create_task(followed(house))
    truth = await call.ended()
    record = await house.record(summarized=True)

    # Who followed it was shown the same in the end.
    async with patience():
        page = await following
    told = [{name: turn[name] for name in ("item_id", "role", "start_ms", "text")} for turn in record["transcript"]]
    assert [{name: getattr(line, name) for name in turn} for line, turn in zip(page.shown(), told, strict=True)] == told
    assert not page.running_tools

    # What was said, in the order of speech.
    roles = [turn["role"] for turn in record["transcript"]]
    assert roles == ["agent", "agent", "caller", "agent", "caller", "agent"], record["transcript"]
    announcement, greeting, asked, answer, cut_in, last = record["transcript"]
    assert greeting["text"] == "Welcome to the clinic."
    assert "recorded" in announcement["text"]
    assert (asked["text"], cut_in["text"]) == ("I would like to book a visit", "Tuesday please")
    assert [turn["start_ms"] for turn in record["transcript"]] == sorted(
        turn["start_ms"] for turn in record["transcript"]
    )
    assert answer["interrupted"] and not last["interrupted"]

    # The interruption: the reported position is where the carrier really was.
    (interruption,) = record["interruptions"]
    assert interruption["verdict"] == "cut"
    really = heard_before_clear(call, interruption["at_ms"])
    assert really is not None and 0 < interruption["heard_ms"] < 6_000
    (session,) = house.model.sessions
    (truncated,) = session.truncations
    assert truncated.audio_end_ms == interruption["heard_ms"]
    if exact:
        assert abs(interruption["heard_ms"] - really) <= 20, (interruption, really)

    # The recording holds what was heard of the answer, and nothing after it; then the second tone.
    answer_bytes = (await house.http.get(record["recording_url"])).content
    caller, agent = channels(answer_bytes)
    heard = [at for at in tone_ms(agent, TONE_HZ) if at >= answer["start_ms"] - 40]  # words are tones here too
    second_heard = [at for at in tone_ms(agent, SECOND_HZ) if at >= last["start_ms"] - 40]
    # A busy machine breaks the sound; a window with a break in it may be none.
    gaps = truth.as_json()["streams"][0]["gaps"]
    near_ms = 60 + 2 * WINDOW_MS * len(gaps)
    assert len(heard) * WINDOW_MS == pytest.approx(interruption["heard_ms"], abs=near_ms), "no tone after the cut"
    assert len(second_heard) * WINDOW_MS == pytest.approx(900, abs=near_ms)
    assert np.abs(caller).max() > 1000
    if exact:
        assert max(heard) - min(heard) <= interruption["heard_ms"] + 40
        assert all(gap["end_ms"] - gap["start_ms"] <= stalls.longest_ms for gap in gaps), gaps
        assert all(turn["ours_ms"] < 200 + stalls.longest_ms for turn in record["latency"]["turns"])
        assert all(turn["first_answer_ms"] < 3_000 for turn in record["latency"]["turns"])
    assert call.errors == []

    # The outcome.
    assert (record["status"], record["end_reason"]) == ("completed", "caller")
    assert record["summary"]["text"]
    assert record["announcement_played_ms"] > 0
    assert len(record["latency"]["turns"]) == 2
    for turn in record["latency"]["turns"]:
        assert turn["ours_ms"] >= 0 and turn["first_answer_ms"] > 0
    found = await house.http.get("/api/calls", params={"q": "Tuesday"})
    assert [each["id"] for each in found.json()["calls"]] == [record["id"]]


@pytest.mark.calls
async def test_ranges_of_the_recording(house: House, speech: Speech) -> None:
    await house.answer_with(greeting="Welcome.", announce_recording=False, recording_enabled=True)
    call = await house.ring(
        LISTEN, say(await speech.say("Hello there, good morning.", "caller")), interrupted_after(200)
    )
    await call.ended()
    record = await house.record()
    whole = await house.http.get(record["recording_url"])
    assert (whole.status_code, whole.headers["content-type"], whole.headers["accept-ranges"]) == (
        200,
        "audio/wav",
        "bytes",
    )
    assert whole.content[:4] == b"RIFF"
    assert int(whole.headers["content-length"]) == len(whole.content)
    for wanted, expected in (
        ("bytes=0-3", whole.content[:4]),
        ("bytes=40-", whole.content[40:]),
        ("bytes=-7", whole.content[-7:]),
    ):
        part = await house.http.get(record["recording_url"], headers={"Range": wanted})
        assert (part.status_code, part.content) == (206, expected)
    beyond = await house.http.get(record["recording_url"], headers={"Range": f"bytes={len(whole.content)}-"})
    assert (beyond.status_code, beyond.json()["error"]["code"]) == (416, "range_not_satisfiable")


async def test_a_hang_up_over_rest_ends_the_call(house: House) -> None:
    await house.answer_with(
        greeting="Welcome to a rather long greeting that goes on for quite a while, as greetings do."
    )
    call = await house.ring({"do": "wait_for_agent_to_talk", "for_ms": 300}, stay=True)
    await call.journal.find("agent.audible")
    live = await house.call_that_is("in_progress")
    assert (await house.http.post(f"/api/calls/{live['id']}/hangup")).status_code == 200
    await call.ended()
    record = await house.record()
    assert (record["status"], record["end_reason"], call.hung_up_by) == ("completed", "hang_up", "agent")


@pytest.mark.calls
async def test_a_model_that_refuses_is_an_apology_and_a_record(house: House) -> None:
    from sandbox.openai import Faults

    house.model.faults = Faults(refuse_status=401)
    await house.answer_with(greeting="Welcome.")
    await house.clips_rendered()
    call = await house.ring(stay=True)
    await call.ended()
    record = await house.record()
    assert (record["status"], record["end_reason"]) == ("failed", "model_refused")
    assert "sorry" in record["transcript"][-1]["text"]


@pytest.mark.calls
async def test_a_vanished_socket_is_joined_again_once(house: House) -> None:
    await house.answer_with(greeting="Welcome back to the clinic, what can I do for you today?")
    await house.clips_rendered()
    call = await house.ring(interrupted_after(300), {"do": "vanish"}, interrupted_after(600), stay=False)
    await call.ended()
    assert [verb.name for verb in call.verbs] == ["Connect", "Connect"]
    record = await house.record()
    assert (record["status"], record["end_reason"]) == ("completed", "caller")
    greetings = [turn for turn in record["transcript"] if turn["text"].startswith("Welcome back")]
    assert len(greetings) == 2, "each stream greets"
