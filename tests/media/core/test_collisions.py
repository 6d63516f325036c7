"""The agent does not speak into the caller: what they say meanwhile is heard first, and what was begun is as if unsaid."""

from collections.abc import Callable

import pytest

from media.core.legmessages import HangUp
from media.core.modelmessages import Tool, TurnModel
from media.core.plans import Prompt, PromptKind
from media.core.types import BargedIn, RunTool, TurnEnded
from sandbox.openai import Turn
from tests.support.examples import sample
from tests.support.plans import call_plan, changed
from tests.support.simulation import Phone, calls

BARE = call_plan("Be kind.", TurnModel("gpt-realtime", "marin", "whisper"))
GREETING = bytes(range(1, 251)) * 64  # 2 s
DELAY_MS = 40


def asked(phone: Phone) -> int:
    return phone.model.types().count("response.create")


def agent(phone: Phone) -> list[TurnEnded]:
    return [turn for turn in phone.told(TurnEnded) if turn.role == "agent"]


def answers_in(phone: Phone, ms: int, count: int = 4) -> None:
    phone.model.player.turns = [Turn(say="words", latency_ms=ms) for _ in range(count)]


def hears_one_answer(phone: Phone) -> None:
    """Nothing of a collision is left: one answer was heard, whole, after the caller's last words."""
    assert phone.told(BargedIn) == []
    assert [turn.role for turn in phone.told(TurnEnded)][-1] == "agent"
    (answer,) = agent(phone)
    assert answer.heard_text == answer.text and not answer.interrupted
    (audio,) = phone.model.items.values()
    assert phone.carrier.heard(phone.world.now).endswith(audio)
    assert phone.model.violations == []


@pytest.mark.sampled
@pytest.mark.parametrize("pause_ms", sample([400, 600, 800, 1_000, 1_150], 2))
@pytest.mark.parametrize("more_ms", [260, 700, 3_000])
def test_a_caller_who_goes_on_before_the_answer_is_answered_once(
    make_phone: Callable[..., Phone], pause_ms: int, more_ms: int
) -> None:
    phone = make_phone(BARE, DELAY_MS)
    answers_in(phone, 800)
    phone.after(1_000)
    phone.speak(900)
    phone.after(900 + pause_ms)  # the turn ends after 300 of them
    phone.speak(more_ms, seed=4)
    phone.after(more_ms)
    assert phone.carrier.heard_bytes(phone.world.now) < 8 * 200
    phone.after(7_000)
    hears_one_answer(phone)
    assert asked(phone) == 2 and len(phone.told(TurnEnded)) == 3


