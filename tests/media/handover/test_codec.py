"""A call that was moved goes on exactly as the one that was not."""

import gc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import webrtcvad
from hypothesis import given
from hypothesis import strategies as st

from media.core.commands import Instruct, Say, SwitchFlow, Watch
from media.core.legmessages import Audio, Digit, HangUp, Mark, Started
from media.core.mailbox import Mailbox
from media.core.modelmessages import Tool, TurnModel
from media.core.plans import CallPlan, PauseRules, Prompt, PromptKind
from media.handover import codec
from media.handover.codec import NotMovable, pack, unpack
from media.io.silero import Silero
from media.recorder import INLINE
from tests.support.examples import sample
from tests.support.plans import call_plan, changed, mailbox_plan
from tests.support.simulation import Phone, World, calls

PROMPTS: dict[PromptKind, Prompt | tuple[Prompt, ...]] = {
    PromptKind.GREETING: Prompt("Good morning, how may I help?", b"\x21" * 8_000),
    PromptKind.FILLER: (Prompt("One moment.", b"\x22" * 4_000),),
    PromptKind.HOLD: Prompt("Please hold.", b"\x23" * 6_000),
    PromptKind.GOODBYE: Prompt("Goodbye.", b"\x24" * 4_000),
}
TOOL = Tool("stock", "Look something up.", '{"type":"object"}', 2_000)
SILERO = Silero.load()


def plan(**changes: Any) -> CallPlan:
    prompts = {kind: prompt for kind, prompt in PROMPTS.items() if not isinstance(prompt, tuple)}
    rules = PauseRules(on_keys=True, phrases=("card number",))
    bare = call_plan(
        "Be kind.", TurnModel("gpt-realtime", "marin", "whisper"), prompts=prompts, tools=(TOOL,), recording=True
    )
    return changed(bare, pauses=rules, **changes)


def renewed(phone: Phone) -> None:
    """What does not travel: the first detector's noise model begins anew."""
    phone.talk._floor.vad._webrtc = webrtcvad.Vad(2)


def moved(phone: Phone) -> None:
    phone.talk = unpack(pack(phone.talk), SILERO.network, INLINE)


def script(phone: Phone, seed: int) -> None:
    """A call in which something of everything happens."""
    world, at = phone.world, phone.world.now

    def do(ms: int, act: Callable[..., Any]) -> None:
        world.at(at + ms, act)

    def command(each: Any) -> None:
        phone.carry(phone.talk.command(each, world.now))

    do(50, lambda: command(Watch(60_000)))
    do(2_500 + 40 * seed, lambda: phone.speak(900))
    do(5_000, lambda: phone.speak(700, seed))  # over the agent
    do(6_500, lambda: phone.speak(200, seed))  # a nod
    do(8_000, lambda: phone.carrier.dtmf("5"))
    do(9_000, lambda: phone.model.player.turns.append(calls("stock")))
    do(9_100, lambda: phone.speak(500, seed))
    do(11_500, lambda: phone.carry(phone.talk.tool_result(_running(phone), '{"left":3}', "ok", world.now)))
    do(12_000, lambda: command(Instruct("i1", "Offer a discount.", "Ann")))
    do(13_000, lambda: command(Say("s1", "The shop closes soon.", "Ann")))
    do(14_000, lambda: phone.lose())
    do(14_200, lambda: phone.speak(800, seed))
    do(17_000, lambda: command(SwitchFlow(changed(plan(), instructions="You are the back desk."), "flow_2", 3, "w1")))
    do(19_000, lambda: phone.speak(600, seed))


def _running(phone: Phone) -> str:
    return next(iter(phone.talk._model.tools.agent_tools._running), "none")


def run(cuts: Sequence[int], act: Callable[..., Any], seed: int, until: float = 22_000.0) -> Phone:
    phone = Phone(World(), plan(), 40, 8, seed, SILERO.detector())
    script(phone, seed)
    begun = phone.world.now
    for cut in sorted(cuts):
        phone.world.run(begun + cut)
        act(phone)
    phone.world.run(begun + until)
    return phone


@pytest.mark.fuzz
@given(st.lists(st.integers(0, 21_900), min_size=1, max_size=4), st.integers(1, 9))
def test_a_moved_call_acts_as_the_one_that_stayed(cuts: list[int], seed: int) -> None:
    same(cuts, seed)


@pytest.mark.sampled
def test_a_call_that_moves_often_acts_as_the_one_that_stayed() -> None:
    same(sample(range(100, 21_900, 700), 2), 3)


def same(cuts: Sequence[int], seed: int) -> None:
    stayed, left = run(cuts, renewed, seed), run(cuts, moved, seed)
    assert len(stayed.actions) > 500
    assert msgspec.json.encode([repr(each) for each in left.actions]) == msgspec.json.encode(
        [repr(each) for each in stayed.actions]
    )
    assert left.model.received == stayed.model.received


def test_a_state_is_small_and_holds_each_object_once() -> None:
    phone = run([], renewed, 3, until=12_000)
    state = pack(phone.talk)
    assert len(state) < 200_000
    back = unpack(state, SILERO.network, INLINE)
    assert back._voice._clock is back._clock is back._model.input_audio._clock
    assert back._model._emit.__self__ is back._model.tools.recording_pauses
    assert back._floor.vad._onset_detector._sound._confirm._network is SILERO.network


def test_a_mailbox_moves_as_well() -> None:
    box = Mailbox(mailbox_plan(openings=(Prompt("Leave a message.", b"\x21" * 800),)))
    twin = unpack(pack(box), None, INLINE)
    heard: list[tuple[Started | Audio, float]] = [(Started("MZ1", "CA1"), 1.0)]
    heard += [(Audio(b"\xff" * 160, n * 20), 20.0 * n) for n in range(80)]
    for each, now_ms in heard:
        assert box.from_leg(each, now_ms) == twin.from_leg(each, now_ms)
        assert box.tick(now_ms) == twin.tick(now_ms)
        twin = unpack(pack(twin), None, INLINE)
    assert box.from_leg(Mark(1), 1_700.0) == twin.from_leg(Mark(1), 1_700.0)
    assert box.from_leg(Digit("#"), 1_800.0) == twin.from_leg(Digit("#"), 1_800.0)
    assert box.leg_gone(1_900.0, HangUp("caller")) == twin.leg_gone(1_900.0, HangUp("caller"))


def test_a_path_has_the_same_name_for_each_python() -> None:
    state = pack({"file": Path("/a/b")})
    assert b"pathlib" not in state  # whose parts have other names from 3.13 on
    assert unpack(state, None, INLINE) == {"file": Path("/a/b")}


@pytest.mark.parametrize("foreign", [memoryview(b""), lambda: None, gc.collect, codec.pack], ids=range(4))
def test_what_is_no_state_does_not_travel(foreign: Callable[..., Any] | memoryview) -> None:
    with pytest.raises(NotMovable):
        unpack(pack({"state": foreign}), None, INLINE)


def test_a_state_of_other_code_is_not_understood() -> None:
    state = pack(Mailbox(mailbox_plan()))
    with pytest.raises(NotMovable):
        unpack(state.replace(b"Mailbox", b"Postbox"), None, INLINE)
    with pytest.raises(NotMovable):
        unpack(state[:-20], None, INLINE)
    with pytest.raises(NotMovable, match="no part of a call's state"):
        unpack(b"cos\nsystem\n.", None, INLINE)
    with pytest.raises(NotMovable, match="vad_confirm"):
        unpack(pack(SILERO.detector()), None, INLINE)
