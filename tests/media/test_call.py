"""Whole calls over real sockets: the carrier's stand-in, the plane, a model, a control."""

import base64
import os
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from hum.v1 import calls_pb2
from hum.v1 import runtime_pb2 as pb
from sandbox.twilio import say
from tests.media.audio import heard, nearly_all, tone, voice
from tests.media.fakecontrol import FakeControl
from tests.media.fakemodel import FakeModel
from tests.media.planes import Ring, StartPlane
from tests.support.present import present
from tests.support.recordings import WINDOW_MS, channels, tone_ms
from tests.support.stalls import Stalls
from tests.support.waits import until


def longest_gap_ms(stream: dict[str, Any]) -> float:
    return max((gap["end_ms"] - gap["start_ms"] for gap in stream["gaps"]), default=0.0)


@pytest.mark.parametrize("exact", [False, pytest.param(True, marks=pytest.mark.realtime)])
async def test_a_call_is_answered_heard_reported_and_recorded(
    plane: StartPlane, control: FakeControl, model: FakeModel, ring: Ring, stalls: Stalls, exact: bool
) -> None:
    media = await plane()
    greeting = tone(400, hz=1000)
    control.offer(
        "t1",
        recording_enabled=True,
        clips=[pb.Clip(kind="greeting", text="Hello, this is HUM.", audio_ulaw=greeting)],
    )
    hear, answer = {"do": "wait_for_agent_to_finish", "quiet_ms": 300}, {"do": "wait_for_agent_to_talk"}
    call = await ring(media, [hear, say(voice(500)), answer, hear])
    truth = await call.ended()
    ended = await until(lambda: control.ended("call_t1"))

    (stream,) = truth.as_json()["streams"]
    heard = b"".join(base64.b64decode(each["payload"]) for each in stream["segments"])
    assert heard == greeting + model.answer
    assert stream["errors"] == []
    assert stream["invalid_messages"] == 0

    assert (ended.reason, ended.HasField("detail")) == ("caller", False)
    reports = control.reports("call_t1")
    assert [each.seq for each in reports] == list(range(1, len(reports) + 1))
    assert control.kinds()[0] == "started"
    assert control.kinds()[-2:] == ["recording", "ended"]
    turns = [each.turn for each in reports if each.WhichOneof("report") == "turn"]
    assert [(each.seq, each.role, each.text) for each in turns] == [
        (1, calls_pb2.SPEAKER_AGENT, "Hello, this is HUM."),
        (2, calls_pb2.SPEAKER_CALLER, "hello there"),
        (3, calls_pb2.SPEAKER_AGENT, "word0 word1 word2 word3 word4 word5 word6 word7 word8 word9"),
    ]
    assert turns[0].heard_text == "Hello, this is HUM."
    (latency,) = (each.latency for each in reports if each.WhichOneof("report") == "latency")
    assert latency.first_answer_ms > 0
    assert control.deltas == []

    assert model.heard() in bytes(call.stream.spoken.track)
    (dial,) = model.dials
    assert dial.path == "/v1/realtime?model=m"
    assert dial.headers["Authorization"] == "Bearer sk-secret"
    assert "OpenAI-Beta" not in dial.headers

    (stored,) = (each.recording for each in reports if each.WhichOneof("report") == "recording")
    assert stored.path == "org_1/call_t1.wav"
    path = media.given.recordings_dir / stored.path
    assert path.stat().st_size == stored.size_bytes
    caller, agent = channels(path.read_bytes())
    assert len(caller) // 8 == stored.duration_ms
    greeted, answered = tone_ms(agent, 1_000), tone_ms(agent, 440)
    # A busy machine breaks the sound; a window with a break in it may be none.
    near_ms = 40 + 2 * WINDOW_MS * len(stream["gaps"])
    for starts, sent in ((greeted, greeting), (answered, model.answer)):
        assert len(starts) * WINDOW_MS == pytest.approx(len(sent) / 8, abs=near_ms)
    assert greeted[-1] < answered[0]
    assert tone_ms(caller, 1_000) == tone_ms(caller, 440) == []
    (spoken,) = stream["caller"]["spans"]
    (loud,) = np.nonzero(np.abs(caller) > 50)
    assert np.abs(caller[loud]).mean() > 1_000
    if exact:
        late_ms = 50 + stalls.longest_ms
        assert greeted[0] == pytest.approx(stream["segments"][0]["start_ms"], abs=late_ms)
        assert answered[-1] + WINDOW_MS == pytest.approx(stream["segments"][-1]["end_ms"], abs=late_ms)
        assert loud[0] / 8 == pytest.approx(spoken["start_ms"], abs=late_ms)
        assert loud[-1] / 8 == pytest.approx(spoken["end_ms"], abs=late_ms)
    assert len(control.opened) == 1
    assert control.opened[0].node in control.nodes


