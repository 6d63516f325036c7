"""Handovers between processes, as an operator makes them, under a load whose every frame is numbered."""

import asyncio

import pytest

from bench.handover.__main__ import benched
from bench.handover.numbered import Counted, frame, number_of
from hum.v1 import runtime_pb2 as pb

pytestmark = pytest.mark.nodes
CALLS = 40
LONGEST_SILENCE_MS = 5_000  # other tests have the cores, too; `python -m bench.handover` measures it


def test_what_is_missing_is_seen() -> None:
    counted = Counted()
    sound = b"\x21" * 160
    whole = b"".join(frame(number, sound) for number in (0, 1, 2, 5, 6, 4))
    for at in range(0, len(whole), 107):
        counted.add(whole[at : at + 107])
    assert (counted.next, counted.missing, counted.disordered) == (7, 2, 1)
    assert number_of(frame(123_456, sound)) == 123_456
    assert number_of(sound) is None


async def test_calls_move_three_times_and_nobody_notices() -> None:
    async with benched() as bench:
        await bench.ring(CALLS)
        await asyncio.sleep(2)
        for _ in range(3):
            moved = await bench.hand_over()
            assert moved.calls == CALLS
            assert (moved.closed, moved.redialled) == (0, 0)
            assert (moved.lost_to_model, moved.lost_to_callers, moved.disordered) == (0, 0, 0)
            assert moved.behind < 100
            assert moved.silence_max_ms < LONGEST_SILENCE_MS
        assert moved.frames_to_model > 100 * CALLS
        assert moved.frames_to_callers > 100 * CALLS // 2
        control = bench.control
        command = pb.CallCommand(call_id="call_1", command_id="c1", instruct=pb.Dictation(text="Be short."))
        control.links[control.node_of["call_1"]].put_nowait(pb.LinkDown(command=command))
        await control.until(lambda: control.answers.get("c1") == "done")
        assert len(set(control.node_of.values())) == 1
        for numbers in control.reports.values():
            assert numbers == list(range(len(numbers)))


async def test_a_successor_that_is_killed_takes_only_what_it_had() -> None:
    async with benched(handover_calls="1") as bench:
        load, control = bench.load, bench.control
        await bench.ring(CALLS)
        await asyncio.sleep(1)
        old = set(control.linked)
        await bench.start("--handover")
        await control.until(lambda: set(control.node_of.values()) - old)
        killed = bench.processes.pop()
        killed.kill()
        await killed.ended()
        await asyncio.sleep(1)
        alive = [caller for caller in load.callers if not caller.closed]
        assert 0 < len(alive), "it was killed in the middle"
        await bench.ring(1)  # whoever had them accepts calls again
        alive.append(load.callers[-1])
        before = [load.sessions[load.callers.index(caller)][-1].end.counted.next for caller in alive]
        node = await bench.start("--handover")
        calls = [f"call_{load.callers.index(caller)}" for caller in alive]
        await control.until(lambda: all(control.node_of[call] == node for call in calls))
        await asyncio.sleep(1)
        for caller, least in zip(alive, before, strict=True):
            model = load.sessions[load.callers.index(caller)][-1]
            assert not caller.closed
            assert not model.closed
            assert model.end.counted.next > least
            assert (model.end.counted.missing, caller.end.counted.missing) == (0, 0)
