"""What must not be kept: calls in virtual time whose recording is looked at sample by sample."""

import wave
from array import array
from collections.abc import Callable
from pathlib import Path

import pytest

from media.core.commands import Watch
from media.core.modelmessages import FunctionCalled, Tool, TurnModel
from media.core.plans import PauseRules
from media.core.recordingpauses import BY_TOOL, NOT_RECORDED
from media.core.types import (
    BargedIn,
    Digits,
    RecordAgent,
    RecordCaller,
    RecordingPaused,
    RunTool,
    StartRecording,
    ToolCalled,
    ToolFinished,
    TurnEnded,
    Unrecord,
)
from media.recorder import Recorder
from sandbox.openai import FunctionCall, Turn
from tests.support.plans import call_plan, changed
from tests.support.present import present
from tests.support.recordings import closed
from tests.support.simulation import Phone

SECRET = "4111 1111"
SCHEMA = '{"type":"object","properties":{}}'
PAUSE = Tool("pause_recording", "", SCHEMA, recording="pause")
RESUME = Tool("resume_recording", "", SCHEMA, recording="resume")
CHARGE = Tool("charge", "", SCHEMA, 4_000)
PLAN = call_plan("", TurnModel("gpt-realtime", "marin", "t"), tools=(PAUSE, RESUME, CHARGE), recording=True)
CALLER, AGENT = b"\x90", b"\x20"  # neither is silence


def recorded(phone: Phone, folder: Path) -> "tuple[array[int], array[int]]":
    """Both channels, as samples, of what the call's actions make of a file."""
    recorder: Recorder | None = None
    for _, action in phone.actions:
        match action:
            case StartRecording():
                recorder = Recorder(folder, "org_1", "call_1")
            case RecordCaller(payload, at_ms):
                present(recorder).caller(payload, at_ms)
            case RecordAgent(payload, at_ms):
                present(recorder).agent(payload, at_ms)
            case Unrecord(from_ms) if recorder is not None:
                recorder.unrecord(from_ms)
    stored = closed(present(recorder))
    with wave.open(str(folder / stored.path)) as file:
        samples = array("h", file.readframes(file.getnframes()))
    return samples[::2], samples[1::2]


def silent_exactly(phone: Phone, folder: Path) -> tuple[list[tuple[int, int]], float]:
    """The caller makes a sound all the time: the recording is silent where it was paused, on both sides, and nowhere else."""
    left, right = recorded(phone, folder)
    spans = [(each.start_ms, each.end_ms) for each in phone.told(RecordingPaused) if each.end_ms is not None]
    assert spans
    expected = bytearray(b"\x01" * len(left))
    for start_ms, end_ms in spans:
        expected[start_ms * 8 : end_ms * 8] = bytes(len(expected[start_ms * 8 : end_ms * 8]))
    assert bytes(sample != 0 for sample in left) == bytes(expected)
    assert not any(sample and not heard for sample, heard in zip(right, expected, strict=True))
    return spans, sum(sample != 0 for sample in right) / 8


@pytest.mark.parametrize("jitter", [0.0, 60.0])
def test_the_agent_pauses_and_resumes(make_phone: Callable[..., Phone], tmp_path: Path, jitter: float) -> None:
    phone = make_phone(PLAN, jitter=jitter, says=AGENT, deaf=True, answer_ms=1_500)
    phone.frames = [CALLER * 160] * 1_000
    phone.after(2_000)
    for call in ("pause_recording", "", "resume_recording", ""):
        phone.model.player.turns = [Turn(call=FunctionCall(call))] if call else []
        phone.model.turn_taken()
        phone.after(4_000)
    (span,), agent_ms = silent_exactly(phone, tmp_path)
    assert span[1] - span[0] == pytest.approx(8_000, abs=700), "from the one call to the other"
    assert agent_ms == pytest.approx(2 * 1_500, abs=200), "of four answers, two are in the pause"
    ends = [(each.tool_call_id, each.output_json) for each in phone.told(ToolFinished)]
    assert [output for _, output in ends] == ["{}", "{}"] and len(phone.told(ToolCalled)) == 2
    assert phone.model.violations == []


@pytest.mark.parametrize("jitter", [0.0, 60.0])
def test_keys_are_for_the_model_alone(make_phone: Callable[..., Phone], tmp_path: Path, jitter: float) -> None:
    plan = call_plan(
        "", TurnModel("gpt-realtime", "marin", "t"), recording=True, pauses=PauseRules(on_keys=True, keys_ms=2_000)
    )
    phone = make_phone(plan, jitter=jitter, says=AGENT, deaf=True, answer_ms=500)
    phone.frames = [CALLER * 160] * 800
    phone.after(3_000)
    for digit in "4111":
        phone.carrier.dtmf(digit)
        phone.after(400)
    phone.after(10_000)
    (span,), _ = silent_exactly(phone, tmp_path)
    assert span[0] == pytest.approx(2_500, abs=150) and span[1] == pytest.approx(6_200, abs=250)
    assert "Caller entered 4111" in repr(phone.model.received)
    assert "4111" not in repr(phone.reports) and [each.digits for each in phone.told(Digits)] == [""] * 4


