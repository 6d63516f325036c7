"""A person follows a call through the whole platform: what they tell the agent the caller does not hear, what they have it
say the caller hears, and what they hear is what both sides sounded like.
"""

import asyncio
import io
import time
import wave
from dataclasses import dataclass, field

import numpy as np
import pytest

from hum.wave import BLOCK, HEADER
from media.core.audio import to_linear
from sandbox.openai import Script
from sandbox.speech import Speech
from sandbox.twilio import Call, say
from sandbox.twilio.truth import Truth
from tests.e2e.conftest import House
from tests.e2e.test_inbound_call import LISTEN, SECOND_HZ, TONE_HZ, interrupted_after
from tests.support.recordings import Samples, channels
from tests.support.waits import until

WINDOW, NEAR = 800, 480  # 100 ms, and 60 ms: where a listener hears it may be off by so much
AGAIN = {str(seconds): "Are you still there?" for seconds in range(2, 30, 3)}
HINT, SENTENCE = "Offer her a visit on Tuesday.", "We close early today."


@dataclass
class Listener:
    """Who listens to a call, and when each piece came."""

    heard: bytearray = field(default_factory=bytearray)
    came: list[tuple[float, int]] = field(default_factory=list)  # time.monotonic(), samples so far
    is_over: bool = False

    async def listen(self, house: House, call_id: str) -> None:
        async with house.http.stream("GET", f"/api/calls/{call_id}/listen") as answer:
            assert answer.status_code == 200, await answer.aread()
            async for part in answer.aiter_bytes():
                self.heard += part
                self.came.append((time.monotonic(), self.samples))
        self.is_over = True

    @property
    def samples(self) -> int:
        return max(0, len(self.heard) - HEADER.size) // BLOCK

    def sides(self) -> tuple[Samples, Samples]:
        """Caller and agent."""
        sound = np.frombuffer(bytes(self.heard[HEADER.size : HEADER.size + self.samples * BLOCK]), dtype="<i2")
        return sound.reshape(-1, 2)[:, 0], sound.reshape(-1, 2)[:, 1]

    def began(self, truth: Samples) -> int:
        """Which sample of the truth its first one is."""
        caller, _ = self.sides()
        loud = int(np.argmax(np.abs(truth)))
        wanted = truth[loud - 2_000 : loud + 2_000].astype("<i2").tobytes()
        found = caller.astype("<i2").tobytes().find(wanted)
        assert found >= 0 and found % 2 == 0, "what the caller said is not heard"
        return loud - 2_000 - found // 2

    def latencies(self, began: int, call: Call) -> list[float]:
        """Seconds from when the carrier had the last sample of a piece until it came."""
        started = call.streams[0].started_at
        assert started is not None
        return [at - (started + (began + samples) / 8_000) for at, samples in self.came if samples > 8_000]


def windows(call: Call) -> list[tuple[int, bytes]]:
    """What the caller heard of the agent, in pieces of 100 ms: where each begins, and its samples."""
    _, agent = truth(call)
    found = []
    for each in call.streams[0].playout.segments:
        first, last = round(each.start_ms * 8), round(each.end_ms * 8)
        found += [(at, agent[at : at + WINDOW].astype("<i2").tobytes()) for at in range(first, last - WINDOW, WINDOW)]
    return found


def truth(call: Call) -> tuple[Samples, Samples]:
    return channels(Truth(call).wav())


@pytest.fixture
def script() -> Script:
    return Script.of(
        {
            "heard": ["I would like to book a visit", "Tuesday please"],
            "turns": [{"tone": {"hz": TONE_HZ, "ms": 4000}}, {"tone": {"hz": SECOND_HZ, "ms": 900}}],
        }
    )


