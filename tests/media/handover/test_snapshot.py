"""A call that was moved goes on exactly as the one that was not."""

import gc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.core.legmessages import Audio, Digit, HangUp, Mark, Started
from media.core.mailbox import Mailbox
from media.core.plans import Prompt
from media.handover import snapshot
from media.handover.kinds import is_frozen, kinds
from media.handover.snapshot import NotMovable, pack, unpack
from tests.media.handover.simulated import ELSEWHERE, HERE, SILERO, acted, moved, renewed, run
from tests.support.examples import sample
from tests.support.plans import mailbox_plan


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
    assert acted(left) == acted(stayed)
    assert left.model.received == stayed.model.received


def test_a_state_is_small_and_holds_each_object_once() -> None:
    phone = run([], renewed, 3, until=12_000)
    state = pack(phone.talk)
    assert len(state) < 200_000
    back = unpack(state, HERE)
    assert back._voice._clock is back._clock is back._model.input_audio._clock
    assert back._model._emit.__self__ is back._model.tools.recording_pauses
    assert back._floor.vad._onset_detector._sound._confirm._network is SILERO.network


def test_a_mailbox_moves_as_well() -> None:
    box = Mailbox(mailbox_plan(openings=(Prompt("Leave a message.", b"\x21" * 800),)))
    twin = unpack(pack(box), ELSEWHERE)
    heard: list[tuple[Started | Audio, float]] = [(Started("MZ1", "CA1"), 1.0)]
    heard += [(Audio(b"\xff" * 160, n * 20), 20.0 * n) for n in range(80)]
    for each, now_ms in heard:
        assert box.from_leg(each, now_ms) == twin.from_leg(each, now_ms)
        assert box.tick(now_ms) == twin.tick(now_ms)
        twin = unpack(pack(twin), ELSEWHERE)
    assert box.from_leg(Mark(1), 1_700.0) == twin.from_leg(Mark(1), 1_700.0)
    assert box.from_leg(Digit("#"), 1_800.0) == twin.from_leg(Digit("#"), 1_800.0)
    assert box.leg_gone(1_900.0, HangUp("caller")) == twin.leg_gone(1_900.0, HangUp("caller"))


def test_a_path_has_the_same_name_for_each_python() -> None:
    state = pack({"file": Path("/a/b")})
    assert b"pathlib" not in state  # whose parts have other names from 3.13 on
    assert unpack(state, ELSEWHERE) == {"file": Path("/a/b")}


@pytest.mark.parametrize("foreign", [memoryview(b""), lambda: None, gc.collect, snapshot.pack], ids=range(4))
def test_what_is_no_state_does_not_travel(foreign: Callable[..., Any] | memoryview) -> None:
    with pytest.raises(NotMovable):
        unpack(pack({"state": foreign}), ELSEWHERE)


def test_a_state_of_other_code_is_not_understood() -> None:
    state = pack(Mailbox(mailbox_plan()))
    with pytest.raises(NotMovable, match="Postbox is no part of a call's state"):
        unpack(state.replace(b"Mailbox", b"Postbox"), ELSEWHERE)
    with pytest.raises(NotMovable):
        unpack(state[:-20], ELSEWHERE)
    with pytest.raises(NotMovable):
        unpack(b"cos\nsystem\n.", ELSEWHERE)
    with pytest.raises(NotMovable, match="vad_confirm"):
        unpack(pack(SILERO.detector()), ELSEWHERE)


def test_each_field_may_be_new_or_gone() -> None:
    """A machine's field that a snapshot lacks is a new call's; a value's has its default, or the snapshot is refused."""
    table = msgspec.msgpack.decode(pack(run([], renewed, 3, until=12_000).talk))
    refused, restored = set(), 0
    for number, (name, fields) in enumerate(table[0]):
        for field in fields:
            fields[fields.index(field)] = f"{field}_of_another_release"
            try:
                assert type(unpack(msgspec.msgpack.encode(table), HERE)).__name__ == "Conversation"
                restored += 1
            except NotMovable as error:
                assert f"{name} lacks " in str(error) or name == "Tool"
                refused.add(name)
            fields[fields.index(f"{field}_of_another_release")] = field
        assert table[0][number] == [name, fields]
    # Of these the constructors ask for all fields: what they hold is in none but the snapshot.
    values = {name for name in refused if is_frozen(kinds()[name])}
    assert restored > 200 and refused - values == {"Conversation", "Item", "Segment", "_TranscriptEntry"}, refused


@pytest.mark.parametrize(
    ("version", "since", "understood"),
    [(26, 24, True), (24, 24, True), (30, 24, True), (30, 27, False), (23, 0, False), (23, 23, False)],
)
def test_releases_understand_each_other_from_the_same_version_on(version: int, since: int, understood: bool) -> None:
    assert (snapshot.VERSION, snapshot.SINCE) == (26, 24), "renew this table"
    assert snapshot.is_understood(version, since) is understood
