"""Listeners of a call on a real media plane: what they get, and that they cost the call nothing."""

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from hum.v1 import runtime_pb2 as pb
from media.core.audio import BYTES_PER_MS, SILENCE_BYTE, to_linear
from media.core.types import RecordAgent, RecordCaller
from media.io.listenerstreams import MAX_PIECES, ListenerQueue
from media.shell import Shell
from media.tap import Tap
from tests.media.audio import tone
from tests.media.fakecontrol import FakeControl
from tests.media.planes import QUIET, StartPlane
from tests.support.metrics import sample
from tests.support.present import present
from tests.support.waits import until


class Collected:
    def __init__(self) -> None:
        self.pieces: list[pb.Sound] = []
        self.finished = False

    def put(self, sound: pb.Sound) -> None:
        self.pieces.append(sound)

    def finish(self) -> None:
        self.finished = True

    def sides(self) -> list[bytes]:
        """Caller and agent as mu-law cannot be had back: 16 bits a sample, without gaps between the pieces."""
        pcm = b"".join(each.pcm for each in self.pieces)
        for before, after in pairwise(self.pieces):
            assert after.at_ms == before.at_ms + len(before.pcm) // (4 * BYTES_PER_MS)
        return [b"".join(pcm[at : at + 2] for at in range(side, len(pcm), 4)) for side in (0, 2)]


def tapped(hold_ms: int = 300) -> tuple[Tap, Collected]:
    tap, listener = Tap(hold_ms), Collected()
    tap.listeners.append(listener)
    return tap, listener


def test_both_sides_are_on_one_clock_and_the_agents_may_come_later() -> None:
    tap, listener = tapped()
    caller, agent = tone(2_000, 440), tone(300, 900)
    for at in range(0, 2_000, 20):
        tap.sound(RecordCaller(caller[at * 8 : at * 8 + 160], 60_000 + at))
        if at == 900:  # it was heard from 700 ms on
            tap.sound(RecordAgent(agent, 60_700))
    assert listener.pieces[0].at_ms == 60_000
    assert 60_000 + 2_000 - 300 - 120 <= listener.pieces[-1].at_ms + 100 <= 60_000 + 2_000 - 300
    tap.finish()
    assert listener.finished
    left, right = listener.sides()
    assert left == to_linear(caller)
    assert right == to_linear(SILENCE_BYTE * 5_600 + agent + SILENCE_BYTE * 8_000)


def test_what_comes_too_late_is_missing_and_counted() -> None:
    tap, listener = tapped(hold_ms=100)
    before = sample("hum_media_unheard_bytes_total", {"reason": "late"}) or 0
    for at in range(0, 1_000, 20):
        tap.sound(RecordCaller(QUIET, at))
    sent_ms = listener.pieces[-1].at_ms + len(listener.pieces[-1].pcm) // 32
    assert sent_ms > 700
    tap.sound(RecordAgent(tone(400), 700))
    tap.finish()
    _, right = listener.sides()
    assert right == to_linear(SILENCE_BYTE * sent_ms * 8 + tone(400)[(sent_ms - 700) * 8 :])
    late = sample("hum_media_unheard_bytes_total", {"reason": "late"})
    assert present(late) > before


def test_an_agent_is_heard_though_nothing_comes_from_the_caller() -> None:
    tap, listener = tapped()
    tap.sound(RecordCaller(QUIET, 0))
    for at in range(0, 4_000, 100):
        tap.sound(RecordAgent(tone(100), at))
    assert listener.pieces[-1].at_ms >= 2_000


def test_a_slow_listener_misses_the_oldest() -> None:
    ear = ListenerQueue()
    for number in range(MAX_PIECES + 7):
        ear.put(pb.Sound(at_ms=number, pcm=b"1234"))
    assert ear._pieces[0].at_ms == 7
    assert len(ear._pieces) == MAX_PIECES


