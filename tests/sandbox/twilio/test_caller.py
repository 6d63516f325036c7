import pytest

from sandbox.twilio import BadStep, Caller, say

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


def test_patience_ends() -> None:
    caller = Caller([{"do": "wait_for_agent_to_talk", "for_ms": 80, "timeout_ms": 60}, say(FRAME)])
    assert notes(caller, "....") == ["caller.gave_up", "caller.said", "caller.said"]


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
    ],
)
def test_a_step_that_cannot_be_is_refused_at_once(step) -> None:
    with pytest.raises(BadStep):
        Caller([step])
