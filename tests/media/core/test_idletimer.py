from collections.abc import Callable

from media.core.idletimer import Due, IdleTimer
from media.core.legmessages import HangUp
from media.core.plans import Prompt
from media.core.types import TurnEnded
from tests.media.core.plans import PLAN
from tests.support.plans import changed
from tests.support.simulation import Phone


def test_a_silent_caller_is_prompted_then_let_go() -> None:
    idle_timer = IdleTimer((100, 100, 100), 10_000)
    told = [(now, due) for now in range(0, 500, 10) if (due := idle_timer.due(now))]
    assert told == [(100, Due.PROMPT), (200, Due.PROMPT), (300, Due.CLOSE_IDLE), (400, Due.CLOSE_IDLE)]


def test_signs_of_life_start_it_over() -> None:
    idle_timer = IdleTimer((100, 100), 500)
    assert idle_timer.due(100) is Due.PROMPT
    idle_timer.caller_acts(150)
    idle_timer.agent_speaks(200)
    assert idle_timer.due(299) is None
    assert idle_timer.due(300) is Due.PROMPT
    assert idle_timer.due(500) is Due.CLOSE_TOO_LONG


def test_each_prompt_has_its_own_time() -> None:
    idle_timer = IdleTimer((80, 40, 200, 80), 10_000)
    told = [(now, due) for now in range(0, 410, 10) if (due := idle_timer.due(now))]
    assert told == [(80, Due.PROMPT), (120, Due.PROMPT), (320, Due.PROMPT), (400, Due.CLOSE_IDLE)]
    idle_timer.caller_acts(410)
    assert idle_timer.due(480) is None and idle_timer.due(490) is Due.PROMPT


def test_a_silent_caller_is_asked_twice_and_then_let_go(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(changed(PLAN, idle_gaps_ms=(2_000,) * 3))
    phone.after(12_000)
    assert [text for _, text in phone.heard_texts()][1:] == ["Are you there", "Are you there", "Goodbye then"]
    assert phone.hung_up == HangUp("idle")


def test_each_idle_prompt_is_said_in_its_own_words(make_phone: Callable[..., Phone]) -> None:
    texts, gaps = ("Are you there", "Shall I call back later", "Goodbye then"), (2_000, 4_000, 2_000, 2_000)
    prompts = (Prompt(texts[0], bytes(800)), Prompt(texts[1]), Prompt(texts[2]))
    phone = make_phone(changed(PLAN, idle_prompts=prompts, idle_gaps_ms=gaps))
    phone.after(60_000)
    asked = [
        m["response"]["instructions"]
        for m in phone.model.received
        if m["type"] == "response.create" and "response" in m
    ]
    assert [text for each in asked for text in texts if each.endswith(text)] == list(texts[1:])  # the first has audio
    assert any(turn.text == texts[0] for turn in phone.told(TurnEnded))
    assert phone.hung_up == HangUp("idle")


def test_a_caller_who_talks_for_long_is_not_asked_whether_they_are_there(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(changed(PLAN, idle_gaps_ms=(2_000,) * 3))
    phone.after(3_000)
    phone.speak(6_000)
    phone.after(6_000)
    assert len(phone.heard_texts()) == 1
