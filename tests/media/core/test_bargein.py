from media.core.bargein import BargeIn, Verdict

CLEAR, CUT, RESUME = Verdict.CLEAR, Verdict.CUT, Verdict.RESUME


def speak(machine: BargeIn, pattern: str, audible: bool = True) -> list[Verdict]:
    """Feed one 20 ms frame per character: '!' is a confirmed onset, '#' voiced, '.' silence."""
    frames = ((mark == "!", mark in "!#") for mark in pattern)
    return [v for onset, voiced in frames if (v := machine.caller_frame(onset, voiced, agent_audible=audible))]


def test_a_nod_is_taken_back():
    assert speak(BargeIn(), "..!####..........") == [CLEAR, RESUME]


def test_a_sentence_takes_the_floor_once():
    assert speak(BargeIn(), "..!" + "#" * 40) == [CLEAR, CUT]


def test_duration_is_the_only_judge():
    assert speak(BargeIn(), "!" + "#" * 14 + "." * 10) == [CLEAR, RESUME]  # 60 + 280 ms
    assert speak(BargeIn(), "!" + "#" * 15) == [CLEAR, CUT]  # 60 + 300 ms


def test_pauses_shorter_than_the_patience_do_not_end_it():
    assert speak(BargeIn(), "!###" + ".........###" * 4) == [CLEAR, CUT]


def test_nobody_interrupts_a_silent_agent():
    assert speak(BargeIn(), "!" + "#" * 40, audible=False) == []


def test_a_second_nod_is_a_second_story():
    assert speak(BargeIn(), ("!##" + "." * 10) * 2) == [CLEAR, RESUME] * 2