@pytest.mark.parametrize("exact", [False, pytest.param(True, marks=pytest.mark.realtime)])
async def test_an_interruption_is_cut_where_the_caller_stopped_hearing(
    plane: StartPlane, control: FakeControl, model: FakeModel, ring: Ring, stalls: Stalls, exact: bool
) -> None:
    model.answer = tone(6_000)
    control.offer("t1")
    media = await plane()
    steps = [
        say(voice(400)),
        {"do": "wait_for_agent_to_talk", "for_ms": 1_000},
        say(voice(900, peak=20_000)),
        {"do": "wait", "ms": 100},
    ]
    call = await ring(media, steps)
    truth = await call.ended()
    await until(lambda: control.ended("call_t1"))
    (overlap,) = (each.interruption for each in control.reports() if each.WhichOneof("report") == "interruption")
    clear = call.stream.playout.clears[0]
    heard_ms = sum(
        min(each.end_ms, clear.received_at_ms) - each.start_ms
        for each in call.stream.playout.segments
        if each.start_ms < clear.received_at_ms
    )
    assert overlap.verdict == "cut"
    assert clear.dropped_bytes > 0
    (truncated,) = (each for each in model.received if each["type"] == "conversation.item.truncate")
    interrupted = next(each.turn for each in control.reports() if each.turn.interrupted)
    assert 0 < len(interrupted.heard_text) < len(interrupted.text)
    if exact:
        assert abs(overlap.heard_ms - heard_ms) <= 20
        assert abs(heard_ms - truncated["audio_end_ms"]) <= 20
        assert overlap.reaction_ms < 200 + stalls.longest_ms
        assert longest_gap_ms(truth.as_json()["streams"][0]) <= stalls.longest_ms


async def test_events_in_pieces_are_joined(
    plane: StartPlane, control: FakeControl, model: FakeModel, ring: Ring
) -> None:
    model.fragments, model.answer = True, tone(300)
    control.offer("t1")
    media = await plane()
    call = await ring(media, [say(voice(300)), {"do": "wait_for_agent_to_finish", "quiet_ms": 200}])
    await call.ended()
    assert heard(call) == model.answer


async def test_deltas_are_sent_only_while_somebody_reads_along(
    plane: StartPlane, control: FakeControl, model: FakeModel, ring: Ring
) -> None:
    model.answer = tone(300)
    control.offer("t1")
    media = await plane()
    call = await ring(media, [say(voice(300)), {"do": "wait_for_agent_to_finish"}, say(voice(300))], stay=True)
    await until(lambda: "turn" in control.kinds())
    assert control.deltas == []
    control.command("call_t1", watch=pb.WatchCall(for_ms=60_000))
    # The first answer may be over before the command comes; then it is the second one's.
    await until(lambda: any(each.delta.role == calls_pb2.SPEAKER_AGENT for each in control.deltas))
    assert {each.call_id for each in control.deltas} == {"call_t1"}
    call.hang_up()
    await call.ended()
    await until(lambda: control.ended("call_t1"))
    seqs = [each.seq for each in control.reports()]
    assert seqs == list(range(1, len(seqs) + 1))


async def test_control_hangs_up_and_knows_before_the_carrier_asks(
    plane: StartPlane, control: FakeControl, model: FakeModel
) -> None:
    control.offer("t1")
    media = await plane(end_ack_seconds=30)
    async with media.joined() as line:
        await until(lambda: "started" in control.kinds())
        control.acknowledges = False
        control.command("call_t1", hang_up=pb.HangUpNow())
        ended = await until(lambda: control.ended("call_t1"))
        assert ended.reason == "hang_up"
        assert len(media.media.server) == 1
        assert line.connection.close_code is None
        present(control.downs).put_nowait(pb.LinkDown(acknowledged_seq=control.batches[-1][1].seq))
        assert await line.closed() == 1000
    await until(lambda: len(media.media.server) == 0)


async def test_a_control_that_does_not_acknowledge_holds_the_carrier_only_so_long(
    plane: StartPlane, control: FakeControl, model: FakeModel
) -> None:
    control.offer("t1")
    media = await plane(end_ack_seconds=0.1)
    async with media.joined() as line:
        await until(lambda: "started" in control.kinds())
        control.acknowledges = False
        control.command("call_t1", hang_up=pb.HangUpNow())
        assert await line.closed() == 1000


