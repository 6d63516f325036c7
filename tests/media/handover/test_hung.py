"""A successor that hangs is given up: the calls stay where they are, and the next successor gets them."""

import asyncio
import contextlib

import pytest

from media.handover import channel as wire
from media.handover import snapshot
from media.handover.channel import Channel, PeerLost
from tests.media.fakecontrol import FakeControl
from tests.media.fakemodel import FakeModel
from tests.media.handover.successors import calling, moves_with_its_socket, raw, successor, wait_longer
from tests.media.planes import Plane, StartPlane
from tests.support.present import present
from tests.support.waits import patience, until

#: What a successor still does before it hangs.
STEPS = ("connect", "hello", "serving")


async def hung(first: Plane, last: str) -> tuple[Channel, contextlib.ExitStack]:
    """A successor by hand that does nothing more after the step `last`, but holds what it has open."""
    path, kept = first.given.handover_path, contextlib.ExitStack()
    channel = Channel(present(wire.connect_to(path)))
    kept.callback(channel.close)
    if last == "connect":
        return channel, kept
    channel.send(wire.Hello(snapshot.VERSION, snapshot.SINCE))
    kept.callback(wire.close_all, (await channel.receive())[1])
    if last == "hello":
        return channel, kept
    channel.send(wire.Serving())
    kept.enter_context(wire.listen_at(path))  # as each process that serves
    call, descriptors = await channel.receive()
    kept.callback(wire.close_all, descriptors)
    assert isinstance(call, wire.OfferedCall)
    return channel, kept


@pytest.mark.parametrize("last", STEPS)
async def test_a_successor_that_hangs_is_given_up_and_the_next_one_served(
    plane: StartPlane, control: FakeControl, model: FakeModel, last: str
) -> None:
    first = await plane(handover_answer_ms=50, handover_seconds=0.5, HUM_DRAIN_SECONDS=20, linger_seconds=0.1)
    await until(lambda: first.given.handover_path.exists())
    control.offer("t1")
    async with calling(first) as caller:
        await until(lambda: "session.update" in model.types())
        channel, kept = await hung(first, last)
        with kept:
            async with patience():
                with pytest.raises(PeerLost):
                    while True:
                        kept.callback(wire.close_all, (await channel.receive())[1])
            await until(lambda: first.media.server.refuses() is None)
            wait_longer(first)
            async with successor(first) as second:
                await until(lambda: len(second.media.server) == 1)
                await caller.speak_until(lambda: "response.create" in model.types())
                assert not caller.is_closed
                assert len(model.sockets) == 1


async def test_a_successor_that_no_longer_reads_does_not_become_the_only_one(
    first: Plane, control: FakeControl, model: FakeModel
) -> None:
    """It hangs once it has said that it serves, when no call is there that could show it."""
    stopped = await raw(first)
    asyncio.get_running_loop().remove_reader(stopped._socket.fileno())
    await until(lambda: first.media.server.refuses() == "draining")
    await until(lambda: first.media.server.refuses() is None)
    control.offer("t1")
    await moves_with_its_socket(first, model)
    stopped.close()