def test_of_an_entry_that_a_pause_begins_in_nothing_is_kept(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(changed(PLAN, pauses=PauseRules()), answer_ms=500)
    phone.after(1_500)
    phone.carrier.dtmf("4")
    phone.after(200)
    phone.talk._model.tools.recording_pauses.pause(BY_TOOL, phone.world.now)
    phone.carrier.dtmf("1")
    phone.after(3_000)
    phone.talk._model.tools.recording_pauses.resume(phone.world.now, phone.world.now)
    phone.after(500)
    phone.carrier.dtmf("7")
    phone.after(200)
    first, second, third = phone.told(Digits)
    assert (first.digits, second.digits, third.digits) == ("4", "", "7")
    assert first.at_ms == second.at_ms < third.at_ms, "so control forgets the first"


def test_what_the_caller_says_in_a_pause_is_heard_by_the_model_alone(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(PLAN, answer_ms=500)
    phone.after(1_500)
    phone.talk.command(Watch(60_000), phone.world.now)
    phone.model.player.turns = [Turn(call=FunctionCall("pause_recording"))]
    phone.speak(600)
    phone.after(5_000)
    phone.model.player.turns = [Turn(call=FunctionCall("charge", {"card": SECRET}))]
    phone.speak(600)
    phone.after(1_500)
    run = next(action for _, action in phone.actions if isinstance(action, RunTool))
    assert SECRET in run.arguments_json and run.off_record, "control is told, and keeps nothing of it"
    phone.carry(phone.talk.tool_result(run.tool_call_id, f'{{"charged":"{SECRET}"}}', "ok", phone.world.now))
    phone.model.player.turns = [Turn(say="words"), Turn(call=FunctionCall("resume_recording"))]
    phone.after(4_000)
    phone.speak(600)
    phone.after(6_000)
    assert SECRET in repr(phone.model.received) and SECRET not in repr(phone.reports)
    texts = [each.text for each in phone.told(TurnEnded) if each.role == "caller"]
    assert texts[:2] == ["text of user_1", NOT_RECORDED]
    assert "text of user_2" not in repr(phone.reports), "no delta and no unfinished turn either"


def test_a_call_whose_stream_was_lost_in_a_pause_goes_on_in_it(
    make_phone: Callable[..., Phone], tmp_path: Path
) -> None:
    plan = call_plan(
        "",
        TurnModel("gpt-realtime", "marin", "t"),
        recording=True,
        recording_paused=True,
        pauses=PauseRules(longest_ms=4_000),
    )
    phone = make_phone(plan, says=AGENT, deaf=True)
    phone.frames = [CALLER * 160] * 400
    phone.after(7_000)
    ((start_ms, end_ms),), _ = silent_exactly(phone, tmp_path)
    assert start_ms == 0 and end_ms == pytest.approx(4_000, abs=200)
    assert phone.told(RecordingPaused)[0].cause == "carried_over"


def test_a_pause_that_the_caller_talks_into_is_made_all_the_same(make_phone: Callable[..., Phone]) -> None:
    """The model called for it in a response that the caller interrupted; a resume would not be carried out."""
    phone = make_phone(PLAN)
    phone.after(1_500)
    for name, paused in (("resume_recording", True), ("pause_recording", True)):
        if name == "resume_recording":
            phone.talk._model.tools.recording_pauses.pause(BY_TOOL, phone.world.now)
        event = FunctionCalled("r", "i", name, "{}", name)
        phone.talk._model.tools.called(event, phone.world.now, phone.world.now, cancelled=True)
        phone.after(500)
        assert phone.talk._model.tools.recording_pauses.paused is paused
    phone.talk._model.tools.recording_pauses.resume(phone.world.now, phone.world.now)
    phone.after(500)
    assert not phone.talk._model.tools.recording_pauses.paused


def test_interruptions_are_told_as_ever(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(PLAN, answer_ms=4_000)
    phone.after(1_500)
    phone.talk._model.tools.recording_pauses.pause(BY_TOOL, phone.world.now)
    phone.speak(500)
    phone.after(2_500)
    phone.speak(900)
    phone.after(5_000)
    assert phone.told(BargedIn)