async def test_a_command_that_overtakes_its_session_is_kept(
    plane: StartPlane, control: FakeControl, model: FakeModel
) -> None:
    media = await plane()
    await until(lambda: control.downs)
    control.offer("t1")
    media.media.server.command(pb.CallCommand(call_id="call_t1", hang_up=pb.HangUpNow()))  # no call is joining: dropped
    async with media.line() as line:
        await until(lambda: len(media.media.server) == 1)
        media.media.server.command(pb.CallCommand(call_id="call_t1", hang_up=pb.HangUpNow()))
        await line.start(token="t1")
        assert await line.closed() == 1000
    assert present(control.ended("call_t1")).reason == "hang_up"


TOOLS = [
    pb.Tool(name="look_up", description="Looks it up.", parameters_json='{"type":"object"}', timeout_ms=60_000),
    pb.Tool(name="hurry", description="Has no time.", parameters_json='{"type":"object"}', timeout_ms=100),
    pb.Tool(name="end_call", description="Hangs up.", parameters_json="{}", outcome=pb.Outcome(hang_up=pb.HangUpNow())),
]


def outputs(model: FakeModel) -> list[str]:
    items = (each["item"] for each in model.received if each["type"] == "conversation.item.create")
    return [each["output"] for each in items if each["type"] == "function_call_output"]


async def test_a_tool_is_run_by_control(plane: StartPlane, control: FakeControl, model: FakeModel, ring: Ring) -> None:
    model.tools, model.answer = ["look_up"], tone(300)
    control.offer("t1", tools=TOOLS)
    media = await plane()
    call = await ring(media, [say(voice(300))], stay=True)
    (request,) = await until(lambda: control.tool_requests)
    assert (request.call_id, request.name, request.arguments_json) == ("call_t1", "look_up", "{}")
    control.answer(request, '{"price":3}')
    await until(lambda: call.stream.playout.played_bytes == len(model.answer))
    assert outputs(model) == ['{"price":3}']
    call.hang_up()
    await call.ended()
    await until(lambda: control.ended("call_t1"))
    (started,) = (each.tool_started for each in control.reports() if each.WhichOneof("report") == "tool_started")
    (finished,) = (each.tool_finished for each in control.reports() if each.WhichOneof("report") == "tool_finished")
    assert started.id == finished.id == request.tool_call_id
    assert (finished.name, finished.status, finished.result) == ("look_up", "ok", '{"price":3}')
    assert not media.media.link._tools


async def test_a_tool_that_is_late_is_given_up(
    plane: StartPlane, control: FakeControl, model: FakeModel, ring: Ring
) -> None:
    model.tools, model.answer = ["hurry"], tone(300)
    control.offer("t1", tools=TOOLS)
    media = await plane()
    call = await ring(media, [say(voice(300))], stay=True)
    await until(lambda: outputs(model))
    assert outputs(model) == ['{"error":"The tool did not answer in time."}']
    assert not media.media.link._tools
    await until(lambda: call.stream.playout.played_bytes == len(model.answer))
    call.hang_up()
    await call.ended()