def test_nothing_is_asked_of_the_model_while_the_caller_speaks(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(changed(BARE, false_hear_ms=5_000), DELAY_MS, deaf=True)
    phone.after(1_000)
    phone.speak(1_700)
    phone.after(200)
    phone.model.turn_taken()  # what they said before; they have gone on already
    phone.after(1_500)
    assert asked(phone) == 0
    phone.after(7_000)
    assert asked(phone) == 1
    assert len(agent(phone)) == 1 and phone.told(BargedIn) == []


@pytest.mark.parametrize("spoke_ms", [-60, 0, 60, 120, 180])
def test_an_answer_that_had_just_begun_is_taken_back(make_phone: Callable[..., Phone], spoke_ms: int) -> None:
    phone = make_phone(BARE, DELAY_MS, answer_ms=3_000)
    answers_in(phone, 500)
    phone.after(1_000)
    phone.speak(600)
    while not phone.carrier.played:
        phone.after(1)
        if spoke_ms < 0 and len(phone.model.received) and asked(phone) and not phone.frames:
            break
    phone.after(max(0, spoke_ms))
    phone.speak(1_200, seed=4)
    phone.after(10_000)
    hears_one_answer(phone)
    assert asked(phone) == 2


def test_who_has_heard_an_answer_begin_interrupts_it(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(BARE, DELAY_MS, answer_ms=6_000)
    phone.after(1_000)
    phone.speak(600)
    while not phone.carrier.played:
        phone.after(1)
    phone.after(BARE.turns.unaware_ms + 300)
    phone.speak(1_200, seed=4)
    phone.after(10_000)
    assert [overlap.verdict for overlap in phone.told(BargedIn)] == ["cut"]
    assert [turn.interrupted for turn in agent(phone)] == [True, False]


def test_a_short_word_at_the_very_beginning_is_answered_and_the_old_answer_is_not_given(
    make_phone: Callable[..., Phone],
) -> None:
    phone = make_phone(BARE, DELAY_MS, answer_ms=4_000)
    phone.after(1_000)
    phone.speak(600)
    while not phone.carrier.played:
        phone.after(1)
    phone.speak(260, seed=4)  # "No."
    phone.after(10_000)
    hears_one_answer(phone)


def test_a_blip_that_nobody_else_hears_delays_an_answer_and_no_more(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(BARE, DELAY_MS, deaf=True)
    phone.after(1_000)
    phone.speak(5_000)
    phone.after(500)
    phone.model.turn_taken()
    began = phone.world.now
    while not phone.carrier.played:
        phone.after(20)
    assert phone.world.now - began <= BARE.turns.false_hear_ms + 500


def test_a_turn_that_the_model_never_ends_delays_an_answer_and_no_more(make_phone: Callable[..., Phone]) -> None:
    plan = changed(BARE, open_turn_ms=2_000)
    phone = make_phone(plan, DELAY_MS, deaf=True)
    phone.after(1_000)
    phone.model.turn_taken()
    phone.model.emit("input_audio_buffer.speech_started", item_id="stuck", audio_start_ms=100)
    began = phone.world.now
    while not phone.carrier.played:
        phone.after(20)
    assert 1_900 <= phone.world.now - began <= 2_600


def test_a_tools_result_is_told_when_the_caller_has_finished(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(changed(BARE, tools=(Tool("look_up", "", "{}", 20_000),)), DELAY_MS)
    phone.model.player.turns = [calls("look_up")]
    phone.after(1_000)
    phone.speak(600)
    phone.after(1_300)
    (run,) = (action for _, action in phone.actions if isinstance(action, RunTool))
    phone.speak(3_000, seed=4)
    phone.after(500)
    phone.carry(phone.talk.tool_result(run.tool_call_id, "{}", "ok", phone.world.now))
    phone.after(2_400)
    assert asked(phone) == 1
    phone.after(6_000)
    assert asked(phone) == 2 and len(agent(phone)) == 1 and phone.told(BargedIn) == []


def test_nobody_who_speaks_is_asked_whether_they_are_there(make_phone: Callable[..., Phone]) -> None:
    prompts = (Prompt("Are you there", bytes(1_600)),) * 2
    phone = make_phone(
        changed(BARE, idle_prompts=prompts, idle_gaps_ms=(2_000,) * 3, false_hear_ms=5_000), DELAY_MS, deaf=True
    )
    phone.after(1_000)
    phone.speak(3_000)
    phone.after(3_000)
    assert phone.carrier.played == []
    phone.after(3_000)
    assert agent(phone)[0].text == "Are you there"


def test_a_hello_at_the_same_moment_as_the_greeting_is_no_interruption(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(changed(BARE, prompts={PromptKind.GREETING: Prompt("Hello and welcome", GREETING)}), DELAY_MS)
    phone.speak(900)
    phone.after(9_000)
    assert phone.told(BargedIn) == []
    assert [(turn.role, turn.heard_text) for turn in phone.told(TurnEnded)] == [
        ("caller", "text of user_1"),
        ("agent", "Hello and welcome"),
    ]


def test_a_close_waits_for_nobody(make_phone: Callable[..., Phone]) -> None:
    plan = changed(BARE, prompts={PromptKind.GOODBYE: Prompt("Goodbye", bytes(1_600))}, max_call_ms=3_000)
    phone = make_phone(plan, DELAY_MS)
    phone.after(1_000)
    phone.speak(9_000)
    phone.after(3_500)
    assert phone.hung_up == HangUp("max_duration")
    assert [turn.text for turn in agent(phone)] == ["Goodbye"]
