"""The model's faults over real sockets, and what the caller hears and the record says of each; times are shrunken."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

import pytest

from hum.v1 import runtime_pb2 as pb
from media import metrics
from sandbox.openai import Faults, Model, Script, Settings
from sandbox.twilio import Call, say
from tests.media.audio import heard, nearly_all, tone, voice
from tests.media.fakecontrol import FakeControl
from tests.media.planes import Ring, StartPlane
from tests.support.stalls import Stalls
from tests.support.waits import until

GREETING, HOLD, SORRY = tone(300, hz=600), tone(250, hz=900), tone(250, hz=1300)
CLIPS = [
    pb.Clip(kind="greeting", text="Hello.", audio_ulaw=GREETING),
    pb.Clip(kind="hold", text="One moment.", audio_ulaw=HOLD),
    pb.Clip(kind="apology", text="Sorry.", audio_ulaw=SORRY),
]
SHORT = {
    "dial_seconds": 0.6,
    "model_patience_seconds": 3,
    "answer_seconds": 1,
    "hold_after_ms": 400,
    "model_retry_ms": 50,
}
FAST = Settings(latency_ms=50, transcription_delay_ms=50, eagerness_ms=dict.fromkeys(("low", "high", "auto"), 200))
ASK = [{"do": "wait", "ms": 600}, say(voice(500))]


@pytest.fixture
async def stand_in() -> AsyncIterator[Model]:
    async with Model.serve(api_key="sk-secret", settings=FAST) as model:
        yield model


Place = Callable[..., Awaitable[tuple[Call, pb.StreamEnded]]]


@pytest.fixture
async def place(plane: StartPlane, control: FakeControl, ring: Ring, stand_in: Model) -> Place:
    """Places a call whose model has these faults; its carrier's side, and how it ended."""

    async def call(faults: Faults, steps: Iterable[dict[str, Any]] = (), **changed: Any) -> tuple[Call, pb.StreamEnded]:
        stand_in.faults = faults
        control.offer("t1", clips=CLIPS)
        media = await plane(OPENAI_BASE_URL=stand_in.url, **SHORT, **changed)
        placed = await ring(media, list(steps), stay=True)
        await placed.ended()
        return placed, await until(lambda: control.ended("call_t1"))

    return call


def lost(reason: str) -> float:
    return float(metrics.MODEL_LOSSES.labels(reason)._value.get())


@pytest.mark.parametrize(
    ("faults", "reason"),
    [
        (Faults(refuse_status=503), "unreachable"),
        (Faults(accept_after_ms=60_000), "unreachable"),
        (Faults(silent_after_events=0), "no_session"),
        (Faults(close_after_ms=0, close_code=1000, silent_after_events=0), "closed"),
    ],
    ids=["refused", "hangs", "silent", "closed"],
)
async def test_without_a_model_the_caller_hears_hold_phrases_and_an_apology(
    place: Place, stand_in: Model, faults: Faults, reason: str, stalls: Stalls
) -> None:
    before = lost(reason)
    call, ended = await place(faults, ASK)
    assert (ended.reason, ended.detail[:26]) == ("model_lost", "there was no model for 3 s")
    assert nearly_all(GREETING, stalls) in heard(call)
    assert HOLD[400:-400] in heard(call)
    assert nearly_all(SORRY, stalls) in heard(call)
    assert 2 <= lost(reason) - before <= 12


async def test_a_model_that_comes_back_in_time_answers(place: Place, control: FakeControl, stand_in: Model) -> None:
    stand_in.play(Script.of({"heard": ["Is it you?"] * 3, "turns": [{"say": "It is me again."}]}))
    faults = Faults(refuse_status=503, times=4)
    listen = {"do": "wait_for_agent_to_finish", "quiet_ms": 700}
    _, ended = await place(faults, [*ASK, {"do": "wait", "ms": 1_500}, listen, {"do": "hang_up"}])
    assert ended.reason == "caller"
    turns = [each.turn.text for each in control.reports() if each.WhichOneof("report") == "turn"]
    assert "Is it you?" in turns
    assert turns[-1] == "It is me again."


@pytest.mark.parametrize("chunks", [0, 3])
async def test_a_model_that_dies_in_each_answer_is_given_up(
    place: Place, stand_in: Model, chunks: int, stalls: Stalls
) -> None:
    stand_in.play(Script.of({"turns": [{"tone": {"hz": 440, "ms": 4_000}}] * 9}))
    call, ended = await place(Faults(close_after_chunks=chunks), ASK)
    assert (ended.reason, ended.detail) == (
        "model_lost",
        "the model was lost 5 times within a minute: closed 1011",
    )
    assert len(stand_in.sessions) == 5
    assert nearly_all(SORRY, stalls) in heard(call)


async def test_an_answer_that_never_begins_is_a_lost_model_though_the_caller_talks(
    place: Place, stand_in: Model
) -> None:
    before = lost("stalled")
    stand_in.play(Script.of({"heard": ["Hello?"] * 50}))
    talk = [each for _ in range(30) for each in (say(voice(300)), {"do": "wait", "ms": 300})]
    _, ended = await place(Faults(never_respond=True), [*ASK, *talk], model_losses_per_minute=2)
    assert ended.detail == "the model was lost 3 times within a minute: stalled"
    assert lost("stalled") - before == 3


@pytest.mark.strain
async def test_ten_megabytes_at_once_are_a_lost_model(
    place: Place, stand_in: Model, caplog: pytest.LogCaptureFixture, stalls: Stalls
) -> None:
    stand_in.settings = Settings(latency_ms=50, chunk_ms=1_300_000)
    stand_in.play(Script.of({"turns": [{"tone": {"hz": 440, "ms": 1_300_000}}] * 9}))
    call, ended = await place(Faults(), ASK, model_losses_per_minute=1)
    assert ended.reason == "model_lost"
    assert ended.detail.startswith("the model was lost 2 times within a minute")
    assert nearly_all(SORRY, stalls) in heard(call)
    assert not [record for record in caplog.records if record.exc_info]
