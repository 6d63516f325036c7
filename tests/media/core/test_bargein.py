import pytest

from media.core.bargein import BargeIn, Verdict

CLEAR, CUT, RESUME = Verdict.CLEAR, Verdict.CUT, Verdict.RESUME


def speak(machine: BargeIn, pattern: str, audible: bool = True) -> list[Verdict]:
    """Feed one 20 ms frame per character: '!' is a confirmed onset, '#' voiced, '.' silence."""
    told = [machine.caller_frame(mark == "!", mark in "!#", audible, 20, 20 * n) for n, mark in enumerate(pattern)]
    return [verdict for verdict in told if verdict is not None]


def test_a_nod_is_taken_back() -> None:
    assert speak(BargeIn(), "..!####..........") == [CLEAR, RESUME]


def test_a_sentence_takes_the_floor_once() -> None:
    assert speak(BargeIn(), "..!" + "#" * 40) == [CLEAR, CUT]


def test_duration_is_the_only_judge() -> None:
    assert speak(BargeIn(), "!" + "#" * 17 + "." * 10) == [CLEAR, RESUME]  # 340 ms after the onset's frame
    assert speak(BargeIn(), "!" + "#" * 18) == [CLEAR, CUT]


def test_pauses_shorter_than_the_patience_do_not_end_it() -> None:
    assert speak(BargeIn(), "!###" + ".........###" * 5) == [CLEAR, CUT]


def test_nobody_interrupts_a_silent_agent() -> None:
    assert speak(BargeIn(), "!" + "#" * 40, audible=False) == []


def test_a_second_nod_is_a_second_story() -> None:
    assert speak(BargeIn(), ("!##" + "." * 10) * 2) == [CLEAR, RESUME] * 2
    assert speak(BargeIn(), ("!" + "#" * 12 + "." * 30) * 2) == [CLEAR, RESUME] * 2


def test_a_sentence_with_a_pause_in_it_takes_the_floor() -> None:
    assert speak(BargeIn(), ("!" + "#" * 14 + "." * 12) * 2) == [CLEAR, RESUME, CLEAR, CUT]


@pytest.mark.parametrize("pause_ms", [100, 160, 240, 400, 480])
@pytest.mark.parametrize(("first_ms", "second_ms"), [(240, 200), (200, 240), (180, 180), (240, 240)])
def test_two_nods_are_no_sentence(first_ms: int, second_ms: int, pause_ms: int) -> None:
    """ "Mhm, yes": together longer than what takes the floor, and neither longer than a nod."""
    machine = BargeIn()
    said = "!" + "#" * (first_ms // 20) + "." * (pause_ms // 20)
    if pause_ms < machine.resume_after_ms:
        told = speak(machine, said + "#" * (second_ms // 20) + "." * 20)
        assert told == [CLEAR, RESUME]
    else:
        told = speak(machine, said + "!" + "#" * (second_ms // 20) + "." * 20)
        assert told == [CLEAR, RESUME] * 2


def test_after_a_nod_a_sentence_takes_the_floor() -> None:
    nod = "!" + "#" * 9 + "." * 12
    assert speak(BargeIn(), nod + "!" + "#" * 40) == [CLEAR, RESUME, CLEAR, CUT]
    assert speak(BargeIn(), nod + "!" + "#" * 13) == [CLEAR, RESUME, CLEAR, CUT]  # 260 ms is longer than a nod


def test_three_short_words_are_a_sentence() -> None:
    assert speak(BargeIn(), "!######" + ".......######" * 2) == [CLEAR, CUT]


def test_a_consonant_within_a_word_does_not_make_two_of_it() -> None:
    assert speak(BargeIn(), "!" + "#" * 10 + "...." + "#" * 8) == [CLEAR, CUT]
