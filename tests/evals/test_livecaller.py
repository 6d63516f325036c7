"""A caller waits, asks once whether anybody is there, gives up, and speaks over the agent only where they are told to."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from evals import livecaller
from evals.brains import Action, FactsBrain
from evals.livecaller import HELLO, LiveCaller, spurts
from evals.scenario import Fact, Persona
from sandbox.audio import FRAME_BYTES, FRAME_MS
from sandbox.twilio.caller import QUIET, CallerFrame

AGENT = b"\x00" * FRAME_BYTES
WORD_FRAMES = 5
FACTS = {"wish": Fact(say="A cleaning.", when="help you")}


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(livecaller, "PAUSE_MS", (0, 0))


class Line:
    """A caller on a line without a clock: a frame is 20 ms, and a thought is over as soon as the loop has run."""

    def __init__(self, heard: Sequence[str] = (), most_turns: int = 12, **persona: Any) -> None:
        self.spoken: list[str] = []
        self._heard = iter(heard)
        self.has_recognized = asyncio.Event()
        self.has_recognized.set()
        self.caller = LiveCaller(FactsBrain(FACTS, most_turns), Persona(**persona), self._ears, self._mouth, 1)

    async def _ears(self, _: bytes) -> str:
        await self.has_recognized.wait()
        return next(self._heard, "")

    async def _mouth(self, text: str) -> bytes:
        self.spoken.append(text)
        return b"\x00" * FRAME_BYTES * WORD_FRAMES

    async def hear(self, ms: int, agent: bytes = QUIET) -> list[CallerFrame]:
        frames = []
        for _ in range(ms // FRAME_MS):
            frames.append(self.caller.frame(agent != QUIET, agent))
            for _ in range(3):
                await asyncio.sleep(0)
        return frames

    async def thought(self) -> None:
        """Wait until the caller has thought; in tasks of their own."""
        while self.caller._thought is not None and not self.caller._thought.done():
            await asyncio.sleep(0.01)


async def test_who_waits_for_a_silent_agent_says_hello_once_and_hangs_up() -> None:
    line = Line(patience_s=2)
    frames = await line.hear(2_300)
    assert line.spoken == [HELLO]
    assert not any(frame.act for frame in frames)
    frames = await line.hear(2_300)
    assert (line.spoken, [frame.act for frame in frames if frame.act]) == ([HELLO], ["hang_up"])
    assert line.caller.gave_up


async def test_an_agent_that_goes_on_is_not_spoken_over() -> None:
    line = Line(["How can I help you?", "How can I help you? We are open."])
    line.has_recognized.clear()
    await line.hear(400, AGENT)
    await line.hear(1_000)
    await line.hear(100, AGENT)
    line.has_recognized.set()
    await line.thought()
    frames = await line.hear(200, AGENT)
    assert all(frame.payload == QUIET for frame in frames)
    assert (line.caller.actions, line.caller.conduct.talk_over_ms) == ([], 0)
    await line.hear(1_200)
    await line.thought()
    await line.hear(200)
    assert [action.text for action in line.caller.actions] == ["A cleaning."], (
        "the words were put back, and are said now"
    )


async def test_an_interruption_is_said_over_the_agent_and_is_no_fault() -> None:
    line = Line(interrupts=({"turn": 1, "after_ms": 200, "say": "Sorry."},))
    line.caller.actions.append(Action("say", "A cleaning.", ("wish",)))
    frames = await line.hear(800, AGENT)
    assert sum(frame.payload != QUIET for frame in frames) == WORD_FRAMES
    assert line.spoken == ["Sorry."]
    assert line.caller.conduct.talk_over_ms == 0


async def test_an_agent_that_asks_for_ever_is_left() -> None:
    line = Line(["How can I help you?"] * 9, most_turns=2)
    acts: list[str] = []
    for _ in range(4):
        acts += [frame.act for frame in await line.hear(400, AGENT) if frame.act]
        acts += [frame.act for frame in await line.hear(1_000) if frame.act]
        await line.thought()
        acts += [frame.act for frame in await line.hear(400) if frame.act]
    assert acts == ["hang_up"]
    assert line.spoken == ["A cleaning."] * 2


async def test_goodbyes_end() -> None:
    """Two bots would say it to each other for ever: the caller waits for the agent to hang up, and then gives up."""
    line = Line(["Goodbye."] * 20, patience_s=2)
    for _ in range(5):
        await line.hear(400, AGENT)
        await line.hear(1_000)
        await line.thought()
    assert line.spoken == []
    frames = await line.hear(6_000)
    assert [frame.act for frame in frames if frame.act] == ["hang_up"]


def test_a_filler_is_recognized_apart_from_the_answer() -> None:
    """Recognition took "One moment, please. Thank you." for all of it, and the caller never heard the question 520 ms later."""
    filler, answer = AGENT * 50, AGENT * 100
    assert spurts(QUIET * 20 + filler + QUIET * 40 + answer) == [QUIET * 20 + filler + QUIET * 20, QUIET * 20 + answer]
    sentence = filler + QUIET * 20 + answer
    assert spurts(sentence) == [sentence], "a short pause is none"
    assert spurts(QUIET * 100) == [QUIET * 100]
    assert spurts(b"") == [b""]
