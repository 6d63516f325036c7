"""Frames that the WebSocket protocol forbids: each closes its stream with the code that says so, and no other one."""

import asyncio
import struct

import pytest

from tests.media.fakecontrol import FakeControl
from tests.media.planes import StartPlane
from tests.media.test_listeningsocket import upgrade
from tests.support.waits import patience

CONTINUATION, TEXT, CLOSE, PING = 0x0, 0x1, 0x8, 0x9
FIN = 0x80
#: A message that a stream may begin with.
HELLO = b'{"event": "connected", "protocol": "Call", "version": "1.0.0"}'
PROTOCOL_ERROR = 1002


def framed(opcode: int, payload: bytes = b"", *, flags: int = FIN, mask: int = 0x80) -> bytes:
    size = len(payload)
    head = bytes((flags | opcode, mask | size)) if size < 126 else struct.pack(">BBH", flags | opcode, mask | 126, size)
    return head + (bytes(4) if mask else b"") + payload


def closing(code: int) -> bytes:
    return framed(CLOSE, struct.pack(">H", code))


async def answered(plane: StartPlane, sent: bytes) -> tuple[int, bytes]:
    """The code of the close frame that is answered, 0 if none is, and what came before it, until the connection ends."""
    media = await plane(start_seconds=60)
    reader, writer = await asyncio.open_connection("127.0.0.1", media.media.port)
    writer.write(upgrade(media))
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
    writer.write(sent)
    async with patience():
        answer = await reader.read()
    writer.close()
    before, found, close = answer.partition(b"\x88")
    return int.from_bytes(close[1:3]) if found else 0, before


@pytest.mark.parametrize(
    "sent",
    [
        *(framed(TEXT, HELLO, flags=FIN | bit) for bit in (0x40, 0x20, 0x10, 0x70)),
        framed(0xA, b"x", flags=FIN | 0x40),  # the library answers pings itself, with these bits too
        framed(CONTINUATION, b"{}"),
        framed(CONTINUATION, b"{}", flags=0),
        framed(TEXT, HELLO[:9], flags=0) + framed(TEXT, HELLO),
        *(closing(code) for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535)),
        framed(CLOSE, b"\x03"),
        framed(PING, b"p" * 126),
        framed(CLOSE, struct.pack(">H", 1000) + b"p" * 124),
        framed(PING, b"x", flags=0),
        framed(TEXT, HELLO, mask=0),
        framed(0x3, b"{}"),
        framed(0xB, b"{}"),
    ],
)
async def test_a_forbidden_frame_closes_its_stream_as_a_protocol_error(
    plane: StartPlane, control: FakeControl, sent: bytes
) -> None:
    assert await answered(plane, sent) == (PROTOCOL_ERROR, b"")


@pytest.mark.parametrize("code", [1000, 1001, 1011, 1014, 3000, 4999])
async def test_a_code_that_may_be_sent_is_answered(plane: StartPlane, control: FakeControl, code: int) -> None:
    assert await answered(plane, closing(code)) == (code, b"")
    assert await answered(plane, framed(CLOSE)) == (1000, b"")
    # A control frame may come within a message.
    within = framed(TEXT, HELLO[:9], flags=0) + framed(PING, b"x") + framed(CONTINUATION, HELLO[9:]) + closing(code)
    assert await answered(plane, framed(TEXT, HELLO) + within) == (code, b"\x8a\x01x")
