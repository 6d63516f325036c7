"""One link of a media process: what fails in it costs as little as it can."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from control.calls.link import _Link
from control.livecall.channels import DELTAS
from hum.v1 import runtime_pb2 as pb
from tests.support.waits import patience


class FakeBus:
    """Fails as often as it is set to, with what nobody expects."""

    def __init__(self) -> None:
        self.failures, self.published = 0, list[Any]()

    async def publish(self, channel: Any, message: Any) -> bool:
        assert channel is DELTAS
        if self.failures:
            self.failures -= 1
            raise KeyError("a bug")
        self.published.append(message)
        return True


class FakeTools:
    async def run(self, request: pb.RunTool) -> pb.ToolResult:
        raise KeyError("a bug")


@pytest.fixture
def link() -> _Link:
    return _Link(None, FakeBus(), FakeTools(), "m", None)  # type: ignore[arg-type]


async def ups(*each: pb.LinkUp) -> AsyncIterator[pb.LinkUp]:
    for up in each:
        yield up


async def test_deltas_go_on_after_a_bug(link: _Link) -> None:
    bus: Any = link._bus
    bus.failures = 1
    passing = asyncio.create_task(link.publish_deltas())
    for call_id in ("call_a", "call_b"):
        await link.read(ups(pb.LinkUp(deltas=pb.CallDeltas(deltas=[pb.CallDelta(call_id=call_id)]))))
        async with patience():
            while link._deltas.qsize() or (call_id == "call_b" and not bus.published):
                await asyncio.sleep(0.01)
    assert [each.deltas[0].call_id for each in bus.published] == ["call_b"]
    assert not passing.done()
    passing.cancel()


@pytest.mark.parametrize(("locked", "is_stored"), [(0, True), (2, True), (3, False)])
async def test_a_locked_row_ends_no_link_unless_it_stays_locked(
    link: _Link, monkeypatch: pytest.MonkeyPatch, locked: int, is_stored: bool
) -> None:
    tries = list[int]()

    async def apply_batch(_db: Any, _node: str, batch: pb.ReportBatch, _acknowledged: int) -> None:
        tries.append(batch.seq)
        if len(tries) <= locked:
            raise asyncpg.DeadlockDetectedError

    monkeypatch.setattr("control.calls.reports.apply_batch", apply_batch)
    reading = link.read(ups(pb.LinkUp(batch=pb.ReportBatch(seq=7))))
    if is_stored:
        await reading
        down = link.downs.get_nowait()
        assert down is not None and down.acknowledged_seq == 7
    else:
        with pytest.raises(asyncpg.DeadlockDetectedError):
            await reading
    assert link.downs.get_nowait() is None and len(tries) == min(locked + 1, 3)


async def test_a_tool_that_fails_has_an_answer(link: _Link) -> None:
    await link.read(ups(pb.LinkUp(tool=pb.RunTool(call_id="call_a", tool_call_id="1", name="price"))))
    async with patience():
        while (down := await link.downs.get()) is None:
            pass
    assert (down.tool_result.tool_call_id, down.tool_result.status) == ("1", "failed")


async def test_a_link_that_is_not_read_ends_and_loses_no_result_silently(
    link: _Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The media process repeats its requests on the next link, and gets the results that this one could not take."""
    monkeypatch.setattr("control.calls.link.MAX_DOWNS", 5)
    link.downs = asyncio.Queue(5)
    for seq in range(4):
        link._down(pb.LinkDown(acknowledged_seq=seq))
    link._down(pb.LinkDown(tool_result=pb.ToolResult(call_id="call_a")))
    downs = [link.downs.get_nowait() for _ in range(link.downs.qsize())]
    assert [down and down.acknowledged_seq for down in downs] == [0, 1, None]
    await link.read(ups())
    stopping = asyncio.Event()
    stopping.set()
    await link.end_with(stopping)
