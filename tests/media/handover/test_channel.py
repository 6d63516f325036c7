"""What comes over the channel and is not taken leaves no descriptor open, and a peer that speaks out of order is left alone."""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from media.handover import channel as wire
from media.handover.channel import Channel, PeerLost, Stopping
from media.handover.receiver import Predecessor
from tests.support.waits import patience, until


class Peer:
    """The other end of a channel; it sends each message with a descriptor of its own."""

    def __init__(self) -> None:
        self.socket, self.other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.ends: list[int] = []

    def send(self, message: bytes) -> None:
        reading, writing = os.pipe()
        socket.send_fds(self.socket, [message], [reading])
        os.close(reading)
        self.ends.append(writing)

    def closed(self) -> list[bool]:
        """Whether each message's descriptor is closed at the other end."""
        return [_has_no_reader(end) for end in self.ends]

    def close(self) -> None:
        self.socket.close()
        wire.close_all(self.ends)


def _has_no_reader(end: int) -> bool:
    try:
        os.write(end, b"x")
    except BrokenPipeError:
        return True
    return False


@pytest.fixture
def peer() -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.close()


OVER = wire._encode(Stopping())


async def test_a_message_that_can_not_be_decoded_ends_the_channel_and_its_descriptors(peer: Peer) -> None:
    channel = Channel(peer.other)
    peer.send(b"no message")
    async with patience():
        with pytest.raises(PeerLost):
            await channel.receive()
    assert peer.closed() == [True]
    channel.close()


async def test_of_a_full_queue_the_dropped_messages_descriptors_are_closed(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "MAX_QUEUED", 2)
    channel = Channel(peer.other)
    for _ in range(3):
        peer.send(OVER)
    await until(lambda: peer.closed() == [True, False, True])
    message, descriptors = await channel.receive()
    assert (message, len(descriptors)) == (Stopping(), 1)
    wire.close_all(descriptors)
    with pytest.raises(PeerLost):
        await channel.receive()
    channel.close()


async def test_what_was_not_received_when_the_channel_closes_is_closed_too(peer: Peer) -> None:
    channel = Channel(peer.other)
    peer.send(OVER)
    await until(lambda: channel._received.qsize() == 1)
    assert peer.closed() == [False]
    channel.close()
    assert peer.closed() == [True]
    with pytest.raises(PeerLost):
        await channel.receive()


@pytest.mark.parametrize("first", [wire.Stopping(), wire.PredecessorListener("node")])
async def test_a_predecessor_that_speaks_out_of_order_keeps_its_calls(tmp_path: Path, first: wire.Message) -> None:
    with wire.listen_at(tmp_path / "s") as listening:

        async def predecessor() -> None:
            connection, _ = await asyncio.get_running_loop().sock_accept(listening)
            channel = Channel(connection)
            assert isinstance((await channel.receive())[0], wire.Hello)
            channel.send(first)
            with pytest.raises(PeerLost):
                await channel.receive()
            channel.close()

        async with patience(), asyncio.TaskGroup() as group:
            group.create_task(predecessor())
            assert await Predecessor.connect(tmp_path / "s", 30) is None
