"""The last words of ours are heard, once, whoever is speaking when the call is to end."""

from collections.abc import Callable

import pytest

from media.core.commands import EndCall, LeaveStream
from media.core.legmessages import HangUp, MoveOn
from media.core.plans import CallPlan, Prompt, PromptKind
from media.core.types import BargedIn
from tests.media.core.test_model_faults import PLAN, SORRY
from tests.support.plans import changed
from tests.support.simulation import Phone

GOODBYE = bytes(range(50, 150)) * 40  # 500 ms
PROMPTS = {**PLAN.prompts, PromptKind.GOODBYE: Prompt("Goodbye", GOODBYE)}
LEAVES = changed(PLAN, prompts=PROMPTS)


def heard(phone: Phone) -> bytes:
    return phone.carrier.heard(phone.world.now)


@pytest.fixture
def interrupting(make_phone: Callable[..., Phone]) -> Callable[..., Phone]:
    """The caller has just begun to speak over the agent; or goes on, and it is settled that the agent stops (`cutting`)."""

    def begun(plan: CallPlan = LEAVES, *, cutting: bool = False, ms: int = 1_200) -> Phone:
        phone = make_phone(plan, answer_ms=6_000)
        phone.after(2_000)
        phone.speak(600)
        phone.after(3_500)
        assert phone.talk._voice.playout.audible(phone.world.now), "the agent is speaking"
        phone.carrier.echoes_marks = not cutting  # without an echo, it takes longer to know what was heard
        phone.speak(ms, seed=5)
        waited = 0
        while phone.talk._floor.settled or (cutting and phone.talk._floor._phase.name != "CUTTING"):
            phone.after(5)
            assert (waited := waited + 5) < 2_000
        return phone

    return begun


@pytest.mark.parametrize("cutting", [False, True])
def test_a_goodbye_during_an_interruption_is_said_after_it(interrupting: Callable[..., Phone], cutting: bool) -> None:
    phone = interrupting(cutting=cutting)
    phone.carry(phone.talk.command(EndCall("closed", spoken=True), phone.world.now))
    phone.after(5_000)
    assert [each.verdict for each in phone.told(BargedIn)] == ["cut"]
    assert phone.hung_up == HangUp("closed")
    assert heard(phone).endswith(GOODBYE)


def test_an_interruption_that_was_none_changes_nothing(interrupting: Callable[..., Phone]) -> None:
    phone = interrupting(ms=160)
    phone.carry(phone.talk.command(EndCall("closed", spoken=True), phone.world.now))
    phone.after(9_000)
    assert [each.verdict for each in phone.told(BargedIn)] == ["resumed"]
    assert phone.hung_up == HangUp("closed")
    assert heard(phone).endswith(list(phone.model.items.values())[-1] + GOODBYE), "both, whole and in order"


def test_a_lost_model_is_apologized_for_after_an_interruption(interrupting: Callable[..., Phone]) -> None:
    phone = interrupting()
    phone.lose("model_refused")
    phone.after(5_000)
    assert phone.hung_up == HangUp("model_refused")
    assert heard(phone).endswith(SORRY)


def test_a_call_that_lasts_too_long_says_so_after_an_interruption(interrupting: Callable[..., Phone]) -> None:
    phone = interrupting(changed(LEAVES, max_call_ms=5_680))
    phone.after(150)
    assert phone.talk._ending.closing and not phone.talk._floor.settled
    phone.after(6_000)
    assert phone.hung_up == HangUp("max_duration")
    assert heard(phone).endswith(GOODBYE)


def test_goodbye_is_said_once_however_often_the_call_is_to_end(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(LEAVES)
    phone.after(3_000)
    before = len(heard(phone))
    for reason in ("closed", "again"):
        phone.carry(phone.talk.command(EndCall(reason, spoken=True), phone.world.now))
        phone.after(100)
    phone.carry(phone.talk.command(LeaveStream(MoveOn("transfer"), "c1"), phone.world.now))
    phone.after(4_000)
    assert phone.hung_up == HangUp("closed")
    assert heard(phone)[before:] == GOODBYE
