import pytest

from media.core.turns import Transcript, Turns, up_to_word


def told(turns: Turns, now: float = 0.0) -> list[tuple[int, str, str]]:
    return [(turn.seq, turn.role, turn.text) for _, turn in turns.ready(now)]


def test_the_answer_waits_for_the_text_of_its_question() -> None:
    turns = Turns()
    turns.caller_began("u", 100, 0)
    turns.caller_ended("u", 900, 0)
    turns.agent_began("a", 1_500)
    turns.agent_ended("a", "Yes.", "Yes.", 2_000, False)
    assert told(turns) == []
    turns.caller_text("u", " Is it? ")
    assert told(turns) == [(1, "caller", "Is it?"), (2, "agent", "Yes.")]


def test_a_text_that_never_comes_is_empty_at_its_deadline() -> None:
    turns = Turns(deadline_ms=4_000)
    turns.caller_began("u", 100, 0)
    turns.caller_ended("u", 900, 1_000)
    assert told(turns, 4_999) == []
    assert told(turns, 5_000) == [(1, "caller", "")]
    turns.caller_text("u", "too late")
    assert told(turns, 9_000) == []


def test_a_turn_that_never_ends_does_not_hold_up_the_next() -> None:
    turns = Turns(deadline_ms=1_000)
    turns.caller_began("u1", 100, 0)
    turns.caller_began("u2", 900, 500)
    turns.caller_text("u2", "again")
    assert told(turns, 1_500) == [(1, "caller", ""), (2, "caller", "again")]


def test_the_end_reports_what_is_left_in_the_order_of_speech() -> None:
    turns = Turns()
    turns.agent_began("a", 500)
    turns.caller_began("u", 100, 0)
    assert [turn.role for _, turn in turns.flush()] == ["caller", "agent"]
    assert turns.flush() == []


def test_a_new_session_learns_what_was_heard_even_if_it_is_not_reported() -> None:
    turns = Turns()
    turns.caller_began("u", 0, 0)
    turns.agent_began("a", 100)
    turns.agent_ended("a", "One two three", "One two", 200, True)
    assert turns.history() == [("agent", "One two")]
    turns.caller_text("u", "Hm")
    assert told(turns) and turns.history() == [("caller", "Hm"), ("agent", "One two")]


def test_words_are_tied_to_the_audio_that_came_with_them() -> None:
    transcript = Transcript()
    for n, word in enumerate(("Good ", "morning ", "dear ", "caller")):
        transcript.add(word, n * 800)
    assert [transcript.heard(ms * 8, 3_200) for ms in (0, 60, 100, 250, 300, 399, 400)] == [
        "", "", "Good", "Good morning", "Good morning dear", "Good morning dear", "Good morning dear caller",
    ]  # fmt: skip


def test_text_that_came_all_at_once_is_spread_over_its_audio() -> None:
    transcript = Transcript()
    transcript.add("one two ", 0)
    transcript.add("three four", 0)
    assert transcript.heard(4_000, 8_000) == "one two"
    transcript.final("one two three four five")
    assert transcript.heard(8_000, 8_000).endswith("five")


@pytest.mark.parametrize(
    ("position", "text"), [(0, ""), (1, ""), (2, "ab"), (3, "ab"), (4, "ab"), (5, "ab cd"), (99, "ab cd")]
)
def test_never_half_a_word(position: int, text: str) -> None:
    assert up_to_word("ab cd", position) == text
