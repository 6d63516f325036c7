"""Calls with a model of the Live API over real sockets."""

from collections.abc import AsyncIterator

import pytest

from hum.v1 import calls_pb2
from hum.v1 import runtime_pb2 as pb
from sandbox.openai import Model, Script, Settings, Turn
from sandbox.openai.live.truth import LiveTruth
from sandbox.openai.settings import LiveSettings
from sandbox.twilio import say
from tests.media.audio import tone, voice
from tests.media.fakecontrol import FakeControl
from tests.media.planes import Ring, StartPlane
from tests.support.waits import until

GREETING = tone(400, hz=1000)


@pytest.fixture
async def stand_in() -> AsyncIterator[Model]:
    settings = Settings(latency_ms=50, live=LiveSettings(words_late_ms=100))
    script = Script(turns=[Turn(say="We open at nine.")], heard=["When do you open?"])
    async with Model.serve(api_key="sk-secret", settings=settings, script=script) as model:
        yield model


async def test_a_call_with_a_duplex_model_is_greeted_answered_and_metered(
    plane: StartPlane, control: FakeControl, ring: Ring, stand_in: Model
) -> None:
    control.offer("t1", model="gpt-live-1.1", clips=[pb.Clip(kind="greeting", text="Hello.", audio_ulaw=GREETING)])
    media = await plane(OPENAI_BASE_URL=stand_in.url, HUM_LIVE_MODELS="gpt-live-1.1,gpt-live-1")
    hear = {"do": "wait_for_agent_to_finish", "quiet_ms": 1_200}
    call = await ring(media, [hear, say(voice(800)), {"do": "wait_for_agent_to_talk"}, hear])
    await call.ended()
    await until(lambda: control.ended("call_t1"))
    (truth,) = stand_in.sessions
    assert isinstance(truth, LiveTruth)
    reports = control.reports("call_t1")
    turns = [each.turn for each in reports if each.WhichOneof("report") == "turn"]
    assert [(each.role, each.text) for each in turns] == [
        (calls_pb2.SPEAKER_AGENT, "Hello."),
        (calls_pb2.SPEAKER_CALLER, "When do you open?"),
        (calls_pb2.SPEAKER_AGENT, "We open at nine."),
    ]
    used = [each.model_used for each in reports if each.WhichOneof("report") == "model_used"]
    assert {each.model for each in used} == {"gpt-live-1.1"}
    lasted_ms = await until(lambda: truth.live.seconds * 1000)
    assert abs(sum(each.session_ms for each in used) - lasted_ms) < 1_000
