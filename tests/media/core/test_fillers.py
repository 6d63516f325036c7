"""A caller who waits hears one filler and then the answer: dialogues in virtual time."""

from collections.abc import Callable
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from media.core.fillers import Fillers
from media.core.legmessages import HangUp, Play
from media.core.modelmessages import Tool, TurnModel
from media.core.plans import CallPlan, Prompt, PromptKind
from media.core.types import BargedIn, LatencyMeasured, RecordAgent, RunTool, ToolCalled, TurnEnded
from sandbox.openai import FunctionCall, Turn
from tests.support.examples import sample
from tests.support.plans import call_plan, changed
from tests.support.simulation import Phone, calls

LOOK, WAIT = bytes(range(1, 101)) * 80, bytes(range(101, 201)) * 80  # 1 s each
TOOLS = (Tool("look_up", "", "{}", 20_000), Tool("end_call", "", "{}", outcome=HangUp("agent")))
BARE = call_plan("Be kind.", TurnModel("gpt-realtime", "marin", "whisper"), tools=TOOLS)
PLAN = changed(BARE, fillers=(Prompt("Let me look that up", LOOK), Prompt("One second please", WAIT)))


@pytest.fixture
def make_slow(make_phone: Callable[..., Phone]) -> Callable[..., Phone]:
    """A phone whose model opens the answer's item at once, but says nothing for `slow_ms` after the request."""

    def make(plan: CallPlan = PLAN, slow_ms: int = 2_000, **model: Any) -> Phone:
        phone = make_phone(plan, **model)
        phone.model.faults.stall_after_chunks, phone.model.faults.stall_ms = 0, slow_ms
        phone.after(1_000)
        return phone

    return make


def turns(phone: Phone) -> list[tuple[str, str]]:
    return [(turn.role, turn.heard_text) for turn in phone.told(TurnEnded)]


def heard(phone: Phone) -> bytes:
    return phone.carrier.heard(phone.world.now)


def begins(phone: Phone) -> list[float]:
    """When the caller begins to hear something after silence, counted from the end of the first turn."""
    starts, ends = [], 0.0
    for begun, audio in phone.carrier.played:
        if begun - ends > 1:
            starts.append(begun)
        ends = begun + len(audio) / 8
    return starts


def answers(phone: Phone) -> bytes:
    return b"".join(phone.model.items.values())


def test_a_slow_answer_follows_a_filler(make_slow: Callable[..., Phone]) -> None:
    phone = make_slow()
    phone.speak(600)
    ended = phone.world.now + 600
    phone.after(9_000)
    assert heard(phone) == LOOK + answers(phone)
    first, _ = begins(phone)
    assert 740 <= first - ended <= 860  # and 40 ms of network each way
    assert turns(phone)[:2] == [("caller", "text of user_1"), ("agent", "Let me look that up")]
    assert [role for role, _ in turns(phone)] == ["caller", "agent", "agent"]
    (latency,) = phone.told(LatencyMeasured)
    assert latency.turn_seq == 3
    assert latency.first_sound_ms == pytest.approx(800, abs=60)
    assert latency.total_ms > 2_400
    assert phone.model.types().count("response.create") == 1
    assert phone.model.violations == []


def test_the_model_is_told_where_the_filler_was_said(make_slow: Callable[..., Phone]) -> None:
    phone = make_slow()
    phone.speak(600)
    phone.after(9_000)
    (told,) = (each for each in phone.model.received if each["type"] == "conversation.item.create")
    assert told["previous_item_id"] == "item_1"
    assert told["item"]["content"][0]["text"] == "Let me look that up"


def test_an_answer_that_comes_during_the_filler_follows_it_without_a_gap(make_slow: Callable[..., Phone]) -> None:
    phone = make_slow(slow_ms=700)
    phone.speak(600)
    phone.after(7_000)
    assert heard(phone) == LOOK + answers(phone)
    assert len(begins(phone)) == 1
    (latency,) = phone.told(LatencyMeasured)
    assert latency.ours_ms <= 2, "the rest of the filler does not count as our latency"
    assert latency.total_ms - latency.first_sound_ms == pytest.approx(1_000, abs=2)


