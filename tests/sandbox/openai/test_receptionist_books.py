"""The receptionist books through the tools of its agent, and says times in the words of their results."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from realtime.mind import AnswerSituation
from sandbox.openai import Turn
from sandbox.openai.receptionist import answer

TIMES = [
    {"time": f"t{number}", "say": f"tomorrow, Tuesday, March 9, at {clock}"}
    for number, clock in enumerate(("8 AM", "11 AM", "2:30 PM", "5 PM"), 1)
]
FOUND = {"status": "found", "times": TIMES, "say": "; ".join(each["say"] for each in TIMES)}
HELD = {"status": "held", "say": TIMES[2]["say"]}
FIND = {
    "name": "find_times",
    "parameters": {
        "properties": {"service": {"enum": ["Surgery", "Check-up"]}, "day": {"type": "string"}},
        "required": ["service"],
    },
}
TOOLS: list[Mapping[str, Any]] = [
    FIND,
    *({"name": name} for name in ("hold_time", "book_time", "my_appointments", "cancel_appointment")),
]


class Reception:
    """A conversation in which tools answer with what a test gives."""

    def __init__(self, **results: Mapping[str, Any]) -> None:
        self.results, self.dialogue = results, list[tuple[str, str]]()
        self.calls = list[tuple[str, dict[str, Any]]]()

    def hear(self, text: str, heard: str | None = None) -> str:
        """Answer the caller; `heard` is what they let the receptionist say before they interrupt."""
        self.dialogue.append(("user", text))
        called, outputs, said = list[str](), list[str](), list[str]()
        turn = self._turn(text, called, outputs)
        while True:
            if turn.say:
                said.append(turn.say)
                self.dialogue.append(("assistant", turn.say if heard is None else heard))
            if turn.call is None:
                return said[-1]
            self.calls.append((turn.call.name, turn.call.arguments))
            called.append(turn.call.name)
            outputs.append(json.dumps(self.results[turn.call.name]))
            turn = self._turn(text, called, outputs)

    def _turn(self, text: str, called: list[str], outputs: list[str]) -> Turn:
        return answer(
            AnswerSituation("", text, list(self.dialogue), called=called, results=outputs, made=[], tools=TOOLS)
        )


def test_it_offers_holds_asks_for_the_name_and_books() -> None:
    desk = Reception(find_times=FOUND, hold_time=HELD, book_time={"status": "booked", "say": HELD["say"]})
    offer = desk.hear("I would like to book a check-up tomorrow.")
    assert offer == f"I have {FOUND['say']}. Which one suits you?"
    assert desk.hear("Half past two, please.") == f"I am holding {HELD['say']} for you. What name is it for?"
    assert desk.hear("It's Ann Lee.") == f"You are booked: {HELD['say']}. Is there anything else?"
    wish = {"service": "Check-up", "day": "tomorrow"}
    assert desk.calls == [
        ("find_times", wish),
        ("find_times", wish),
        ("hold_time", {"time": "t3"}),
        ("book_time", {"name": "Ann Lee"}),
    ]


@pytest.mark.parametrize(
    ("words", "key"),
    [
        ("The first one.", "t1"),
        ("Eleven is good.", "t2"),
        ("2:30 please", "t3"),
        ("at five", "t4"),
        ("the last one", "t4"),
        ("I'd rather not", None),
    ],
)
def test_an_offer_that_is_interrupted_is_chosen_from(words: str, key: str | None) -> None:
    desk = Reception(find_times=FOUND, hold_time=HELD)
    desk.hear("Can I have an appointment?", heard="I have tomorrow, Tuesday, March 9, at 8 AM; tomorrow, Tues")
    desk.hear(words)
    assert [arguments.get("time") for name, arguments in desk.calls if name == "hold_time"] == ([key] if key else [])


def test_it_says_what_was_taken_and_never_that_it_is_booked() -> None:
    desk = Reception(find_times=FOUND, hold_time=FOUND | {"status": "taken", "note": "Offer other times."})
    desk.hear("I want to book a check-up.")
    said = desk.hear("The first one.")
    assert said.startswith("I am sorry, that was just taken. I have ") and "booked" not in said
    refused = Reception(find_times={"status": "never", "note": "None."})
    assert "booked" not in refused.hear("I want to book a check-up.")


def test_it_cancels_after_a_yes() -> None:
    found = {"status": "found", "appointments": [{"appointment": "a1", "say": "tomorrow, at 8 AM"}]}
    desk = Reception(my_appointments=found, cancel_appointment={"status": "canceled", "say": "tomorrow, at 8 AM"})
    assert desk.hear("I have to cancel.").endswith("Shall I cancel it?")
    assert desk.hear("Yes, please.") == "It is canceled: tomorrow, at 8 AM. Is there anything else?"
    assert desk.calls[-1] == ("cancel_appointment", {"appointment": "a1", "confirmed": True})
