"""Silence and length: what ends a call that nobody ends, by the clock and not by what a detector hears."""

from collections.abc import Callable
from random import Random

import pytest

from media.core.audio import from_linear
from media.core.idletimer import Due, IdleTimer
from media.core.keypad import entry_text
from media.core.legmessages import HangUp
from media.core.plans import Prompt, PromptKind
from media.core.types import BargedIn, Digits, TurnEnded
from tests.media.core.plans import BARE, PLAN
from tests.support.plans import changed
from tests.support.simulation import Phone

WARNING = Prompt("We are almost out of time", bytes(range(1, 101)) * 80)  # 1 s
LIMITED = changed(
    PLAN,
    prompts={**PLAN.prompts, PromptKind.LIMIT: WARNING},
    max_call_ms=20_000,
    limit_warning_ms=8_000,
    idle_gaps_ms=(60_000,) * 3,
)


def agent(phone: Phone) -> list[str]:
    return [turn.heard_text for turn in phone.told(TurnEnded) if turn.role == "agent"]


def hiss(ms: int, peak: int) -> list[bytes]:
    """Comfort noise, or a line that hums: noise of this amplitude."""
    random = Random(5)
    samples = (max(-peak, min(peak, int(random.gauss(0, peak / 2)))) for _ in range(ms * 8))
    ulaw = from_linear(b"".join(each.to_bytes(2, "little", signed=True) for each in samples))
    return [ulaw[at : at + 160] for at in range(0, len(ulaw), 160)]


def test_the_end_of_a_long_call_is_announced_once_and_the_goodbye_is_heard(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(LIMITED)
    phone.after(26_000)
    assert agent(phone) == ["Hello and welcome to the shop", "We are almost out of time", "Goodbye then"]
    warned, goodbye = (turn for turn in phone.told(TurnEnded) if turn.text in {WARNING.text, "Goodbye then"})
    assert 12_000 <= warned.start_ms <= 12_300 and goodbye.start_ms >= 20_000
    assert phone.hung_up == HangUp("max_duration")
    said = [m["item"]["content"][0]["text"] for m in phone.model.received if m["type"] == "conversation.item.create"]
    assert WARNING.text in said, "the agent knows that it was said"


def test_the_warning_interrupts_neither_the_agent_nor_the_caller(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(LIMITED, answer_ms=3_000)
    phone.after(9_500)
    phone.speak(4_000)  # over the time at which it is due
    phone.after(16_000)
    warned = next(turn for turn in phone.told(TurnEnded) if turn.text == WARNING.text)
    caller = next(turn for turn in phone.told(TurnEnded) if turn.role == "caller")
    answer = next(turn for turn in phone.told(TurnEnded) if turn.role == "agent" and turn.start_ms > caller.end_ms)
    assert answer.text != WARNING.text and warned.start_ms >= answer.end_ms
    assert not answer.interrupted and phone.told(BargedIn) == []
    assert phone.hung_up == HangUp("max_duration")


def test_a_warning_that_is_not_rendered_is_said_by_the_model(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(changed(LIMITED, prompts={**PLAN.prompts, PromptKind.LIMIT: Prompt(WARNING.text)}))
    phone.after(26_000)
    asked = [m["response"]["instructions"] for m in phone.model.received if "instructions" in m.get("response", {})]
    assert sum(WARNING.text in each for each in asked) == 1


@pytest.mark.parametrize("peak", [60, 250])
def test_comfort_noise_keeps_no_call_open(make_phone: Callable[..., Phone], peak: int) -> None:
    phone = make_phone(changed(PLAN, idle_gaps_ms=(3_000,) * 3, fillers=()))
    phone.frames += hiss(40_000, peak)
    phone.after(25_000)
    assert agent(phone)[1:3] == ["Are you there", "Are you there"]
    assert phone.hung_up == HangUp("idle")
    assert agent(phone)[-1] == "Goodbye then"


def test_audio_that_stops_in_the_middle_of_a_word_freezes_no_call(make_phone: Callable[..., Phone]) -> None:
    """The model has heard a turn begin and never hears it end."""
    phone = make_phone(changed(PLAN, idle_gaps_ms=(3_000,) * 3, open_turn_ms=4_000), deaf=True)
    phone.after(3_000)
    phone.model.emit("input_audio_buffer.speech_started", event_id="event_x", audio_start_ms=2_000, item_id="user_1")
    phone.after(40_000)
    assert phone.hung_up == HangUp("idle")
    assert agent(phone)[-1] == "Goodbye then"


def test_a_silence_that_has_its_own_end() -> None:
    idle_timer = IdleTimer((80, 40), 10_000)
    assert [(now, due) for now in range(0, 125, 10) if (due := idle_timer.due(now))] == [
        (80, Due.PROMPT),
        (120, Due.CLOSE_IDLE),
    ]
    mute = IdleTimer((50,), 10_000)
    assert [(now, due) for now in range(0, 60, 10) if (due := mute.due(now))] == [(50, Due.CLOSE_IDLE)]


def test_the_warning_waits_for_quiet_and_comes_once() -> None:
    idle_timer = IdleTimer((10_000,), 100, warning_ms=40)
    assert [idle_timer.due(now, quiet=now >= 80) for now in (50, 60, 70, 80, 90, 100)] == [
        None,
        None,
        None,
        Due.WARN,
        None,
        Due.CLOSE_TOO_LONG,
    ]


@pytest.mark.parametrize(("pressed", "heard"), [("12#", "12"), ("12", "12"), ("#", "#"), ("*9#", "*9"), ("1#2", "1#2")])
def test_the_model_is_told_what_was_meant(pressed: str, heard: str) -> None:
    assert entry_text(pressed) == f"Caller entered {heard} on the keypad"


def test_an_entry_is_complete_after_a_pause_that_the_plan_sets(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(changed(BARE, digits_pause_ms=400))
    phone.after(1_000)
    phone.carrier.dtmf("1")
    phone.after(300)
    phone.carrier.dtmf("2")
    phone.after(200)
    phone.after(600)
    phone.carrier.dtmf("3")
    phone.after(900)
    assert [each.digits for each in phone.told(Digits)] == ["1", "12", "3"]