async def test_a_bug_in_a_call_leaves_no_tool_running(
    plane: StartPlane, control: FakeControl, model: FakeModel, ring: Ring, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.tools = ["look_up"]
    control.offer("t1", tools=TOOLS)
    media = await plane()
    call = await ring(media, [say(voice(300))], stay=True)
    await until(lambda: control.tool_requests)
    (shell,) = media.media.server.streams.open
    shell.fail()
    await call.ended()
    await until(lambda: control.ended("call_t1"))
    assert control.kinds()[-2:] == ["tool_finished", "ended"]
    assert not media.media.link._tools


async def test_the_agent_ends_the_call(plane: StartPlane, control: FakeControl, model: FakeModel, ring: Ring) -> None:
    model.tools = ["end_call"]
    control.offer("t1", tools=TOOLS, clips=[pb.Clip(kind="goodbye", text="Goodbye.", audio_ulaw=tone(300))])
    media = await plane()
    call = await ring(media, [say(voice(300))], stay=True)
    truth = await call.ended()
    assert (
        present(control.ended("call_t1")).reason == "agent"
    )  # no wait is needed: control knew before the carrier asked
    assert truth.as_json()["streams"][0]["closed_by"] == "agent"
    assert call.stream.playout.played_bytes == 2_400


@pytest.mark.parametrize(
    ("status", "reason", "dials"), [(401, "model_refused", 1), (404, "model_refused", 1), (503, "model_lost", 4)]
)
async def test_a_model_that_does_not_open(
    plane: StartPlane,
    control: FakeControl,
    model: FakeModel,
    ring: Ring,
    status: int,
    reason: str,
    dials: int,
    stalls: Stalls,
) -> None:
    model.status = status
    apology = tone(200)
    control.offer("t1", clips=[pb.Clip(kind="apology", text="Sorry.", audio_ulaw=apology)])
    media = await plane(model_patience_seconds=1)
    call = await ring(media, [], stay=True)
    await call.ended()
    assert present(control.ended("call_t1")).reason == reason
    assert nearly_all(apology, stalls) in heard(call)
    assert min(len(model.dials), 4) == dials, "tried again and again, where that may help"


async def test_a_model_that_dies_in_mid_answer_is_dialled_again_and_answers(
    plane: StartPlane, control: FakeControl, model: FakeModel, ring: Ring
) -> None:
    model.answer, model.dies_after = tone(500), 3
    control.offer("t1")
    media = await plane()
    call = await ring(media, [say(voice(300)), {"do": "wait_for_agent_to_talk", "for_ms": 700}])
    await call.ended()
    assert len(model.dials) == 2
    assert call.stream.playout.played_bytes > 3 * 800
    assert [each for each in model.types() if each == "response.create"] == ["response.create"] * 2
    ended = await until(lambda: control.ended("call_t1"))
    assert ended.reason == "caller"


async def test_a_call_joined_twice_keeps_both_recordings(
    plane: StartPlane, control: FakeControl, model: FakeModel
) -> None:
    media = await plane()
    for token in ("t1", "t2"):
        control.offer(token, call_id="call_x", recording_enabled=True)
        async with media.joined(token) as line:
            for _ in range(5):
                await line.media(tone(20))
            await line.say("stop")
            assert await line.closed() == 1000
    await until(lambda: control.kinds().count("ended") == 2)
    paths = [each.recording.path for each in control.reports() if each.WhichOneof("report") == "recording"]
    assert [each.recording_started.path for each in control.reports() if each.HasField("recording_started")] == paths
    assert paths == ["org_1/call_x.wav", "org_1/call_x.2.wav"]
    assert all((media.given.recordings_dir / path).exists() for path in paths)


async def test_of_the_time_before_the_announcement_was_heard_it_alone_is_recorded(
    plane: StartPlane, control: FakeControl, model: FakeModel, ring: Ring
) -> None:
    control.offer(
        "t1",
        recording_enabled=True,
        announce_recording=True,
        clips=[pb.Clip(kind="announcement", text="This call is recorded.", audio_ulaw=tone(500))],
    )
    media = await plane()
    call = await ring(media, [say(voice(300)), {"do": "wait", "ms": 600}])
    await call.ended()
    await until(lambda: control.ended("call_t1"))
    assert "announcement_played" in control.kinds()
    (proof,) = (each.announcement_played for each in control.reports() if each.announcement_played.at_ms)
    caller, agent = channels((media.given.recordings_dir / "org_1/call_t1.wav").read_bytes())
    assert not caller[: proof.at_ms * 8].any()
    assert 0 < np.count_nonzero(agent[: proof.at_ms * 8]) <= 500 * 8


@pytest.fixture
def hanging_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Lets nothing be written to recordings until it is set."""
    answers, write = threading.Event(), os.pwrite

    def hang(*args: Any) -> int:
        answers.wait()
        return write(*args)

    monkeypatch.setattr(os, "pwrite", hang)
    yield answers
    answers.set()


async def test_a_disk_that_hangs_holds_up_no_call_and_loses_no_recording(
    plane: StartPlane, control: FakeControl, model: FakeModel, ring: Ring, hanging_disk: threading.Event
) -> None:
    greeting = tone(200)
    control.offer("t1", recording_enabled=True, clips=[pb.Clip(kind="greeting", text="Hi.", audio_ulaw=greeting)])
    model.answer = tone(300)
    media = await plane()
    hear = {"do": "wait_for_agent_to_finish", "quiet_ms": 300}
    call = await ring(media, [hear, say(voice(300)), {"do": "wait_for_agent_to_talk"}, hear])
    await call.ended()
    assert heard(call) == greeting + model.answer
    await until(lambda: control.ended("call_t1"))
    assert "recording" not in control.kinds(), "the end of the call waits no longer than it takes for this"
    hanging_disk.set()
    await until(lambda: "recording" in control.kinds())
    (stored,) = [each.recording for each in control.reports() if each.WhichOneof("report") == "recording"]
    assert not stored.fault and stored.duration_ms > 500
    assert (media.given.recordings_dir / stored.path).stat().st_size == stored.size_bytes
