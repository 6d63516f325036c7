"""Keys pressed as tones: what a menu's receiver makes of them, and that nothing breaks into them."""

import math
from collections.abc import Callable

import pytest

from media.core.audio import to_linear
from media.core.commands import SendDigits
from media.core.keytones import GAP_MS, TONE_MS, WAIT_MS, dialled
from media.core.modelmessages import Tool, TurnModel
from media.core.types import BargedIn, RunTool, TurnEnded
from sandbox.openai import FunctionCall, Turn
from tests.support.plans import call_plan, changed
from tests.support.simulation import Phone, calls

ROWS, COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
KEYPAD = ("123A", "456B", "789C", "*0#D")
PRESS = Tool("send_digits", "", '{"type":"object"}', 4_000)
PLAN = call_plan("", TurnModel("gpt-realtime", "marin", "t"), tools=(PRESS,))


def power(samples: memoryview, hz: int) -> float:
    """Goertzel's sum for one frequency."""
    step = 2 * math.pi * hz / 8_000
    real = sum(each * math.cos(step * at) for at, each in enumerate(samples))
    imaginary = sum(each * math.sin(step * at) for at, each in enumerate(samples))
    return real * real + imaginary * imaginary


def received(ulaw: bytes) -> str:
    """The keys in mu-law audio, as a receiver that knows nothing of how they were made."""
    samples, keys, before = memoryview(to_linear(ulaw)).cast("h"), "", ""
    for at in range(0, len(samples) - 159, 160):
        window = samples[at : at + 160]
        key = ""
        if max(map(abs, window)) > 1_000:
            row = max(range(4), key=lambda n: power(window, ROWS[n]))
            column = max(range(4), key=lambda n: power(window, COLUMNS[n]))
            key = KEYPAD[row][column]
        if key and key != before:
            keys += key
        before = key
    return keys


def test_every_key_is_understood() -> None:
    assert received(dialled("0123456789ABCD*#")) == "0123456789ABCD*#"


def test_a_key_twice_is_two_keys_and_a_wait_is_silence() -> None:
    assert received(dialled("11")) == "11"
    assert len(dialled("1w")) == 8 * (TONE_MS + GAP_MS + WAIT_MS)
    assert set(dialled("w")) == {0xFF}
    assert dialled("x,;") == b""


@pytest.fixture
def pressing(make_phone: Callable[..., Phone]) -> tuple[Phone, RunTool]:
    """A call whose agent has just asked to press keys."""
    phone = make_phone(PLAN)
    phone.after(1_000)
    phone.model.player.turns = [calls("send_digits")]
    phone.speak(500)
    phone.after(1_600)
    (run,) = [action for _, action in phone.actions if isinstance(action, RunTool)]
    return phone, run


def press(phone: Phone, run: RunTool, digits: str = "4711#") -> None:
    phone.carry(
        phone.talk.tool_result(run.tool_call_id, '{"pressed":"4711#"}', "ok", phone.world.now, SendDigits(digits))
    )


def test_the_menu_hears_them_and_the_agent_listens(pressing: tuple[Phone, RunTool]) -> None:
    phone, run = pressing
    asked = sum(m["type"] == "response.create" for m in phone.model.received)
    press(phone, run)
    phone.after(3_000)
    assert received(phone.carrier.heard(phone.world.now)) == "4711#"
    assert sum(m["type"] == "response.create" for m in phone.model.received) == asked
    assert phone.told(TurnEnded)[-1].heard_text == "[keys 4711#]"
    phone.model.player.turns = []
    phone.speak(700)
    phone.after(3_000)
    assert sum(m["type"] == "response.create" for m in phone.model.received) == asked + 1, "it answers the menu"


def test_a_menu_that_talks_on_does_not_break_into_them(pressing: tuple[Phone, RunTool]) -> None:
    phone, run = pressing
    press(phone, run)
    phone.after(200)
    phone.speak(900)
    phone.after(2_000)
    keys = dialled("4711#")
    assert phone.carrier.heard(phone.world.now)[: len(keys)] == keys, "whole, and before the agent answers the menu"
    assert phone.told(BargedIn) == []


@pytest.mark.parametrize("late", [False, True], ids=["before the menu talks on", "while it does"])
def test_a_menu_that_breaks_into_the_words_before_them_gets_them_all_the_same(
    make_phone: Callable[..., Phone], late: bool
) -> None:
    phone = make_phone(PLAN, answer_ms=3_000)
    phone.after(1_000)
    phone.model.player.turns = [Turn(say="words", call=FunctionCall("send_digits"), calls_first=True)]
    phone.speak(500)
    phone.after(2_200)
    (run,) = [action for _, action in phone.actions if isinstance(action, RunTool)]
    if not late:
        press(phone, run)
    phone.speak(1_500, seed=5)
    while late and phone.talk._floor.settled:
        phone.after(5)
    if late:
        press(phone, run)
    phone.after(4_000)
    assert [each.verdict for each in phone.told(BargedIn)] == ["cut"]
    keys = dialled("4711#")
    assert phone.carrier.heard(phone.world.now).count(keys) == 1, "the model was told that they were pressed"
    assert "[keys 4711#]" in [turn.heard_text for turn in phone.told(TurnEnded)]
    assert phone.model.violations == []


def test_what_is_answered_twice_is_pressed_once(pressing: tuple[Phone, RunTool]) -> None:
    phone, run = pressing
    press(phone, run)
    press(phone, run)
    phone.after(4_000)
    assert received(phone.carrier.heard(phone.world.now)) == "4711#"


def test_they_are_recorded_as_they_were_heard(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(changed(PLAN, recording=True))
    phone.after(500)
    phone.carry(phone.talk.tool_result("unknown", "{}", "ok", phone.world.now, SendDigits("1")))
    phone.after(1_000)
    assert phone.carrier.heard(phone.world.now) == b"", "a tool that is not running presses nothing"
