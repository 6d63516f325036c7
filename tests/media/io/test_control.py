"""The link: reports arrive once and in order, whatever happens to control or to this process."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hum import rpc
from hum.process.release import release
from hum.settings import MediaSettings
from hum.spool import Spool, acquire_spool
from hum.v1 import runtime_pb2 as pb
from media.io import toolrequests
from media.io.control import ControlLink, Heartbeat
from media.io.filework import result
from media.io.live import MAX_DELTAS
from tests.media.fakecontrol import NODE_KEY, FakeControl
from tests.media.fakemodel import FakeModel
from tests.media.planes import MakeSettings, StartPlane
from tests.support.present import present
from tests.support.waits import until


def digits(call_id: str, seq: int) -> pb.Report:
    return pb.Report(call_id=call_id, seq=seq, digits=pb.DigitsPressed(digits="1"))


@pytest.fixture
async def link(settings: MakeSettings) -> AsyncIterator[ControlLink]:
    given = settings()
    channel = rpc.channel(given)
    made = ControlLink(given, channel, NODE_KEY.encode(), "media-test", acquire_spool(given.spool_dir, fsync=False))
    running = asyncio.create_task(made.run())
    yield made
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    made.outbox.close()
    await channel.close(None)


async def test_one_tick_is_one_batch(link: ControlLink, control: FakeControl) -> None:
    await until(lambda: link.up)
    for seq in (1, 2, 3):
        link.outbox.report(digits("call_a", seq))
    link.flush(0)
    link.outbox.report(digits("call_b", 1))
    link.flush(20)
    await until(lambda: len(control.batches) == 2)
    assert [(batch.seq, [each.call_id for each in batch.reports]) for _, batch in control.batches] == [
        (1, ["call_a"] * 3),
        (2, ["call_b"]),
    ]
    link.flush(40)
    assert len(control.batches) == 2


async def test_what_was_acknowledged_is_forgotten_a_minute_later(link: ControlLink, control: FakeControl) -> None:
    await until(lambda: link.up)
    for seq in range(1, 6):
        link.outbox.report(digits("call_a", seq))
        link.flush(0)
    await asyncio.wait_for(link.wait_until_stored(), 30)
    for now_ms, left in ((1_000, 5), (60_900, 5), (61_600, 0)):
        link.flush(now_ms)
        await result(link.outbox._background._files, bool)  # until that is done
        assert len(link.outbox._background._store) == left
    await asyncio.wait_for(link.wait_until_stored(), 30)  # at once: there is nothing to wait for


async def test_a_killed_control_gets_what_it_lacks_in_order_and_once(link: ControlLink, control: FakeControl) -> None:
    await until(lambda: link.up)
    link.outbox.report(digits("call_a", 1))
    link.flush(0)
    await asyncio.wait_for(link.wait_until_stored(), 30)
    control.acknowledges = False
    link.outbox.report(digits("call_a", 2))  # stored there, but the acknowledgement is lost
    link.flush(20)
    await until(lambda: len(control.batches) == 2)
    await control.stop()
    await until(lambda: not link.up)
    for seq in range(3, 50):
        link.outbox.report(digits("call_a", seq))
        link.delta(pb.CallDelta(call_id="call_a"))  # nobody is watching now
        link.flush(20 * seq)
    control.acknowledges = True
    await control.start()
    await asyncio.wait_for(link.wait_until_stored(), 30)
    assert [each.seq for each in control.reports()] == list(range(1, 50))
    assert control.deltas == []
    assert control.nodes == {link.node}


async def test_what_a_process_left_is_sent_by_one_that_serves(
    link: ControlLink, control: FakeControl, settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It left while control was away, and its successor had begun before that: none may start again soon."""
    monkeypatch.setattr("media.io.control.ORPHAN_BATCHES", 2)
    other = acquire_spool(settings().spool_dir, fsync=False)
    for seq in range(1, 6):
        other.append(pb.ReportBatch(reports=[digits("call_b", seq)]).SerializeToString())
    await until(lambda: link.up)
    link.outbox.report(digits("call_a", 1))
    link.flush(0)
    taking = asyncio.create_task(link.adopt_orphaned(scan_seconds=0.01))
    await asyncio.wait_for(link.wait_until_stored(), 30)
    assert len(control.batches) == 1, "the others are that process's while it lives"
    other.close()
    await until(lambda: len(control.batches) == 6)
    assert [(batch.seq, batch.reports[0].seq) for _, batch in control.batches] == [
        (1, 1),
        *((seq + 1, seq) for seq in range(1, 6)),
    ]
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)
    assert not len(Spool(other.directory))