@pytest.mark.parametrize("plan", [PLAN, BARE])
def test_a_quick_answer_and_a_flow_without_fillers_have_none(make_slow: Callable[..., Phone], plan: CallPlan) -> None:
    phone = make_slow(plan, slow_ms=0 if plan.silences.fillers else 3_000)
    phone.speak(600)
    phone.after(9_000)
    assert heard(phone) == answers(phone)
    assert [role for role, _ in turns(phone)] == ["caller", "agent"]


def test_an_answer_that_falters_is_not_filled(make_slow: Callable[..., Phone]) -> None:
    phone = make_slow(slow_ms=0)
    phone.model.faults.stall_after_chunks, phone.model.faults.stall_ms = 5, 3_000
    phone.model.voice.answer_ms = 2_000
    phone.speak(600)
    phone.after(9_000)
    assert heard(phone) == answers(phone)
    assert len(begins(phone)) == 2


def test_turns_have_different_fillers_and_each_only_one(make_slow: Callable[..., Phone]) -> None:
    phone = make_slow(slow_ms=4_000, answer_ms=500)
    for seed in range(3):
        phone.speak(600, seed=seed)
        phone.after(8_000)
    first, second, third = phone.model.items.values()
    assert heard(phone) == LOOK + first + WAIT + second + LOOK + third
    assert phone.model.violations == []


def test_who_speaks_on_is_not_spoken_over(make_slow: Callable[..., Phone]) -> None:
    phone = make_slow(slow_ms=10_000)
    phone.speak(600)
    phone.after(900)  # the turn was taken, and they go on
    phone.speak(2_000, seed=4)
    phone.after(2_000)
    assert heard(phone) == b""
    phone.after(2_500)
    assert heard(phone) == LOOK


def test_a_sentence_over_a_filler_takes_the_floor(make_slow: Callable[..., Phone]) -> None:
    phone = make_slow(slow_ms=5_000)
    phone.speak(600)
    phone.after(600 + 1_200)
    phone.speak(900, seed=4)
    phone.after(3_000)
    (barged,) = phone.told(BargedIn)
    assert barged.verdict == "cut"
    cut = phone.told(TurnEnded)[1]
    assert cut.interrupted
    assert 0 < len(cut.heard_text) < len("Let me look that up")
    assert phone.model.types().count("response.cancel") == 1
    assert "conversation.item.truncate" not in phone.model.types()
    phone.after(9_000)
    assert heard(phone).endswith(WAIT + list(phone.model.items.values())[-1])
    assert phone.model.types().count("response.create") == 2
    assert phone.model.violations == []


@pytest.mark.parametrize("tool", [False, True])
def test_a_nod_over_a_filler_is_taken_back(make_slow: Callable[..., Phone], tool: bool) -> None:
    phone = make_slow(slow_ms=2_500)
    phone.model.player.turns = [calls("look_up")] if tool else []
    phone.speak(600)
    phone.after(600 + 1_000)
    phone.speak(180, seed=4)
    phone.after(1_500)
    assert heard(phone) == LOOK
    for _, action in phone.actions:
        if isinstance(action, RunTool):
            phone.carry(phone.talk.tool_result(action.tool_call_id, "{}", "ok", phone.world.now))
            break
    phone.after(8_000)
    assert [each.verdict for each in phone.told(BargedIn)] == ["resumed"]
    assert heard(phone) == LOOK + answers(phone)
    assert phone.model.types().count("response.create") == 1 + tool
    assert phone.model.violations == []


def test_a_tool_that_returns_during_the_filler_is_answered_at_once(make_slow: Callable[..., Phone]) -> None:
    phone = make_slow(slow_ms=0)
    phone.model.player.turns = [calls("look_up")]
    phone.speak(600)
    phone.after(600 + 1_000)
    (run,) = (action for _, action in phone.actions if isinstance(action, RunTool))
    phone.carry(phone.talk.tool_result(run.tool_call_id, "{}", "ok", phone.world.now))
    phone.after(6_000)
    assert heard(phone) == LOOK + answers(phone)
    assert len(begins(phone)) == 1


def test_a_tool_after_some_words_is_waited_for_from_their_end(make_slow: Callable[..., Phone]) -> None:
    phone = make_slow(slow_ms=0, answer_ms=2_000)
    phone.model.player.turns = [Turn(say="words", call=FunctionCall("look_up"))]
    phone.speak(600)
    phone.after(600 + 3_900)
    assert len(phone.told(ToolCalled)) == 1
    assert heard(phone) == answers(phone) + LOOK[: len(heard(phone)) - 16_000]
    words, filler = begins(phone)
    assert filler - words == pytest.approx(2_000 + 750 + 40, abs=60)


