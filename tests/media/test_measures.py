"""A call's reported latency, compared with outside clocks: those of the stand-ins for the carrier and the model."""

import asyncio
import base64
import contextlib
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import websockets

from media.core.legmessages import Clear, Play
from media.io.modelsocket import ModelSocket
from media.legs.twilio import TwilioLeg
from sandbox.openai.scriptedsession import ScriptedSession
from sandbox.openai.stage import StandInStage
from sandbox.twilio import say
from tests.media.audio import tone, voice
from tests.media.fakecontrol import FakeControl
from tests.media.fakemodel import FakeModel
from tests.media.planes import QUIET, Line, Ring, StartPlane
from tests.support.waits import until

pytestmark = pytest.mark.realtime
LATE_MS = 80  # how long the process is blocked


def ms() -> float:
    return time.monotonic() * 1000


def late(send: Callable[..., Any], of: Callable[..., Any]) -> Callable[..., Any]:
    """The same, but the process is blocked before it sends the first `of` this kind."""
    busy = [LATE_MS]

    def wrapped(self: Any, sent: Any) -> Any:
        if busy and of(sent):
            time.sleep(busy.pop() / 1000)
        return send(self, sent)

    return wrapped


def reported(control: FakeControl, kind: str) -> list[Any]:
    return [getattr(each, kind) for each in control.reports() if each.WhichOneof("report") == kind]


async def test_a_reaction_is_what_the_carrier_saw(
    plane: StartPlane, control: FakeControl, model: FakeModel, ring: Ring
) -> None:
    model.answer = tone(5_000)
    control.offer("t1")
    media = await plane()
    steps = [
        say(voice(400)),
        {"do": "wait_for_agent_to_talk", "for_ms": 800},
        say(voice(700, peak=20_000)),
        {"do": "wait", "ms": 100},
    ]
    call = await ring(media, steps)
    truth = await call.ended()
    await until(lambda: control.ended("call_t1"))
    (overlap,) = reported(control, "interruption")
    spoken = truth.as_json()["streams"][0]["caller"]["spans"][-1]
    first_frame_ms = spoken["start_ms"] + 20
    reaction_ms = call.stream.playout.clears[0].received_at_ms - first_frame_ms
    assert overlap.reaction_ms == pytest.approx(reaction_ms, abs=25)
    assert overlap.reaction_ms >= 35, "an onset takes three frames"


