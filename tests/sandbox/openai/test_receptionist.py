"""The answers without a script, and the script's own form."""

from pathlib import Path
from typing import Any

import pytest

from realtime.mind import AnswerSituation, verbatim
from sandbox.openai import BadScript, FunctionCall, Script, Turn
from sandbox.openai.mind import choose_turn
from sandbox.openai.receptionist import answer
from sandbox.openai.script import ScriptPlayer

OFFICE = "You answer the phone of Ada & Sons Plumbing. Ask for the caller's name, number and the reason for the call."
END = {"type": "function", "name": "end_call", "parameters": {"type": "object", "properties": {}}}
TRANSFER = {
    "type": "function",
    "name": "transfer_call",
    "parameters": {"type": "object", "properties": {"to": {"enum": ["billing", "sales"]}}, "required": ["to"]},
}


def test_it_greets_for_the_organization() -> None:
    assert (
        answer(AnswerSituation(OFFICE)).say == "Hello, thank you for calling Ada & Sons Plumbing. How can I help you?"
    )
    assert answer(AnswerSituation()).say == "Hello, thank you for calling. How can I help you?"


CLINIC = """You are the receptionist of Riverside Clinic. Be brief and kind.

We are open Monday to Friday from nine to five. A cleaning costs ninety dollars. There is free parking behind the house.

Collect, one at a time:
- the caller's full name
- their date of birth
- the reason for the call
- which insurance they have

Never give medical advice. When everything is said, say goodbye."""


def talk(instructions: str, *lines: str) -> list[str]:
    """What the receptionist says to a caller who says these lines."""
    dialogue: list[tuple[str, str]] = []
    for line in lines:
        dialogue.append(("user", line))
        dialogue.append(("assistant", answer(AnswerSituation(instructions, line, dialogue)).say or ""))
    return [text for role, text in dialogue if role == "assistant"]


def test_it_collects_what_the_prompt_wants_one_at_a_time() -> None:
    assert talk(
        CLINIC, "Hi there.", "Ada Lovelace.", "The tenth of December.", "I have a toothache.", "Acme Health."
    ) == [
        "Certainly. May I have your name?",
        "Thank you. What is your date of birth?",
        "Thank you. What is it about?",
        "Thank you. Which insurance?",
        (
            "Thank you. I have noted: Ada Lovelace; The tenth of December; I have a toothache; Acme Health. "
            "Is there anything else?"
        ),
    ]


def test_who_says_at_once_why_they_call_is_not_asked_again() -> None:
    said = talk(OFFICE, "I have a leak in my kitchen.", "Ada.", "Five five five, one two three four.")
    assert said == [
        "Thank you. May I have your name?",
        "Thank you. What number can we reach you at?",
        (
            "Thank you. I have noted: I have a leak in my kitchen; Ada; Five five five, one two three four. "
            "Is there anything else?"
        ),
    ]


def test_it_takes_what_a_description_wants_it_to_take() -> None:
    described = (
        "You answer for Riverside. It should take the caller's name and what hurts, and a message for anything else."
    )
    assert talk(described, "Hello.", "Ann Baker.", "The left side.", "When are you open?", "Could I come today?") == [
        "Certainly. May I have your name?",
        "Thank you. What hurts?",
        "Thank you. What may I write down?",
        "I can't say. What may I write down?",
        "Thank you. I have noted: Ann Baker; The left side; Could I come today. Is there anything else?",
    ]


def test_it_answers_with_the_prompts_own_statements() -> None:
    said = talk(CLINIC, "What are your opening hours?", "How much is a cleaning?", "Where can I park?", "Ada.")
    assert said == [
        "We are open Monday to Friday from nine to five. May I have your name?",
        "A cleaning costs ninety dollars. May I have your name?",
        "There is free parking behind the house. May I have your name?",
        "Thank you. What is your date of birth?",
    ]
    assert talk(CLINIC, "Do you give medical advice?") == ["I can't say. May I have your name?"], (
        "an order is no statement"
    )


def test_it_tells_who_calls_nothing_of_what_is_known_about_them() -> None:
    prompt = f"{CLINIC}\n\n# Caller Context\n- notes: the insurance is unpaid since May"
    assert talk(prompt, "What about my unpaid insurance?") == ["I can't say. May I have your name?"]