async def test_listeners_of_a_call_hear_it_until_it_ends(control: FakeControl, plane: StartPlane) -> None:
    control.offer("t1")
    running = await plane()
    async with running.joined() as line:
        await until(lambda: "started" in control.kinds("call_t1"))
        for token in ("a", "b"):
            control.listen("call_t1", token)
        await until(lambda: {"a", "b"} <= control.heard.keys())
        assert control.answers == {"a": "done", "b": "done"}
        while min(len(each) for each in control.heard.values()) < 5:
            await line.media(tone(20))
            await asyncio.sleep(0.002)
        await line.say("stop", stop={"accountSid": "AC", "callSid": "CA"})
        await until(lambda: control.ended("call_t1"))
        assert await line.closed() is not None
    await until(lambda: not running.media.server.ports.listener_streams._open)
    for pieces in control.heard.values():
        end_ms = pieces[-1].at_ms + len(pieces[-1].pcm) // 32
        assert end_ms == line.frames * 20, "to its end"
        assert all(after.at_ms == before.at_ms + len(before.pcm) // 32 for before, after in pairwise(pieces))


def gate_of(shell: Shell) -> Any:
    talk: Any = shell._talk
    return talk._voice.recording_gate


async def test_a_call_costs_nothing_more_once_its_listener_has_left(control: FakeControl, plane: StartPlane) -> None:
    control.offer("t1")
    running = await plane()
    async with running.joined() as line:
        await until(lambda: "started" in control.kinds("call_t1"))
        control.listen("call_t1", "a")
        await until(lambda: "a" in control.heard)
        (shell,) = running.media.server.streams.open
        assert gate_of(shell).running
        control.leaves.set()
        await until(lambda: not gate_of(shell).running)
        assert shell._output._tap is None
        control.command("call_t1", hang_up=pb.HangUpNow(), command_id="h")
        await line.closed()
    assert control.answers["h"] == "done"


async def test_a_control_that_reads_nothing_delays_no_report(control: FakeControl, plane: StartPlane) -> None:
    """Its streams fill up; the link and the call go on."""
    control.offer("t1")
    running = await plane()
    async with running.joined() as line:
        await until(lambda: "started" in control.kinds("call_t1"))
        control.overhears.clear()
        control.listen("call_t1", "a")
        await until(lambda: "a" in control.heard)

        def dropped() -> float:
            return sample("hum_media_unheard_bytes_total", {"reason": "slow"}) or 0

        before = dropped()
        while dropped() == before:
            for _ in range(50):
                await line.media(tone(20))
            await asyncio.sleep(0.001)
        control.command("call_t1", hang_up=pb.HangUpNow(), command_id="h")
        await until(lambda: control.ended("call_t1"))
        assert control.answers["h"] == "done"
        control.overhears.set()


@pytest.mark.parametrize(("address", "outcome"), [("127.0.0.1:1", "done"), ("", "done")])
async def test_a_control_that_is_not_reached_ends_nothing(
    control: FakeControl, plane: StartPlane, address: str, outcome: str
) -> None:
    control.offer("t1")
    running = await plane()
    async with running.joined() as line:
        await until(lambda: "started" in control.kinds("call_t1"))
        control.command("call_t1", listen=pb.OpenEar(address=address, token="a"), command_id="a")
        await until(lambda: "a" in control.answers)
        assert control.answers["a"] == outcome
        (shell,) = running.media.server.streams.open
        if address:
            await until(lambda: not gate_of(shell).running)
        await line.media()
        control.command("call_t1", hang_up=pb.HangUpNow())
        await until(lambda: control.ended("call_t1"))


async def test_there_is_room_for_so_many_listeners(control: FakeControl, plane: StartPlane) -> None:
    control.offer("t1")
    running = await plane(max_listeners=1)
    async with running.joined():
        await until(lambda: "started" in control.kinds("call_t1"))
        for token in ("a", "b"):
            control.listen("call_t1", token)
        control.listen("call_unknown", "c")
        await until(lambda: len(control.answers) == 3)
        assert control.answers == {"a": "done", "b": "full", "c": "over"}


async def test_few_listen_to_one_call(control: FakeControl, plane: StartPlane) -> None:
    """And when one of them has left, another may."""
    control.offer("t1")
    running = await plane()
    async with running.joined():
        await until(lambda: "started" in control.kinds("call_t1"))
        for number in range(6):
            control.listen("call_t1", f"l{number}")
        await until(lambda: len(control.answers) == 6)
        assert sorted(control.answers.values()) == [*["done"] * 5, "full"]
        await until(lambda: len(control.heard) == 5)
        control.leaves.set()
        await until(lambda: not running.media.server.ports.listener_streams._open)
        control.listen("call_t1", "later")
        await until(lambda: "later" in control.answers)
        assert control.answers["later"] == "done"


async def test_an_organization_leaves_as_many_places_as_it_takes(control: FakeControl, plane: StartPlane) -> None:
    control.offer("t1")
    control.offer("t2", organization_id="org_2")
    running = await plane(max_listeners=4)
    async with running.joined("t1"), running.joined("t2"):
        await until(lambda: all("started" in control.kinds(call) for call in ("call_t1", "call_t2")))
        for token in ("a", "b", "c"):
            control.listen("call_t1", token)
        for token in ("d", "e"):
            control.listen("call_t2", token)
        await until(lambda: len(control.answers) == 5)
        assert control.answers == {"a": "done", "b": "done", "c": "full", "d": "done", "e": "full"}


async def test_a_command_for_a_call_that_is_gone_is_answered(control: FakeControl, plane: StartPlane) -> None:
    control.offer("t1")
    running = await plane()
    async with running.joined() as line:
        await until(lambda: "started" in control.kinds("call_t1"))
        control.command("call_t1", instruct=pb.Dictation(text="Be brief", by="Ada"), command_id="i")
        await until(lambda: "intervention" in control.kinds("call_t1"))
        await line.say("stop", stop={"accountSid": "AC", "callSid": "CA"})
        await line.closed()
    for kind in ("instruct", "say"):
        control.command("call_t1", **dict[str, Any]({kind: pb.Dictation(text="x", by="Ada")}), command_id=kind)
    control.command("call_t1", hang_up=pb.HangUpNow(), command_id="h")
    await until(lambda: len(control.answers) == 4)
    assert control.answers == {"i": "done", "instruct": "over", "say": "over", "h": "over"}
    assert running.media.server.streams.open == set()


async def test_a_command_for_a_call_that_is_gone_does_not_wait_for_streams_that_join_later(
    control: FakeControl, plane: StartPlane
) -> None:
    control.offer("t1")
    control.offer("t2")
    running = await plane(start_seconds=30)  # longer than the test waits
    async with running.joined("t1"), running.line() as other:
        await until(lambda: "started" in control.kinds("call_t1"))
        await until(lambda: len(running.media.server.streams.open) == 2)
        control.command("call_gone", instruct=pb.Dictation(text="Be brief", by="Ada"), command_id="gone")
        control.command("call_t2", instruct=pb.Dictation(text="Be brief", by="Ada"), command_id="early")
        await until(lambda: len(running.media.server._early_commands) == 2)
        async with running.line():
            await until(lambda: len(running.media.server.streams.open) == 3)
            assert not control.answers
            await other.start(token="t2")
            await until(lambda: len(control.answers) == 2)
            assert control.answers == {"gone": "over", "early": "done"}
            assert len(running.media.server.streams.open) == 3, "answered while all streams are open"