async def test_the_event_loop_closes_no_spool_that_a_process_left(
    link: ControlLink, control: FakeControl, settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that hangs while that is closed would hold up all calls."""
    closed = []

    class Watched(Spool):
        def finish(self, number: int) -> None:
            closed.append(("finish", threading.current_thread().name))
            super().finish(number)

        def close(self) -> None:
            closed.append(("close", threading.current_thread().name))
            super().close()

    other = acquire_spool(settings().spool_dir, fsync=False)
    other.append(pb.ReportBatch(reports=[digits("call_b", 1)]).SerializeToString())
    other.close()
    monkeypatch.setattr(
        "media.io.control.orphaned_spools", lambda own, **_: iter([Watched(other.directory, fsync=False)])
    )
    await until(lambda: link.up)
    assert await link._adopt_orphaned_batches() == 1
    assert closed == [("finish", "reports"), ("close", "reports")]


async def test_a_database_that_lost_what_it_had_stored_gets_it_again(link: ControlLink, control: FakeControl) -> None:
    await until(lambda: link.up)
    for seq in range(1, 6):
        link.outbox.report(digits("call_a", seq))
        link.flush(0)
    await asyncio.wait_for(link.wait_until_stored(), 30)
    link.flush(1_000)
    await control.stop()
    await until(lambda: not link.up)
    del control.batches[2:]  # a standby has taken over
    control.stored[link.node] = 2
    link.outbox.report(digits("call_a", 6))
    link.flush(2_000)
    await control.start()
    await asyncio.wait_for(link.wait_until_stored(), 30)
    assert [each.seq for each in control.reports()] == list(range(1, 7))
    assert [batch.seq for _, batch in control.batches] == list(range(1, 7))


async def test_deltas_leave_together_and_are_never_on_disk(link: ControlLink, control: FakeControl) -> None:
    await until(lambda: link.up)
    for name in ("call_a", "call_b"):
        link.delta(pb.CallDelta(call_id=name))
    link.flush(0)
    await until(lambda: len(control.deltas) == 2)
    assert [each.call_id for each in control.deltas] == ["call_a", "call_b"]
    assert control.batches == [] and link.outbox._background._store.last == 0


async def test_deltas_that_control_does_not_take_are_dropped_and_not_gathered(
    link: ControlLink, control: FakeControl
) -> None:
    await until(lambda: link.up)
    for _ in range(MAX_DELTAS + 100):
        link.delta(pb.CallDelta(call_id="call_a"))
    link.flush(0)
    await until(lambda: control.deltas)
    assert len(control.deltas) == MAX_DELTAS


def asked(control: FakeControl) -> list[str]:
    return [each.tool_call_id for each in control.tool_requests]


async def test_a_tool_is_run_at_control_and_answered_once(link: ControlLink, control: FakeControl) -> None:
    await until(lambda: link.up)
    answers: list[pb.ToolResult] = []
    assert link.run_tool(pb.RunTool(call_id="call_a", tool_call_id="1", name="price"), answers.append)
    await until(lambda: control.tool_requests)
    (request,) = control.tool_requests
    assert (request.call_id, request.name) == ("call_a", "price")
    for _ in range(2):
        control.answer(request, '{"price": 3}')
    control.answer(pb.RunTool(call_id="call_gone", tool_call_id="1"), "{}")
    await until(lambda: answers and present(control.downs).empty())
    await asyncio.sleep(0.05)
    assert [each.output_json for each in answers] == ['{"price": 3}']


async def test_what_is_not_answered_is_asked_again_on_the_next_link_and_what_is_given_up_is_not(
    link: ControlLink, control: FakeControl
) -> None:
    await until(lambda: link.up)
    answers: list[pb.ToolResult] = []
    for number in "123":
        link.run_tool(pb.RunTool(call_id="call_a", tool_call_id=number), answers.append)
    await until(lambda: len(control.tool_requests) == 3)
    control.answer(control.tool_requests[0], "{}")
    await until(lambda: answers)
    await control.stop()
    await until(lambda: not link.up)
    link.cancel_tool("call_a", "2")
    link.run_tool(pb.RunTool(call_id="call_b", tool_call_id="4"), answers.append)
    await control.start()
    await until(lambda: len(control.tool_requests) >= 5)
    assert asked(control) == ["1", "2", "3", "3", "4"]


async def test_more_requests_than_are_kept_are_refused(
    link: ControlLink, control: FakeControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toolrequests, "MAX_OPEN", 2)
    results = [link.run_tool(pb.RunTool(call_id="call_a", tool_call_id=str(n)), lambda _: None) for n in range(3)]
    assert results == [True, True, False]
    link.cancel_tool("call_a", "0")
    assert link.run_tool(pb.RunTool(call_id="call_a", tool_call_id="3"), lambda _: None)


async def test_a_full_disk_is_no_reason_not_to_tell_control(
    link: ControlLink, control: FakeControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    await until(lambda: link.up)
    spool = link.outbox._background._store._spool

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(spool, "append", full)
        patch.setattr(spool, "finish", full)
        for seq in (1, 2):
            link.outbox.report(digits("call_a", seq))
            link.flush(20 * seq)
        await asyncio.wait_for(link.wait_until_stored(), 30)
        await until(lambda: not link.outbox.storing)
        for tick in range(100):
            link.flush(20 * tick)
        await result(link.outbox._background._files, bool)
    link.flush(10_000)
    await until(lambda: link.outbox.storing)
    link.outbox.report(digits("call_a", 3))
    link.flush(10_020)
    await asyncio.wait_for(link.wait_until_stored(), 30)
    assert [each.seq for each in control.reports()] == [1, 2, 3]


async def test_a_bug_in_what_comes_down_costs_one_link_and_not_the_last(
    link: ControlLink, control: FakeControl
) -> None:
    def fail(_: pb.CallCommand) -> None:
        raise ZeroDivisionError

    await until(lambda: link.up)
    link.on_command = fail
    control.command("call_a", watch=pb.WatchCall(for_ms=1_000))
    await until(lambda: len(control.hellos) == 2)
    heard: list[pb.CallCommand] = []
    link.on_command = heard.append
    await until(lambda: link.up)
    control.command("call_a", watch=pb.WatchCall(for_ms=1_000))
    await until(lambda: heard)


async def test_a_bug_in_what_goes_up_costs_one_link_and_not_the_last(
    link: ControlLink, control: FakeControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise ZeroDivisionError

    await until(lambda: link.up)
    with monkeypatch.context() as patch:
        patch.setattr(link.outbox, "pending", fail)
        link.outbox.report(digits("call_a", 1))
        link.flush(0)
        await until(lambda: len(control.hellos) >= 2)
    await asyncio.wait_for(link.wait_until_stored(), 30)
    assert [each.seq for each in control.reports()] == [1]


async def test_commands_come_down(link: ControlLink, control: FakeControl) -> None:
    heard: list[pb.CallCommand] = []
    link.on_command = heard.append
    await until(lambda: control.downs)
    control.command("call_a", watch=pb.WatchCall(for_ms=1_000))
    await until(lambda: heard)
    assert heard[0].watch.for_ms == 1_000


async def test_a_quiet_link_stays_up(settings: MakeSettings, control: FakeControl) -> None:
    """Forty keepalives without a word from either side."""
    given = settings(keepalive_seconds=0.05, keepalive_timeout_seconds=20)
    channel = rpc.channel(given)
    link = ControlLink(given, channel, NODE_KEY.encode(), "media-test", acquire_spool(given.spool_dir, fsync=False))
    running = asyncio.create_task(link.run())
    await until(lambda: link.up)
    await asyncio.sleep(2)
    assert (len(control.hellos), link.up) == (1, True)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    link.outbox.close()
    await channel.close(None)


async def test_control_learns_whether_calls_are_taken(settings: MakeSettings, control: FakeControl) -> None:
    given = settings(link_beat_ms=200)
    channel = rpc.channel(given)
    link = ControlLink(given, channel, NODE_KEY.encode(), "media-test", acquire_spool(given.spool_dir, fsync=False))
    link.beat.refuses = lambda: "full"
    running = asyncio.create_task(link.run())
    await until(lambda: link.up)
    assert [hello.state.refuses for hello in control.hellos] == ["full"]
    link.flush(0)
    await until(lambda: control.states == ["full"])
    link.beat.refuses = lambda: None
    link.flush(100)
    await until(lambda: control.states == ["full", ""])
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    link.outbox.close()
    await channel.close(None)


def test_a_beat_comes_in_time_and_soon_after_a_change() -> None:
    beat = Heartbeat(MediaSettings(link_beat_ms=800, media_url="wss://one.example", zone="east"))
    beat.places = 50

    def told(refuses: str, now_ms: int) -> str | None:
        beat.refuses = lambda: refuses or None
        return present(beat.take()).refuses if beat.is_due(now_ms) else None

    assert told("", 0) == ""
    assert told("", 799) is None
    assert told("full", 799) == "full"
    assert [told(*each) for each in (("", 850), ("full", 880), ("", 898))] == [None] * 3, "it flaps"
    assert told("", 899) == ""
    assert told("", 1_700) == ""
    full = pb.NodeState(places=50, url="wss://one.example", beat_ms=800, refuses="full", zone="east", version=release())
    beat.refuses = lambda: "full"
    assert beat.state() == full


KILLED = """
import os, signal, sys
from pathlib import Path
from hum.v1 import runtime_pb2 as pb
from hum.spool import acquire_spool
spool = acquire_spool(Path(sys.argv[1]), fsync=False)
for seq in range(1, 11):
    report = pb.Report(call_id=sys.argv[2], seq=seq, digits=pb.DigitsPressed(digits="1"))
    spool.append(pb.ReportBatch(reports=[report]).SerializeToString())
if len(sys.argv) > 3:
    sys.stdin.read()
os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(root: Path, call_id: str) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(root), call_id], check=False)


