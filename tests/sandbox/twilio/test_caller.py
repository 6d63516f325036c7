from typing import Any

import pytest

from sandbox.audio import is_audible
from sandbox.twilio import BadStep, Caller, say, tones

FRAME = b"\x00" * 160


def live(caller: Caller, heard: str) -> str:
    """One 20 ms frame per character, '#' the agent is audible: 's' speech, '.' silence, 'h' hang-up, digits as pressed."""
    drawn = []
    for mark in heard:
        breath = caller.frame(mark == "#")
        drawn.append(breath.act[0] if breath.act else breath.digit or ("s" if breath.payload == FRAME else "."))
    return "".join(drawn)


def notes(caller: Caller, heard: str) -> list[str]:
    return [name for mark in heard for name, _ in caller.frame(mark == "#").notes]


def test_steps_follow_each_other_without_a_pause_and_the_last_one_hangs_up() -> None:
    caller = Caller([say(FRAME * 2), {"do": "wait", "ms": 40}, say(FRAME)])
    assert live(caller, "." * 7) == "ss..sh."


def test_one_who_stays_says_nothing_more() -> None:
    assert live(Caller([say(FRAME)], stay=True), "....") == "s..."


def test_a_half_frame_is_filled_with_silence() -> None:
    assert Caller([say(b"\x00" * 40)]).frame(False).payload == b"\x00" * 40 + b"\xff" * 120


def test_finish_waits_for_speech_and_then_for_quiet() -> None:
    steps = [{"do": "wait_for_agent_to_finish", "quiet_ms": 60}, say(FRAME)]
    assert live(Caller(steps), "....##.##...") == "...........s"


def test_an_agent_heard_before_the_caller_spoke_does_not_count_as_an_answer() -> None:
    steps = [say(FRAME), {"do": "wait_for_agent_to_finish", "quiet_ms": 40}, say(FRAME)]
    assert live(Caller(steps), "#......##..") == "s.........s"


def test_talk_counts_audible_time_across_short_breaks() -> None:
    steps = [{"do": "wait_for_agent_to_talk", "for_ms": 80}, say(FRAME)]
    assert live(Caller(steps), ".##.##.") == ".....s" + "h"


def test_a_tone_is_waited_for_to_its_end_and_is_no_voice_and_no_other_tone() -> None:
    caller = Caller([{"do": "wait_for_tone", "hz": 1000, "timeout_ms": 9_000}, say(FRAME)])
    others = [tones.voice("Please leave a message after the tone."), tones.tone([440], 400), tones.tone([1000], 60)]
    before = tones.silence(100).join(others) + tones.silence(700)
    sound = before + tones.tone([1000], 390) + tones.silence(50)  # neither is whole frames
    frames = [sound[at : at + 160] for at in range(0, len(sound), 160)]
    said = [caller.frame(is_audible(each), each).payload == FRAME for each in frames]
    assert said.index(True) == -(-len(before + tones.tone([1000], 390)) // 160)


def test_patience_ends() -> None:
    caller = Caller([{"do": "wait_for_agent_to_talk", "for_ms": 80, "timeout_ms": 60}, say(FRAME)])
    assert notes(caller, "....") == ["caller.gave_up", "caller.said", "caller.said"]


def test_patience_may_end_the_call() -> None:
    steps = [{"do": "wait_for_agent_to_talk", "timeout_ms": 40, "or": "hang_up"}, say(FRAME)]
    assert live(Caller(steps, stay=True), ".....") == "..h.."


def test_a_machine_records_until_it_is_quiet() -> None:
    caller = Caller([{"do": "record", "quiet_ms": 60}])
    acts = [caller.frame(mark == "#") for mark in ".##.#...."]
    assert [breath.act for breath in acts].index("hang_up") == 7
    assert acts[7].notes[-1] == ("machine.recording", {"phase": "end", "step": 0, "audible_ms": 60})


def test_digits_are_pressed_200_ms_apart() -> None:
    assert live(Caller([{"do": "press", "digits": "1#"}]), "." * 21) == "1.........#.........h"


def test_silence_is_told_only_after_200_ms() -> None:
    assert notes(Caller(stay=True), "##" + "." * 9 + "#") == ["agent.audible"]
    assert notes(Caller(stay=True), "##" + "." * 10) == ["agent.audible", "agent.silent"]


@pytest.mark.parametrize(
    "step",
    [
        {"do": "sing"},
        {},
        {"do": "say"},
        {"do": "say", "audio_ulaw_b64": ""},
        {"do": "say", "audio_ulaw_b64": "not base64"},
        {"do": "wait"},
        {"do": "wait", "ms": -1},
        {"do": "wait", "ms": True},
        {"do": "press", "digits": "12x"},
        {"do": "press", "digits": ""},
        {"do": "wait_for_keys"},
        {"do": "wait_for_tone"},
        {"do": "wait_for_tone", "hz": 0},
        {"do": "say", "text": " "},
        {"do": "say", "text": 1},
        {"do": "say", "text": "Hello", "audio_ulaw_b64": "AAAA"},
        {"do": "say", "wav_b64": "AAAA"},
        {"do": "tone", "hz": 1000},
        {"do": "wait_for_agent_to_talk", "or": "cry"},
    ],
)
def test_a_step_that_cannot_be_is_refused_at_once(step: dict[str, Any]) -> None:
    with pytest.raises(BadStep):
        Caller([step])
