"""The simulated caller answers what asks something, with facts, and nothing else."""

import pytest

from evals.brains import FactsBrain, ScriptBrain
from evals.scenario import Fact

FACTS = {
    "wish": Fact(say="I would like to book a cleaning.", when="help you"),
    "name": Fact(say="Maria Lopez.", when="name"),
    "day": Fact(say="Tuesday at nine.", when="day|time"),
}


def talk(*heard: str, most_turns: int = 12) -> list[str]:
    brain = FactsBrain(FACTS, most_turns)
    actions = [brain.answer(words) for words in heard]
    return [action.text or action.do for action in actions]


@pytest.mark.parametrize(
    ("heard", "said"),
    [
        ("This call may be recorded.", "wait"),
        ("", "wait"),
        ("This call may be recorded. How can I help you today?", "I would like to book a cleaning."),
        ("Certainly. May I have your name?", "Maria Lopez."),
        ("May I have your name, and which day suits you?", "Maria Lopez. Tuesday at nine."),
        ("Your name is on the list.", "wait"),
        ("Shall I book it?", "Yes, please."),
        ("Who is your dentist?", "I am not sure, sorry."),
        ("Is there anything else?", "No thank you, that is all. Goodbye."),
        ("Thank you for calling. Goodbye.", "wait"),
    ],
)
def test_one_answer(heard: str, said: str) -> None:
    assert talk(heard) == [said]


def test_a_caller_says_the_last_words_again_and_hangs_up_at_the_third_time() -> None:
    again = "I did not understand. Could you say that again?"
    assert talk("What is your name?", again, again, again) == ["Maria Lopez."] * 3 + ["hang_up"]


def test_an_endless_agent_is_left() -> None:
    assert talk("Which day?", "Which day?", "Which day?", most_turns=2)[-1] == "hang_up"


def test_a_script_goes_on_at_each_question() -> None:
    brain = ScriptBrain(["One.", "Two."])
    heard = ("Hello.", "Yes?", "And?", "More?")
    assert [brain.answer(words).text for words in heard] == ["", "One.", "Two.", ""]


def test_a_question_that_was_heard_as_none_is_answered_after_a_silence() -> None:
    """Recognition drops question marks and first words."""
    heard = "Thank you. Love day and time would suit you."
    brain = FactsBrain(FACTS, most_turns=12)
    assert brain.answer(heard).do == "wait"
    assert brain.answer(heard, insists=True).text == "Tuesday at nine."
    assert brain.answer("This call may be recorded.", insists=True).do == "wait"
    assert brain.answer("Goodbye.", insists=True).do == "wait"
    assert ScriptBrain(["One."]).answer("Go ahead.", insists=True).text == "One."