async def test_what_killed_processes_left_is_taken_over_and_arrives(
    settings: MakeSettings, control: FakeControl
) -> None:
    given = settings()
    living = acquire_spool(given.spool_dir, fsync=False)  # so that the process that is killed gets another folder
    killed(given.spool_dir, "call_a")
    living.close()
    killed(given.spool_dir, "call_b")
    assert sorted(each.name for each in given.spool_dir.iterdir()) == ["0", "1"]
    channel = rpc.channel(given)
    link = ControlLink(given, channel, NODE_KEY.encode(), "media-test", acquire_spool(given.spool_dir, fsync=False))
    running = asyncio.create_task(link.run())
    await asyncio.wait_for(link.wait_until_stored(), 30)
    for call_id in ("call_a", "call_b"):
        assert [each.seq for each in control.reports(call_id)] == list(range(1, 11))
    link.flush(1_000)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    link.outbox.close()
    await channel.close(None)
    assert [len(Spool(given.spool_dir / name)) for name in ("0", "1")] == [0, 0]


def test_a_full_disk_leaves_what_killed_processes_left_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    living = acquire_spool(tmp_path, fsync=False)
    killed(tmp_path, "call_a")
    living.close()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Spool, "append", full)
        acquire_spool(tmp_path, fsync=False).close()
    mine = acquire_spool(tmp_path, fsync=False)
    assert len(mine) == 10
    mine.close()


