"""Heads that two programs may read otherwise: refused, and nothing after them is answered."""

import asyncio
from contextlib import suppress

import pytest

from gateway.connectionlimit import ConnectionLimit
from gateway.server import HttpConnection
from tests.gateway.test_unread import serving
from tests.support.waits import patience

NEXT = b"GET /small HTTP/1.1\r\nHost: x\r\n\r\n"
BODY = b"5\r\nhello\r\n0\r\n\r\n"


async def exchanged(*pieces: bytes) -> bytes:
    """All that is answered to these pieces, each in a packet of its own, until the connection is closed or reset."""
    found = b""
    async with serving(ConnectionLimit[HttpConnection](10, 10), 10) as (port, _), patience():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with suppress(ConnectionError):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            while more := await reader.read(4096):
                found += more
        writer.close()
    return found


@pytest.mark.parametrize(
    "head",
    [
        b"POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 15\r\nTransfer-Encoding: chunked\r\n\r\n" + BODY,
        b"POST /small HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n" + BODY,
        b"POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        b"GET /small HTTP/1.1\r\nHost: x\r\nX-Note: one\r\n two\r\n\r\n",
        b"GET /small HTTP/1.1\r\nHost: x\r\nX-Note: one\r\n\ttwo\r\n\r\n",
        b"GET /small HTTP/1.1\nHost: x\n\n",
        b"GET /small HTTP/1.1\r\nHost: x\nX-Note: one\r\n\r\n",
        b"GET /small HTTP/1.1\r\nHost: x\r\n\n",
        b"GET /small HTTP/1.1\r\nHost: x\r\nX-Note: one\rtwo\r\n\r\n",
    ],
)
async def test_an_ambiguous_head_ends_the_connection(head: bytes) -> None:
    at_once = await exchanged(head + NEXT)
    assert (at_once.count(b"HTTP/1.1 "), at_once.count(b"HTTP/1.1 400 Bad Request")) == (1, 1)
    after_another = await exchanged(NEXT + head + NEXT)
    assert (after_another.count(b"HTTP/1.1 200"), after_another.count(b"HTTP/1.1 400 Bad Request")) == (1, 1)
    # In parts, the answer may be lost with what the client still sends: no request is answered, all the same.
    assert b"HTTP/1.1 200" not in await exchanged(head[:-1], head[-1:] + NEXT)


async def test_a_plain_head_is_answered_however_it_comes() -> None:
    head = b"GET /small HTTP/1.1\r\nHost: x\r\nX-Note: one  two\r\nConnection: close\r\n\r\n"
    assert (await exchanged(head)).startswith(b"HTTP/1.1 200")
    assert (await exchanged(*(head[at : at + 1] for at in range(len(head))))).startswith(b"HTTP/1.1 200")
    # Lines of a body are the application's.
    body = b"POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\na\n\r\n b"
    assert (await exchanged(body + head)).count(b"HTTP/1.1 200") == 2