class Caller:
    """A line that sends in real time, and when each voiced frame was due: a carrier's clock is not late when this process is."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.voiced_ms: list[float] = []
        self.got: dict[str, list[float]] = {}
        self._reader = asyncio.create_task(self._read())
        self._began_ms = ms()

    async def _read(self) -> None:
        with contextlib.suppress(websockets.ConnectionClosed):
            async for text in self.line.connection:
                event = json.loads(text)["event"]
                self.got.setdefault(event, []).append(ms())

    async def send(self, *frames: bytes) -> None:
        for frame in frames:
            due_ms = self._began_ms + self.line.frames * 20
            await asyncio.sleep(max(0.0, due_ms - ms()) / 1000)
            if frame != QUIET:
                self.voiced_ms.append(due_ms)
            await self.line.media(frame)

    async def until(self, true: Callable[[], object]) -> None:
        while not true():
            await self.send(QUIET)

    async def hang_up(self) -> None:
        await self.line.say("stop")
        await self._reader


def frames(ulaw: bytes) -> list[bytes]:
    return [ulaw[at : at + 160] for at in range(0, len(ulaw), 160)]


@pytest.mark.parametrize("where", ["nowhere", "before it is read", "before it is written"])
async def test_lateness_of_ours_is_in_a_reaction(
    plane: StartPlane, control: FakeControl, model: FakeModel, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    model.answer = tone(5_000)
    control.offer("t1")
    media = await plane()
    async with media.joined() as line:
        caller = Caller(line)
        await caller.send(*[QUIET] * 25, *frames(voice(400)))
        await caller.until(lambda: len(caller.got.get("media", ())) >= 4)
        await caller.send(*[QUIET] * 60)  # who cuts in before a word is heard interrupts nothing
        before = len(caller.voiced_ms)
        if where == "before it is written":
            monkeypatch.setattr(TwilioLeg, "send", late(TwilioLeg.send, lambda actions: Clear() in actions))
        speech = frames(voice(700, peak=20_000))
        await caller.send(*speech[:2])
        await caller.send(speech[2])
        if where == "before it is read":
            time.sleep(LATE_MS / 1000)  # noqa: ASYNC251 - the process is blocked, and the frame waits at its socket
        await caller.until(lambda: "clear" in caller.got)
        cleared_ms = caller.got["clear"][0]
        monkeypatch.undo()
        await caller.send(*speech[3:], *[QUIET] * 40)
        await caller.hang_up()
    (overlap,) = await until(lambda: reported(control, "interruption"))
    truly_ms = cleared_ms - caller.voiced_ms[before]
    assert overlap.reaction_ms == pytest.approx(truly_ms, abs=25)
    assert overlap.reaction_ms >= (35 if where == "nowhere" else LATE_MS)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[float]]:
    """When the model received and sent its events, by type; for caller audio, only voiced frames."""
    times: dict[str, list[float]] = {}
    handle, emit = ScriptedSession.handle, StandInStage.emit

    def handling(self: ScriptedSession, message: str) -> None:
        event = json.loads(message)
        if event["type"] != "input_audio_buffer.append" or base64.b64decode(event["audio"]).strip(QUIET[:1]):
            times.setdefault(event["type"], []).append(ms())
        handle(self, message)

    def emitting(self: StandInStage, type: str, fields: dict[str, Any]) -> None:
        times.setdefault(type, []).append(ms())
        emit(self, type, fields)

    monkeypatch.setattr(ScriptedSession, "handle", handling)
    monkeypatch.setattr(StandInStage, "emit", emitting)
    return times


@pytest.mark.parametrize("where", ["nowhere", "before it is read", "before the model is asked", "before it is written"])
async def test_lateness_of_ours_is_in_our_share_and_not_in_the_models(
    plane: StartPlane,
    control: FakeControl,
    model: FakeModel,
    monkeypatch: pytest.MonkeyPatch,
    seen: dict[str, list[float]],
    where: str,
) -> None:
    model.answer = tone(500)
    control.offer("t1")
    media = await plane()
    async with media.joined() as line:
        caller = Caller(line)
        await caller.send(*[QUIET] * 25)
        await until(lambda: "session.update" in seen)
        send, write = ModelSocket.send, TwilioLeg.send
        if where == "before it is written":
            monkeypatch.setattr(
                TwilioLeg, "send", late(write, lambda actions: any(isinstance(each, Play) for each in actions))
            )
        elif where == "before the model is asked":
            monkeypatch.setattr(ModelSocket, "send", late(send, lambda payload: b"response.create" in payload))
        await caller.send(*frames(voice(400)))
        if where == "before it is read":
            time.sleep(LATE_MS / 1000)  # noqa: ASYNC251 - the process is blocked; the last frame waits at its socket
        await caller.until(lambda: "media" in caller.got)
        monkeypatch.setattr(TwilioLeg, "send", write)
        await caller.send(*[QUIET] * 50)
        await caller.hang_up()
    (latency,) = await until(lambda: reported(control, "latency"))
    appended, committed = seen["input_audio_buffer.append"][-1], seen["input_audio_buffer.committed"][0]
    asked, delta = seen["response.create"][0], seen["response.output_audio.delta"][0]
    ours_ms = appended - caller.voiced_ms[-1] + asked - committed + caller.got["media"][0] - delta
    assert latency.ours_ms == pytest.approx(ours_ms, abs=20)
    assert latency.model_ms == pytest.approx(committed - appended + delta - asked, abs=20)
    assert latency.ours_ms >= (0 if where == "nowhere" else LATE_MS)
