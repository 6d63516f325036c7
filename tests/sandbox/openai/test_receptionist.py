"""The answers without a script, and the script's own form."""

from pathlib import Path

import pytest

from sandbox.openai import BadScript, Call, Script, Turn
from sandbox.openai.receptionist import Situation, answer, verbatim
from sandbox.openai.script import Player

OFFICE = "You answer the phone of Ada & Sons Plumbing. Ask for the caller's name, number and the reason for the call."
END = {"type": "function", "name": "end_call", "parameters": {"type": "object", "properties": {}}}
TRANSFER = {
    "type": "function",
    "name": "transfer_call",
    "parameters": {"type": "object", "properties": {"to": {"enum": ["billing", "sales"]}}, "required": ["to"]},
}


def test_it_greets_for_the_organization() -> None:
    assert answer(Situation(OFFICE)).say == "Hello, thank you for calling Ada & Sons Plumbing. How can I help you?"
    assert answer(Situation()).say == "Hello, thank you for calling. How can I help you?"


def test_it_repeats_what_it_understood_and_asks_each_thing_once() -> None:
    said: list[str] = []
    for _ in range(4):
        said.append(answer(Situation(OFFICE, "I have a leak.", said)).say or "")
    assert all(each.startswith("I heard: I have a leak. ") for each in said)
    assert [each.removeprefix("I heard: I have a leak. ") for each in said] == [
        "May I have your name?",
        "What number can we reach you at?",
        "What is it about?",
        "Is there anything else?",
    ]


def test_it_asks_nothing_that_the_instructions_do_not_speak_of() -> None:
    assert answer(Situation("Be kind.", "I have a leak")).say == "I heard: I have a leak. Is there anything else?"


def test_it_ends_the_call_when_it_can() -> None:
    assert answer(Situation(OFFICE, "That's all, thanks.", tools=[END])).call == Call("end_call")
    assert answer(Situation(OFFICE, "Goodbye.")) == Turn(say="Thank you for calling. Goodbye.")
    assert answer(Situation(OFFICE, "Goodbye.", called=["end_call"], tools=[END])).call is None


def test_it_calls_the_function_that_the_caller_named() -> None:
    turn = answer(Situation(OFFICE, "Please transfer me to sales.", tools=[END, TRANSFER]))
    assert turn.call == Call("transfer_call", {"to": "sales"})
    assert answer(Situation(OFFICE, "Sales?", tools=[END, TRANSFER])).call is None


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
    player = Player(script)
    assert (player.by_rule("the price", []) or Turn(say="")).say == "Ten."
    assert (player.by_rule("the price", []) or Turn(say="")).call == Call("quote")
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
def test_a_bad_script_says_where(script, sentence, tmp_path: Path) -> None:
    with pytest.raises(BadScript, match=sentence):
        Script.of(script)


def test_a_script_is_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "script.json"
    file.write_text('{"turns": [{"say": "Hi."}], "settings": {"speed": 4}}')
    assert Script.load(file).turns[0].say == "Hi."
    file.write_text("{")
    with pytest.raises(BadScript, match=r"script\.json"):
        Script.load(file)