def test_thanks_are_a_farewell_only_when_nothing_is_open() -> None:
    assert talk(OFFICE, "Thanks, I have a leak.")[0].endswith("May I have your name?")
    assert answer(AnswerSituation("Be kind.", "Thanks.")).say == "Thank you for calling. Goodbye."


def test_who_wants_a_person_is_told_what_it_can_do() -> None:
    assert talk(OFFICE, "Can I speak to a human?")[0].startswith(
        "I can't put you through, but your message will be seen."
    )
    turn = answer(AnswerSituation(OFFICE, "Transfer the call to sales, please.", tools=[END, TRANSFER]))
    assert turn.call == FunctionCall("transfer_call", {"to": "sales"})


def test_without_anything_to_go_by_it_repeats_what_it_heard() -> None:
    assert answer(AnswerSituation("Be kind.", "I have a leak")).say == "I heard: I have a leak. Is there anything else?"
    assert answer(AnswerSituation("Be kind.", "")).say == "I did not understand you. Is there anything else?"


def test_it_ends_the_call_when_it_can() -> None:
    assert answer(AnswerSituation(OFFICE, "That's all, thanks.", tools=[END])).call == FunctionCall("end_call")
    assert answer(AnswerSituation(OFFICE, "Goodbye.")) == Turn(say="Thank you for calling. Goodbye.")
    assert answer(AnswerSituation(OFFICE, "Goodbye.", called=["end_call"], tools=[END])).call is None


def test_it_calls_the_function_that_the_caller_named() -> None:
    turn = answer(AnswerSituation(OFFICE, "Please transfer me to sales.", tools=[END, TRANSFER]))
    assert turn.call == FunctionCall("transfer_call", {"to": "sales"})
    assert answer(AnswerSituation(OFFICE, "Sales?", tools=[END, TRANSFER])).call is None


def test_only_an_instruction_to_say_exactly_is_verbatim() -> None:
    assert verbatim("Say exactly: Good morning: we are open.") == "Good morning: we are open."
    assert verbatim("Say something nice.") is None


def test_rules_match_in_order_and_once_means_once() -> None:
    script = Script.of(
        {
            "rules": [
                {"when": "price", "say": "Ten.", "once": True},
                {"when": "PRICE|cost", "call": {"name": "quote"}},
                {"when": "", "say": "Hm."},
            ]
        }
    )
    player = ScriptPlayer(script)
    assert (player.by_rule("the price", []) or Turn(say="")).say == "Ten."
    assert (player.by_rule("the price", []) or Turn(say="")).call == FunctionCall("quote")
    assert (player.by_rule("the price", ["quote"]) or Turn(say="")).say == "Hm."


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ({"turns": [{}]}, "needs say, call or tone"),
        ({"turns": [{"say": "x", "tone": {"hz": 1, "ms": 1}}]}, "not both"),
        ({"rules": [{"when": "(", "say": "x"}]}, "not a regular expression"),
        ({"lines": []}, "unknown field `lines`"),
        ({"heard": [1]}, "Expected `str`"),
    ],
)
def test_a_bad_script_says_where(script: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(BadScript, match=sentence):
        Script.of(script)


def test_a_script_is_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "script.json"
    file.write_text('{"turns": [{"say": "Hi."}], "settings": {"speed": 4}}')
    assert Script.load(file).turns[0].say == "Hi."
    file.write_text("{")
    with pytest.raises(BadScript, match=r"script\.json"):
        Script.load(file)


@pytest.mark.parametrize(
    ("heard", "said"),
    [
        (["We are open"], "from nine to five."),
        (["We are open", "Sorry, where were we?"], "from nine to five."),  # an apology after the fault
        (["We"], "are open from nine to five."),
        (["We are", "open from"], "nine to five."),  # two faults
        (["We are open from nine to five."], "We are open from nine to five."),
        (["We are ope"], "We are open from nine to five."),
        (["Hello."], "We are open from nine to five."),
        ([""], "We are open from nine to five."),
        ([], "We are open from nine to five."),
    ],
)
def test_an_answer_that_broke_off_goes_on_where_the_told_conversation_ends(heard: list[str], said: str) -> None:
    player = ScriptPlayer(Script(otherwise="We are open from nine to five."))
    dialogue = [("assistant", "We are"), ("user", "When?"), *(("assistant", text) for text in heard)]
    assert choose_turn(player, None, AnswerSituation(caller_text="When?", dialogue=dialogue)).say == said
