"""What moving a connection relies on inside picows and aiofastnet: this fails first when they change."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.metadata import version
from typing import Any, cast

import pytest
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect, ws_create_server

from media.io import sockethandover
from tests.support.waits import patience

TEXT = WSMsgType.TEXT


def test_these_are_the_versions_that_were_looked_into() -> None:
    """If not: read media/io/sockethandover.py, see that the tests below hold, and then change this line."""
    assert (version("picows"), version("aiofastnet")) == ("2.3.1", "1.2.0")


class End(WSListener):
    transport: WSTransport

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.lost, self.more = False, asyncio.Event()

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self.got.append(frame.get_payload_as_bytes())
        self.more.set()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.lost = True
        self.more.set()

    async def until(self, count: int) -> None:
        async with patience():
            while len(self.got) < count:
                self.more.clear()
                await self.more.wait()


@pytest.fixture
async def pair() -> AsyncIterator[tuple[End, End]]:
    """A connection: (server's end, client's end)."""
    served = End()
    server = await ws_create_server(
        lambda _: served, "127.0.0.1", 0, read_buffer_init_size=sockethandover.SERVER_BUFFER_BYTES
    )
    async with server:
        port = server.sockets[0].getsockname()[1]
        _, listener = await ws_connect(End, f"ws://127.0.0.1:{port}/")
        client = cast("End", listener)
        yield served, client
        for end in (served, client):
            end.transport.disconnect(graceful=False)


async def moved(end: End, adopt: Callable[..., Awaitable[WSTransport]], **more: Any) -> End:
    """The end's connection with another listener, as if in another process."""
    assert sockethandover.is_idle(end.transport)
    descriptor = os.dup(sockethandover.pause_reading(end.transport))
    other = End()
    transport = await adopt(descriptor, other, max_frame_bytes=1 << 20, **more)
    assert transport is other.transport
    return other


@pytest.mark.parametrize("size", [1, 125, 200, 8_000, 40_000, 200_000])
async def test_both_ends_move_and_neither_notices(pair: tuple[End, End], size: int) -> None:
    served, client = pair
    for round in range(3):
        new_served = await moved(served, sockethandover.adopt_server)
        new_client = await moved(client, sockethandover.adopt_client, ping_seconds=5.0)
        served.transport.send(TEXT, b"sent last by the old one")  # to a client that does not read
        sockethandover.close_copy(served.transport)
        sockethandover.close_copy(client.transport)
        await asyncio.sleep(0.01)
        assert served.lost
        assert client.lost
        assert not new_client.got, "nothing is read before it goes on"
        sockethandover.resume_reading(new_client.transport)
        sockethandover.resume_reading(new_served.transport)
        served, client = new_served, new_client
        client.transport.send(TEXT, b"c" * size)
        served.transport.send(TEXT, b"s" * size)
        await served.until(1)
        await client.until(2)
        assert served.got == [b"c" * size]
        assert client.got == [b"sent last by the old one", b"s" * size]
        assert not served.lost, round
    client.transport.send_close()
    client.transport.disconnect()
    async with patience():
        while not served.lost:
            await asyncio.sleep(0.005)


async def test_a_connection_with_half_a_frame_is_not_idle(pair: tuple[End, End]) -> None:
    served, client = pair
    frame = bytes([0x81, 0x80 | 126]) + (300).to_bytes(2, "big") + bytes(4) + b"x" * 300
    for cut in (1, 3, 7, 100, 307):
        client.transport.underlying_transport.write(frame[:cut])
        async with patience():
            while sockethandover.is_idle(served.transport):
                await asyncio.sleep(0.002)
        client.transport.underlying_transport.write(frame[cut:])
        await served.until(len(served.got) + 1)
        assert sockethandover.is_idle(served.transport)


async def test_a_connection_with_unsent_bytes_is_not_idle(pair: tuple[End, End]) -> None:
    served, client = pair
    client.transport.underlying_transport.pause_reading()
    while not served.transport.underlying_transport.get_write_buffer_size():
        served.transport.send(TEXT, b"x" * 100_000)
    assert not sockethandover.is_idle(served.transport)
    served.transport.send_close()
    assert not sockethandover.is_idle(served.transport)


async def test_a_socket_without_a_peer_is_not_adopted() -> None:
    with pytest.raises(OSError, match="not connected"):
        await sockethandover.adopt_server(socket.socket().detach(), End(), max_frame_bytes=1_000)
