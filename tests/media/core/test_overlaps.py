"""Callers who speak over the agent, in whole calls: who has the floor, and what was heard."""

from collections.abc import Callable
from random import Random

import pytest

from media.core.legmessages import HangUp
from media.core.types import BargedIn, RecordAgent, TurnEnded
from tests.media.core.plans import BARE, PLAN
from tests.support.examples import sample
from tests.support.plans import changed
from tests.support.simulation import Phone


@pytest.mark.parametrize("delay", [0, 40, 150])
def test_a_sentence_over_the_agent_cuts_it_where_the_caller_stopped_hearing(
    make_phone: Callable[..., Phone], delay: int
) -> None:
    phone = make_phone(BARE, delay=delay, answer_ms=8_000)
    phone.after(1_000)
    phone.speak(600)
    phone.after(3_000)
    phone.speak(1_000)
    phone.after(2_000)
    barged = phone.told(BargedIn)[0]
    assert barged.verdict == "cut" and 40 <= barged.clear_reaction_ms <= 60
    assert (barged.onset, barged.reason) == ("webrtcvad", "kept_speaking")
    assert barged.spoken_ms == 360 and barged.decided_ms == barged.at_ms + 300  # 60 ms of it were before the onset
    truncate = next(m for m in phone.model.received if m["type"] == "conversation.item.truncate")
    cleared = next(when for when, event in phone.carrier.log if event == "clear")
    assert abs(truncate["audio_end_ms"] - phone.carrier.heard_bytes(cleared) / 8) <= 1
    assert truncate["audio_end_ms"] == barged.heard_ms
    assert "response.cancel" in phone.model.types()
    phone.after(10_000)
    cut = phone.told(TurnEnded)[1]
    assert cut.interrupted and cut.heard_text == cut.text[: len(cut.heard_text)] and cut.heard_text != cut.text
    assert abs(len(cut.heard_text.split()) - barged.heard_ms / 100) <= 2
    assert [t.role for t in phone.told(TurnEnded)] == ["caller", "agent", "caller", "agent"]
    assert phone.model.types().count("response.create") == 2
    assert phone.model.violations == []


def test_a_noise_before_the_voice_is_in_no_reaction(make_phone: Callable[..., Phone]) -> None:
    probability = [0.0]
    phone = make_phone(BARE, answer_ms=8_000, confirm=lambda *_: probability[0])
    phone.after(1_000)
    phone.speak(600)
    phone.after(3_000)
    phone.speak(4_000)  # webrtcvad takes it for a voice, the detector does not
    phone.after(3_000)
    assert phone.told(BargedIn) == []
    probability[0] = 0.99
    phone.after(8_000)
    assert phone.told(BargedIn)[0].clear_reaction_ms <= 1_100


@pytest.mark.parametrize("delay", [0, 40, 150])
def test_a_nod_is_taken_back_and_no_word_is_lost(make_phone: Callable[..., Phone], delay: int) -> None:
    phone = make_phone(BARE, delay=delay, answer_ms=5_000)
    phone.after(1_000)
    phone.speak(600)
    phone.after(2_500)
    phone.speak(180)
    phone.after(8_000)
    (nod,) = phone.told(BargedIn)
    assert (nod.verdict, nod.reason) == ("resumed", "fell_silent")
    assert 160 <= nod.spoken_ms <= 200 and nod.decided_ms > nod.at_ms + 200
    (answer,) = phone.model.items.values()
    assert phone.carrier.heard(phone.world.now) == answer
    assert phone.model.types().count("response.create") == 1
    turn = phone.told(TurnEnded)[1]
    assert not turn.interrupted
    assert phone.told(BargedIn)[0].turn_seq == turn.seq == 2
    assert phone.model.violations == []


def test_a_nod_in_the_last_second_is_a_reply(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(BARE, delay=20, answer_ms=3_000)
    phone.after(1_000)
    phone.speak(600)
    phone.after(600 + 300 + 250 + 2_400)
    phone.speak(160)
    phone.after(4_000)
    assert [b.verdict for b in phone.told(BargedIn)] == ["resumed"]
    assert phone.model.types().count("response.create") == 2
    assert phone.model.violations == []


def test_frames_that_stop_coming_release_the_floor(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(BARE, answer_ms=8_000)
    phone.after(1_000)
    phone.speak(600)
    phone.after(3_000)
    phone.speak(160)
    phone.after(200)
    phone.carrier.frame = lambda *_: None  # type: ignore[method-assign]
    phone.after(7_000)  # reported when the answer is over
    assert [b.verdict for b in phone.told(BargedIn)] == ["resumed"]


@pytest.mark.sampled
@pytest.mark.parametrize("seed", sample(range(12), 4))
def test_a_lively_call_over_a_bad_line_keeps_its_books(make_phone: Callable[..., Phone], seed: int) -> None:
    """Random nods and sentences over the agent; no protocol violation, and the recording is what was heard."""
    random = Random(seed)
    plan = changed(PLAN, recording=True)
    phone = make_phone(
        plan, random.uniform(0, 150), random.uniform(0, 40), seed, answer_ms=random.choice([2_000, 9_000])
    )
    for n in range(14):
        phone.after(random.uniform(500, 4_000))
        phone.speak(random.choice([60, 160, 200, 700, 1_500]), seed=n)
    phone.after(14_000)
    recorded = sum(len(action.payload) for _, action in phone.actions if isinstance(action, RecordAgent))
    heard = phone.carrier.heard_bytes(phone.world.now)
    phone.carrier.stop()
    phone.after(1_000)
    assert phone.model.violations == []
    turns = phone.told(TurnEnded)
    assert [turn.seq for turn in turns] == list(range(1, len(turns) + 1))
    assert {turn.role for turn in turns} == {"caller", "agent"}
    clears = [event for _, event in phone.carrier.log].count("clear")
    assert clears >= 2
    assert abs(recorded - heard) / 8 <= 25 * (clears + 1)


@pytest.mark.parametrize(
    ("speech_ms", "after_ms", "verdict"),
    [(1_000, 60, "cut"), (1_000, 450, "cut"), (180, 450, "resumed")],  # no verdict yet; not settled, either way
)
def test_an_interruption_just_before_the_hang_up_is_reported(
    make_phone: Callable[..., Phone], speech_ms: int, after_ms: int, verdict: str
) -> None:
    phone = make_phone(BARE, delay=60, answer_ms=8_000)
    phone.after(1_000)
    phone.speak(600)
    phone.after(3_000)
    phone.carrier.echoes_marks = False  # it no longer shows where its queue was emptied
    phone.speak(speech_ms)
    while "clear" not in [event for _, event in phone.carrier.log]:
        phone.after(20)
    phone.after(after_ms)
    assert phone.told(BargedIn) == []
    phone.carrier.stop()
    phone.after(200)
    assert phone.hung_up == HangUp("caller")
    (overlap,) = phone.told(BargedIn)
    turn = next(each for each in phone.told(TurnEnded) if each.interrupted)
    assert (overlap.verdict, overlap.turn_seq) == (verdict, turn.seq)
    assert abs(overlap.heard_ms - phone.carrier.heard_bytes(phone.world.now) / 8) <= 20