def test_a_living_process_keeps_its_spool(tmp_path: Path) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path), "call_a", "waits"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        while not list(tmp_path.glob("0/*.seg")):
            os.sched_yield()
            assert other.poll() is None
        mine = acquire_spool(tmp_path, fsync=False)
        assert mine.directory.name == "1"
        mine.close()
    finally:
        other.send_signal(signal.SIGKILL)
        other.communicate()


async def test_reports_of_a_call_arrive_after_control_was_away(
    plane: StartPlane, control: FakeControl, model: FakeModel
) -> None:
    control.offer("t1")
    media = await plane(end_ack_seconds=0.1)
    async with media.joined() as line:
        await until(lambda: "started" in control.kinds())
        await control.stop()
        await until(lambda: not media.media.link.up)
        stored = media.media.link.outbox._background._store.last
        for digit in "12#":
            await line.say("dtmf", dtmf={"digit": digit})
        await until(lambda: media.media.link.outbox._background._store.last > stored)
        await line.say("stop")
        assert await line.closed() == 1000
        await control.start()
    ended = await until(lambda: control.ended("call_t1"))
    assert ended.reason == "caller"
    reports = control.reports("call_t1")
    assert [each.seq for each in reports] == list(range(1, len(reports) + 1))
    assert [each.digits.digits for each in reports if each.WhichOneof("report") == "digits"] == [
        "1",
        "12",
        "12#",
    ]