@pytest.mark.calls
async def test_a_call_is_followed(house: House, speech: Speech) -> None:
    await house.answer_with(greeting="Welcome to the clinic.", recording_enabled=False)
    await house.clips_rendered()
    lines = ("I would like to book a visit please.", "Tuesday would be better for me.")
    first, second = [await speech.say(line, "caller") for line in lines]
    call = await house.ring(LISTEN, say(first), LISTEN, {"do": "wait", "ms": 1_500}, say(second), LISTEN, LISTEN)
    live = await house.call_that_is("in_progress")
    listener, leaver = Listener(), Listener()
    listening, leaving = [asyncio.create_task(each.listen(house, live["id"])) for each in (listener, leaver)]
    await until(lambda: house.model.sessions and len(house.model.sessions[0].sent("response.created")) == 1)
    session = house.model.sessions[0]
    told = await house.http.post(f"/api/calls/{live['id']}/instruct", json={"text": HINT})
    assert told.status_code == 200, told.text
    leaving.cancel()
    await until(lambda: len(session.sent("response.created")) == 2)
    dictated = await house.http.post(f"/api/calls/{live['id']}/say", json={"text": SENTENCE})
    assert dictated.status_code == 200, dictated.text
    await call.ended()
    record = await house.record()
    await asyncio.wait_for(listening, 60)

    # The model had the hint before its next answer, which nothing cut; the caller heard it nowhere.
    events = [
        (each["event"], each["body"])
        for each in session.journal.events
        if each["direction"] == "received"
        and (each["event"] == "response.create" or "role': 'system'" in str(each["body"]))
    ]
    kinds = [name for name, _ in events]
    assert kinds == ["response.create", "conversation.item.create", "response.create", "response.create"]
    assert HINT in str(events[1]) and SENTENCE in str(events[3])
    assert record["interruptions"] == []
    spoken = [turn["text"] for turn in record["transcript"] if turn["role"] == "agent"]
    assert not [text for text in spoken if "Tuesday" in text]
    assert SENTENCE in [turn["heard_text"] for turn in record["transcript"]], "word for word, and to its end"
    assert [(each["kind"], each["text"], each["by"]) for each in record["interventions"]] == [
        ("instruct", HINT, "test"),
        ("say", SENTENCE, "test"),
    ]
    assert record["recording_url"] is None, "nothing is recorded because somebody listens"

    # What was heard is the truth of both sides.
    caller_truth, agent_truth = truth(call)
    caller, agent = listener.sides()
    began = listener.began(caller_truth)
    size = min(len(caller), len(caller_truth) - began)
    assert size > 8 * 8_000
    assert np.array_equal(caller[:size], caller_truth[began : began + size])
    missing = []
    for at, sound in windows(call):
        if at < began + NEAR:
            continue
        around = agent[at - began - NEAR : at - began + WINDOW + NEAR].astype("<i2").tobytes()
        if around.find(sound) < 0:
            missing.append(at)
    assert len(missing) <= len(call.streams[0].playout.segments), "but for the edges of what was heard without a break"
    assert np.abs(agent).max() > 1_000 and np.abs(agent_truth).max() > 1_000
    latencies = listener.latencies(began, call)
    p95 = float(np.percentile(latencies, 95))
    assert p95 < 3, "a third of a second on a machine that does nothing else"
    with wave.open(io.BytesIO(bytes(listener.heard))) as wav:
        assert (wav.getnchannels(), wav.getframerate(), wav.getsampwidth()) == (2, 8_000, 2)


@pytest.mark.calls
async def test_a_stream_that_is_lost_is_followed_by_the_next(house: House) -> None:
    await house.answer_with(
        greeting="Welcome back to the clinic, what can I do for you today?", idle_prompts_json=AGAIN
    )
    await house.clips_rendered()
    call = await house.ring(interrupted_after(600), {"do": "vanish"}, stay=True)
    live = await house.call_that_is("in_progress")
    listener = Listener()
    listening = asyncio.create_task(listener.listen(house, live["id"]))

    def hears_the_next() -> bool:
        """A piece of what the agent said in the second stream, which goes on until it is heard."""
        if len(call.streams) < 2 or not listener.samples:
            return False
        agent = listener.sides()[1].astype("<i2").tobytes()
        said = [bytes(each.payload) for each in call.streams[1].playout.segments]
        pieces = [each[at : at + WINDOW] for each in said for at in range(0, len(each) - WINDOW, WINDOW)]
        return any(to_linear(piece) in agent for piece in pieces if len(set(piece)) > 20)

    await until(hears_the_next)
    call.hang_up()
    await call.ended()
    await asyncio.wait_for(listening, 60)


@pytest.mark.calls
async def test_a_hang_up_ends_who_listens_too(house: House) -> None:
    await house.answer_with(greeting="Welcome to a rather long greeting that goes on for quite a while, as they do.")
    call = await house.ring({"do": "wait_for_agent_to_talk", "for_ms": 300}, stay=True)
    await call.journal.find("agent.audible")
    live = await house.call_that_is("in_progress")
    listener = Listener()
    listening = asyncio.create_task(listener.listen(house, live["id"]))
    await until(lambda: listener.samples > 4_000)
    over = (await house.http.post(f"/api/calls/{live['id']}/hangup")).json()
    assert (over["status"], over["end_reason"]) == ("completed", "hang_up"), "the answer says how it ended"
    await asyncio.wait_for(listening, 60)
    for path in ("instruct", "say"):
        late = await house.http.post(f"/api/calls/{live['id']}/{path}", json={"text": "x"})
        assert (late.status_code, late.json()["error"]["code"]) == (409, "invalid_state")
