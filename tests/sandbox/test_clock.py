import asyncio
import time
from functools import partial

from sandbox.clock import Agenda
from sandbox.loopclock import LoopClock


def test_what_is_due_happens_in_order_each_at_its_own_instant() -> None:
    agenda = Agenda(10.0)
    seen: list[tuple[str, float]] = []
    for name, when in (("late", 12.0), ("first", 11.0), ("second", 11.0), ("past", 3.0)):
        agenda.at(when, partial(lambda name: seen.append((name, agenda.now)), name))
    agenda.advance(11.5)
    assert seen == [("past", 10.0), ("first", 11.0), ("second", 11.0)]
    assert (agenda.now, agenda.next_at()) == (11.5, 12.0)
    agenda.advance(20.0)
    assert seen[-1] == ("late", 12.0)
    assert agenda.next_at() is None


def test_what_happens_may_put_down_more() -> None:
    agenda = Agenda()
    seen: list[float] = []

    def again() -> None:
        seen.append(agenda.now)
        agenda.at(agenda.now + 1, again)

    agenda.at(1, again)
    agenda.advance(3.5)
    assert seen == [1, 2, 3]


async def test_the_loops_clock_keeps_its_times_until_it_is_stopped() -> None:
    clock = LoopClock()
    seen: list[float] = []
    began = clock.now
    clock.at(began + 0.02, lambda: seen.append(time.monotonic()))
    while not seen:
        await asyncio.sleep(0.005)
    clock.at(clock.now, lambda: seen.append(-1))
    clock.stop()  # before the loop can run it
    await asyncio.sleep(0.05)
    assert len(seen) == 1
    assert seen[0] >= began + 0.019