def test_the_tick_is_wanted_when_the_filler_is_due(make_slow: Callable[..., Phone]) -> None:
    phone = make_slow(slow_ms=5_000)
    phone.speak(600)
    phone.after(600 + 700)
    due_ms = phone.talk.due_ms
    phone.after(500)
    begun = begins(phone)[0] - 40  # the delay to the carrier
    assert due_ms <= begun < due_ms + 20, "it began with the tick at which it was due"


def test_keys_are_waited_for_like_words(make_slow: Callable[..., Phone]) -> None:
    phone = make_slow()
    phone.speak(600)
    phone.after(8_000)
    before = heard(phone)
    phone.carrier.dtmf("1")
    phone.after(1_500 + 600)
    assert heard(phone) == before
    phone.after(6_000)
    assert heard(phone) == before + WAIT + list(phone.model.items.values())[-1]


def test_an_end_without_words_is_a_goodbye_though_a_filler_plays(make_slow: Callable[..., Phone]) -> None:
    phone = make_slow(changed(PLAN, prompts={PromptKind.GOODBYE: Prompt("Bye", bytes(800))}))
    phone.model.player.turns = [calls("end_call", latency_ms=950)]
    phone.speak(600)
    phone.after(5_000)
    assert heard(phone) == LOOK + bytes(800)
    assert phone.hung_up is not None


@pytest.mark.sampled
@pytest.mark.parametrize("seed", sample(range(8), 4))
def test_nods_and_sentences_over_fillers_on_a_bad_line(make_slow: Callable[..., Phone], seed: int) -> None:
    """No protocol violation, nothing is said twice or out of turn, and the recording is what was heard."""
    random = Random(seed)
    line = {"delay": random.uniform(0, 150), "jitter": random.uniform(0, 40), "seed": seed}
    slow_ms = random.choice([600, 1_200, 3_000])
    phone = make_slow(changed(PLAN, recording=True), slow_ms, answer_ms=random.choice([600, 4_000]), **line)
    for n in range(14):
        phone.after(random.uniform(300, 3_000))
        phone.speak(random.choice([60, 160, 200, 700, 1_500]), seed=n)
    phone.after(14_000)
    recorded = sum(len(action.payload) for _, action in phone.actions if isinstance(action, RecordAgent))
    clears = [event for _, event in phone.carrier.log].count("clear")
    assert abs(recorded - phone.carrier.heard_bytes(phone.world.now)) / 8 <= 25 * (clears + 1)
    assert phone.model.violations == []
    said = [turn.text for turn in phone.told(TurnEnded) if turn.role == "agent"]
    fillers = [text for text in said if not text.startswith("word")]
    assert fillers
    begun = [action.audio[:50] for _, action in phone.actions if isinstance(action, Play)]
    begun = [first for first in begun if first in (LOOK[:50], WAIT[:50])]  # a resumed one begins elsewhere
    assert all(one != other for one, other in pairwise(begun)), "they take turns, those too of which no word was heard"
    assert len(fillers) <= phone.talk._model.caller_turns
    assert phone.model.types().count("response.create") >= len(said) - len(fillers)


def test_silence_is_counted_from_what_was_heard_last() -> None:
    fillers = Fillers(700, 2_000)
    assert fillers.filler_due_ms(0, 100) == float("inf")
    assert fillers.filler_due_ms(1, 1_000) == 1_700
    fillers.restart(1_500)
    fillers.restart(1_400)
    assert fillers.filler_due_ms(1, 1_000) == 2_200
    fillers.filler_queued()
    assert fillers.filler_due_ms(1, 1_000) == float("inf")
    assert fillers.filler_due_ms(2, 5_000) == 5_700


def test_the_hold_phrase_comes_later_the_second_time() -> None:
    fillers = Fillers(float("inf"), 2_000)
    assert fillers.hold_due_ms(1_000) == 3_000
    fillers.hold_queued()
    fillers.restart(4_200)  # its end
    assert fillers.hold_due_ms(1_000) == 8_200
    fillers.end()
    assert fillers.hold_due_ms(10_000) == 12_000
