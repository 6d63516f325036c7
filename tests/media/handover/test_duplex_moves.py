"""A call with a duplex model that moves to another process, at any moment, acts as the one that stayed."""

from collections.abc import Callable, Sequence
from functools import partial

import pytest

from media.core.modelmessages import Tool
from tests.media.core.duplex import GREETED, LivePhone
from tests.media.handover.simulated import acted, moved, renewed
from tests.support.plans import changed
from tests.support.simulation import Phone, World, calls

PLAN = changed(GREETED, tools=(Tool("delegate", "", "{}", 2_000),))


def run(cuts: Sequence[int], at_cut: Callable[[Phone], None]) -> LivePhone:
    """Return a call with a greeting, words over it, a task that nobody does, an answer that is interrupted, keys, and a loss."""
    world = World()
    phone, began_ms = LivePhone(world, PLAN), world.now
    phone.live.answers(calls("book"))
    for at_ms, speak_ms in ((1_000, 200), (3_000, 900), (9_000, 800), (11_000, 1_500), (17_000, 500)):
        world.at(began_ms + at_ms, partial(phone.speak, speak_ms))
    world.at(began_ms + 14_000, lambda: phone.carrier.dtmf("5"))
    world.at(began_ms + 18_500, phone.lose)
    for cut_ms in cuts:
        world.at(began_ms + cut_ms, lambda: at_cut(phone))
    phone.after(24_000)
    return phone


@pytest.mark.parametrize("cuts", [range(100, 23_900, 1_100), range(690, 23_900, 730)], ids=["some", "many"])
def test_a_call_that_moves_acts_as_the_one_that_stayed(cuts: range) -> None:
    stayed, left = run(cuts, renewed), run(cuts, moved)
    assert len(stayed.actions) > 500
    assert acted(left) == acted(stayed)
    assert left.live.received == stayed.live.received
