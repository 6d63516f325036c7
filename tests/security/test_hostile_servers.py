"""Servers that we are clients of, and that answer as no server should: relays of e-mail, object stores, buses.

What an object store lists is not among them (docs/security.md, known limits).
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from itertools import repeat

import pytest

#: The most that one server may add to a process, and the longest that it may keep the event loop from others.
MOST_MB, MOST_STRETCH_S = 64, 0.5
KB = 1 << 10
INFO = b'INFO {"server_id":"x","version":"2.10.0","max_payload":1048576,"proto":1}\r\n'

Act = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def pour(writer: asyncio.StreamWriter, piece: bytes, times: int | None = None) -> None:
    """Write a piece again and again, for ever or so many times."""
    for _ in repeat(None) if times is None else repeat(None, times):
        writer.write(piece)
        await writer.drain()


def first(begin: bytes, piece: bytes) -> Act:
    """Return what writes a beginning at once, and then a piece for ever."""

    async def act(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(begin)
        await pour(writer, piece)

    return act


async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"2")
        await writer.drain()
        await asyncio.sleep(0.1)


def answers(*replies: bytes, then: bytes = b"") -> Act:
    """Return what answers each line of an SMTP client with the next reply, and then with one for ever."""

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for reply in replies:
            await pour(writer, reply, 1)
            await reader.readline()
        await pour(writer, then or b"250 OK\r\n", None if then else 1)
        await asyncio.sleep(60)

    return act


def http(head: bytes, piece: bytes) -> Act:
    """Return what answers a request with a head, and then with a piece for ever."""

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        await pour(writer, piece)

    return act


def joined(then: bytes) -> Act:
    """Return what greets a client of NATS, answers its pings, and then writes this for ever."""

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(INFO)
        while not (line := await reader.readline()).startswith(b"PING"):
            if not line:
                return
        writer.write(b"PONG\r\n")
        await pour(writer, then)

    return act


OK = b"HTTP/1.1 200 OK\r\n"

SERVERS: dict[str, Act] = {
    "smtp: a greeting without an end": first(b"220 ", b"x" * 64 * KB),
    "smtp: a greeting of endless lines": first(b"", b"220-hello\r\n" * KB),
    "smtp: a byte now and then": drip,
    "smtp: a welcome of endless lines": answers(b"220 hi\r\n", then=b"250-SIZE 1\r\n" * KB),
    "smtp: a challenge of endless length": answers(
        b"220 hi\r\n", b"250 AUTH CRAM-MD5\r\n", then=b"334 " + b"QUFB" * 16 * KB
    ),
    "smtp: replies nobody asked for": first(b"220 hi\r\n", b"250 OK\r\n" * KB),
    "smtp: bytes of no language": first(b"220 ", b"\xff\x00\xfe" * KB + b"\r\n"),
    "s3: endless heads": http(OK, b"X-A: " + b"y" * 4 * KB + b"\r\n"),
    "s3_load: an endless object": http(
        OK + b'ETag: "e"\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Length: 9999999999\r\n\r\n',
        b"z" * 64 * KB,
    ),
    "s3: no HTTP at all": http(b"", b"\xff" * KB),
    "nats: a line without an end": first(b"INFO {", b"x" * 64 * KB),
    "nats: a megabyte of members": first(b'INFO {"connect_urls":[', b'"nats://a:1",' * 8 * KB),
    "nats: nesting": first(b"INFO " + b"[" * 200_000 + b"\r\n", b"[" * KB),
    "nats: pings": joined(b"PING\r\n" * KB),
    "nats: errors": joined(b"-ERR 'no'\r\n" * KB),
    "nats: messages of no subscription": joined(b"MSG hum.x 77 3\r\nabc\r\n" * KB),
    "nats: a message of two gigabytes": joined(b"MSG hum.x 1 2000000000\r\n" + b"x" * 64 * KB),
    "nats: news of servers": joined(
        b'INFO {"connect_urls":[' + b",".join(b'"h%d:1"' % n for n in range(5_000)) + b"]}\r\n"
    ),
}


@asynccontextmanager
async def serving(act: Act) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, EOFError, asyncio.LimitOverrunError):
            await act(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@pytest.mark.hostile
@pytest.mark.parametrize("name", list(SERVERS))
async def test_a_hostile_server_costs_no_more_than_its_bounds(name: str) -> None:
    async with serving(SERVERS[name]) as port:
        program = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.security.hostileclients",
            name.partition(":")[0],
            str(port),
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await program.communicate()
    assert program.returncode == 0 and output
    cost = json.loads(output.splitlines()[-1])
    assert cost["outcome"] != "never gave up", cost
    assert cost["memory_mb"] <= MOST_MB and cost["stretch_s"] <= MOST_STRETCH_S, cost
