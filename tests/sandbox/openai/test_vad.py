"""Turn detection on audio time, drawn: one character is 20 ms, '#' loud and '.' quiet."""

from dataclasses import replace

import pytest

from realtime.codec import PCMU
from realtime.errors import Refusal
from realtime.vad import Change, Detection, InputBuffer, SpeechPaused, SpeechStarted, SpeechStopped
from tests.sandbox.openai.conftest import silence, speech

QUICK = Detection(silence_ms=100, prefix_ms=40, speech_dbfs=-40, onset_ms=60)


def feed(buffer: InputBuffer, pattern: str, detection: Detection | None = QUICK) -> list[Change]:
    frames = (speech(20) if mark == "#" else silence(20) for mark in pattern)
    return [change for frame in frames for change in buffer.append(frame, detection)]


def moments(changes: list[Change]) -> list[int]:
    ends = [each for each in changes if not isinstance(each, SpeechPaused)]
    return [each.audio_start_ms if isinstance(each, SpeechStarted) else each.audio_end_ms for each in ends]


def test_a_turn_has_its_prefix_and_the_silence_that_ended_it() -> None:
    changes = feed(InputBuffer(PCMU), ".....####......")
    assert moments(changes) == [60, 280]
    assert isinstance(changes[0], SpeechStarted)
    assert isinstance(changes[1], SpeechStopped)
    assert len(changes[1].audio) == 220 * 8
    assert changes[0].item_id == changes[1].item_id


def test_a_click_is_no_turn() -> None:
    assert feed(InputBuffer(PCMU), "..##..#..##......") == []


def test_a_breath_does_not_end_a_turn() -> None:
    assert len(feed(InputBuffer(PCMU), "####....####....####.....")) == 2


def test_no_turn_begins_before_the_audio_does_nor_in_the_last_turn() -> None:
    changes = feed(InputBuffer(PCMU), "###.....###")
    assert moments(changes) == [0, 160, 160]


def test_how_the_audio_is_cut_into_messages_does_not_matter() -> None:
    audio = silence(100) + speech(200) + silence(200)
    whole = moments(InputBuffer(PCMU).append(audio, QUICK))
    buffer = InputBuffer(PCMU)
    pieces = [audio[at : at + 37] for at in range(0, len(audio), 37)]
    assert moments([change for piece in pieces for change in buffer.append(piece, QUICK)]) == whole


def test_a_commit_in_the_middle_of_speech_takes_its_item_id() -> None:
    buffer = InputBuffer(PCMU)
    (started,) = feed(buffer, "######")
    item_id, audio = buffer.commit()
    assert isinstance(started, SpeechStarted)
    assert item_id == started.item_id
    assert len(audio) == 120 * 8
    assert feed(buffer, "......") == [], "the turn was taken"


def test_too_little_cannot_be_committed() -> None:
    buffer = InputBuffer(PCMU)
    feed(buffer, "....", None)
    with pytest.raises(Refusal, match=r"80\.00ms"):
        buffer.commit()


def test_without_padding_the_times_are_those_of_the_speech() -> None:
    bare = replace(QUICK, padded=False)
    started, stopped = feed(InputBuffer(PCMU), ".....####......", bare)
    assert isinstance(started, SpeechStarted)
    assert isinstance(stopped, SpeechStopped)
    assert (started.audio_start_ms, stopped.audio_end_ms) == (100, 180)


def test_each_pause_in_a_turn_is_told_once_with_the_turn_so_far() -> None:
    changes = feed(InputBuffer(PCMU, pause_ms=60), ".....####....##.....")
    kinds = [type(each) for each in changes]
    assert kinds == [SpeechStarted, SpeechPaused, SpeechPaused, SpeechStopped]
    (first, second, whole) = [each.audio for each in changes if not isinstance(each, SpeechStarted)]
    assert whole.startswith(second) and second.startswith(first)
    assert len(whole) - len(second) == 40 * 8


def test_a_turn_can_be_ended_in_its_pause_and_not_while_the_caller_speaks() -> None:
    buffer = InputBuffer(PCMU)
    feed(buffer, "####")
    assert buffer.end(QUICK) is None
    feed(buffer, "..")
    stopped = buffer.end(QUICK)
    assert stopped is not None and len(stopped.audio) == 120 * 8
    assert buffer.end(QUICK) is None


def test_a_sound_that_is_no_voice_begins_no_turn() -> None:
    assert feed(InputBuffer(PCMU, is_voice=lambda _, __: False), "########......") == []
