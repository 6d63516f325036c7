"""Whoever reads no answer holds no place that another needs."""

import asyncio
import gc
import socket
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from ipaddress import ip_network
from typing import Any

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from gateway.connectionlimit import ConnectionLimit
from gateway.requestlimit import RequestLimit
from gateway.server import (
    FREE_REQUESTS,
    MAX_UNREAD_BYTES,
    REST_SECONDS,
    ClientLimits,
    HttpConnection,
    SlowReaders,
    limit_kernel_buffers,
)
from tests.support.waits import patience, until

#: More than what lies between two programs on one machine.
LARGE_BYTES, PIECE = 4 << 20, b"x" * (1 << 20)
PIECES = {
    "/large": [PIECE] * (LARGE_BYTES // len(PIECE)),
    "/whole": [b"x" * LARGE_BYTES],
    "/medium": [PIECE],
    "/small": [b"ok"],
    "/short": [b"x" * 60_000],
}
REQUEST = b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n"
HEAD_S, SEND_S, KEEP_ALIVE_S = 601.0, 602.0, 603
#: The proxy that reports other addresses is on this machine.
PROXIES = (ip_network("127.0.0.0/8"),)


class Timers:
    """A loop whose timers run when the test says so."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[float, asyncio.TimerHandle, Callable[[], object]]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def call_later(self, seconds: float, call: Callable[..., object], *arguments: object) -> asyncio.TimerHandle:
        timer = self._loop.call_later(3600, lambda: None)
        self._waiting.append((seconds, timer, partial(call, *arguments)))
        return timer

    def count(self, seconds: float) -> int:
        """How many timers of this length run."""
        return sum(each[0] == seconds and not each[1].cancelled() for each in self._waiting)

    def pass_by(self, seconds: float) -> int:
        """End the timers of this length that run; how many there were."""
        due = [each for each in self._waiting if each[0] == seconds and not each[1].cancelled()]
        self._waiting = [each for each in self._waiting if each[0] != seconds]
        for _, timer, call in due:
            timer.cancel()
            call()
        return len(due)


async def answer(scope: Scope, _: Receive, send: Send) -> None:
    pieces = PIECES[scope["path"]]
    length = (b"content-length", str(sum(map(len, pieces))).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    for left, piece in reversed([*enumerate(reversed(pieces))]):
        await send({"type": "http.response.body", "body": piece, "more_body": left > 0})


@asynccontextmanager
async def serving(
    limit: ConnectionLimit[HttpConnection],
    places: int,
    timers: Timers | None = None,
    buffer_bytes: int | None = 1 << 18,
    unread_bytes: int = MAX_UNREAD_BYTES,
    app: ASGIApp = answer,
) -> AsyncIterator[tuple[int, SlowReaders]]:
    """A port, and who does not read there; `places` requests are admitted at once."""
    unread = SlowReaders(unread_bytes)
    limited = RequestLimit(app, max_requests=places, max_of_address=100, proxies=PROXIES, evict_one=unread.evict_one)
    config = uvicorn.Config(
        limited,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
    )
    config.load()
    made = partial(HttpConnection, limit, unread, ClientLimits(HEAD_S, SEND_S, 1000), (), _loop=timers)
    mine = socket.create_server(("127.0.0.1", 0))
    if buffer_bytes:
        mine.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
    limit_kernel_buffers(mine)
    server = await asyncio.get_running_loop().create_server(
        lambda: made(config=config, server_state=ServerState(), app_state={}), sock=mine
    )
    try:
        yield server.sockets[0].getsockname()[1], unread
    finally:
        server.close()


async def asked(
    port: int,
    path: bytes,
    times: int = 1,
    *,
    last: bool = False,
    address: str = "203.0.113.1",
    headers: bytes = b"",
) -> socket.socket:
    """A connection that has sent its request, so often; as the `last` one it tells to close."""
    mine = socket.socket()
    mine.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    mine.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(mine, ("127.0.0.1", port))
    lines = [b"Host: x", b"X-Forwarded-For: " + address.encode(), b"Connection: close" if last else b"", headers]
    request = REQUEST.replace(b"Host: x", b"\r\n".join(line for line in lines if line))
    await loop.sock_sendall(mine, request % path * times)
    return mine


async def strangers(
    port: int, unread: SlowReaders, count: int, path: bytes = b"large", times: int = 1
) -> list[socket.socket]:
    """So many who read nothing of a large answer, each once the one before has stopped."""
    those = list[socket.socket]()
    for number in range(1, count + 1):
        those.append(await asked(port, path, times))
        await until(partial(lambda number: len(unread) == number, number))
    return those


async def read(mine: socket.socket, least: int) -> int:
    """Read so many bytes, or until the other side has closed it; how many there were."""
    size, loop = 0, asyncio.get_running_loop()
    async with patience():
        try:
            while size < least and (piece := await loop.sock_recv(mine, 1 << 16)):
                size += len(piece)
        except ConnectionError:
            pass
    return size


async def status(port: int) -> bytes:
    mine = await asked(port, b"small")
    async with patience():
        found = await asyncio.get_running_loop().sock_recv(mine, 1 << 16)
    mine.close()
    return found[9:12]


@pytest.mark.parametrize(("path", "times"), [(b"large", 1), (b"whole", 3)], ids=["pieces", "pipelined"])
async def test_at_the_limit_of_connections_the_one_that_reads_least_makes_room(path: bytes, times: int) -> None:
    async with serving(ConnectionLimit[HttpConnection](3, 100), 100) as (port, unread):
        crowd = await strangers(port, unread, 3, path, times)
        for _ in range(2):
            assert await status(port) == b"200"
        assert await read(crowd[0], LARGE_BYTES) < LARGE_BYTES, "it was closed"
        for each in crowd[1:]:
            assert await read(each, LARGE_BYTES) >= LARGE_BYTES, "and these were not: the first to be answered had left"
        for each in crowd:
            each.close()


async def test_one_address_holds_no_more_than_its_share_of_unread_answers() -> None:
    async with serving(ConnectionLimit[HttpConnection](100, 2), 100) as (port, unread):
        crowd = await strangers(port, unread, 2)
        crowd.append(await asked(port, b"large"))
        assert await read(crowd[0], LARGE_BYTES) < LARGE_BYTES
        for each in crowd:
            each.close()


async def test_when_no_request_more_is_taken_the_one_that_reads_least_ends() -> None:
    async with serving(ConnectionLimit[HttpConnection](100, 100), 2) as (port, unread):
        crowd = await strangers(port, unread, 2)
        assert await status(port) == b"200"
        assert await read(crowd[0], LARGE_BYTES) < LARGE_BYTES
        assert await read(crowd[1], LARGE_BYTES) >= LARGE_BYTES
        for each in crowd:
            each.close()


async def test_who_reads_on_is_answered_like_any_other() -> None:
    async with serving(ConnectionLimit[HttpConnection](2, 100), 100) as (port, unread):
        (slow,) = await strangers(port, unread, 1)
        size = await read(slow, LARGE_BYTES // 2)
        others = [await asked(port, b"large")]
        size += await read(slow, LARGE_BYTES - size)
        await until(lambda: len(unread) == 1)
        await asyncio.get_running_loop().sock_sendall(slow, REQUEST % b"small")
        assert size >= LARGE_BYTES and await read(slow, 40) >= 40
        for each in (slow, *others):
            each.close()


async def test_who_reads_an_answer_of_one_piece_is_waited_for_as_for_any_other() -> None:
    timers = Timers()
    async with serving(ConnectionLimit[HttpConnection](2, 100), 100, timers) as (port, unread):
        (slow,) = await strangers(port, unread, 1, b"whole")
        assert timers.pass_by(HEAD_S) == 1, "its next request's deadline, which begins with the end of this answer"
        size = 0
        for _ in range(3):
            size += await read(slow, 1 << 20)
            assert timers.pass_by(SEND_S) == 1, "it reads, and has another while"
        size += await read(slow, LARGE_BYTES - size)
        assert size >= LARGE_BYTES
        await until(lambda: not unread)
        assert timers.pass_by(SEND_S) == 0
        assert timers.pass_by(HEAD_S) == 1 and await read(slow, LARGE_BYTES) == 0, "and then it asks nothing"
        slow.close()


async def test_who_stops_within_an_answer_of_one_piece_is_left() -> None:
    timers = Timers()
    async with serving(ConnectionLimit[HttpConnection](2, 100), 100, timers) as (port, unread):
        (slow,) = await strangers(port, unread, 1, b"whole")
        size = await read(slow, 1 << 20)
        assert timers.pass_by(SEND_S) == 1 and timers.pass_by(SEND_S) == 1
        await until(lambda: not unread)
        assert size + await read(slow, LARGE_BYTES) < LARGE_BYTES
        slow.close()


async def test_who_reads_nothing_of_an_answer_for_which_no_connection_is_paused_is_left_too() -> None:
    timers, limit = Timers(), ConnectionLimit[HttpConnection](2, 100)
    async with serving(limit, 100, timers, buffer_bytes=8192) as (port, unread):
        slow = await asked(port, b"short", last=True)
        await until(lambda: timers.pass_by(SEND_S))
        await until(lambda: not len(limit))
        assert not unread
        slow.close()


async def test_beyond_the_limit_of_bytes_the_address_that_holds_most_loses_its_oldest_response() -> None:
    addresses = ("203.0.113.2", "203.0.113.1", "203.0.113.1", "203.0.113.1")
    limit = ConnectionLimit[HttpConnection](100, 100)
    async with serving(limit, 100, unread_bytes=3 * LARGE_BYTES) as (port, unread):
        crowd = list[socket.socket]()
        for count, address in enumerate(addresses, 1):
            crowd.append(await asked(port, b"whole", address=address))
            await until(partial(lambda count: len(limit) == count and len(unread) == count, min(count, 3)))
        sizes = [await read(each, LARGE_BYTES) for each in crowd]
        assert [size >= LARGE_BYTES for size in sizes] == [True, False, True, True]
        for each in crowd:
            each.close()


async def test_a_response_that_was_read_counts_no_longer() -> None:
    limit = ConnectionLimit[HttpConnection](100, 100)
    async with serving(limit, 100, unread_bytes=LARGE_BYTES) as (port, unread):
        for _ in range(3):
            (reader,) = await strangers(port, unread, 1, b"whole")
            assert await read(reader, LARGE_BYTES) >= LARGE_BYTES
            await until(lambda: not unread)
            reader.close()


async def test_a_pipelined_request_is_not_begun_before_the_response_to_the_last_is_read() -> None:
    begun = Counter[str]()

    async def counting(scope: Scope, receive: Receive, send: Send) -> None:
        begun[scope["path"]] += 1
        await answer(scope, receive, send)

    timers = Timers()
    async with serving(ConnectionLimit[HttpConnection](9, 9), 100, timers, app=counting) as (port, unread):
        (slow,) = await strangers(port, unread, 1, b"whole", times=2)
        assert await status(port) == b"200"
        begun_unread, timers_of_idle = dict(begun), timers.pass_by(KEEP_ALIVE_S)
        size = await read(slow, 2 * LARGE_BYTES)
        slow.close()
        assert begun_unread == {"/whole": 1, "/small": 1} and begun["/whole"] == 2
        assert timers_of_idle == 1, "the other connection's: this one has a request, and is not closed as idle"
        assert size >= 2 * LARGE_BYTES


async def test_a_body_that_comes_after_the_response_to_it_begins_no_request_before_that_is_read() -> None:
    begun = Counter[str]()

    async def counting(scope: Scope, receive: Receive, send: Send) -> None:
        begun[scope["path"]] += 1
        await answer(scope, receive, send)

    request = REQUEST % b"whole"
    async with serving(ConnectionLimit[HttpConnection](9, 9), 100, app=counting) as (port, unread):
        slow = await asked(port, b"whole", headers=b"Content-Length: 5")
        await until(lambda: len(unread) == 1)
        await asyncio.get_running_loop().sock_sendall(slow, b"12345" + request)
        for _ in range(3):
            assert await status(port) == b"200", "what was sent before has arrived"
        begun_unread = begun["/whole"]
        size = await read(slow, 2 * LARGE_BYTES)
        slow.close()
        assert (begun_unread, begun["/whole"]) == (1, 2)
        assert size >= 2 * LARGE_BYTES


@pytest.mark.parametrize(("path", "body"), [(b"whole", b""), (b"whole", b"12345"), (b"short", b"")])
async def test_the_time_to_read_a_response_begins_with_it(path: bytes, body: bytes) -> None:
    """And not with a short one before it, which was read late, and perhaps before the body of its request was sent."""
    timers, loop = Timers(), asyncio.get_running_loop()
    async with serving(ConnectionLimit[HttpConnection](2, 100), 100, timers, buffer_bytes=8192) as (port, unread):
        late = await asked(port, b"short", headers=b"Content-Length: %d" % len(body))
        await until(lambda: timers.count(KEEP_ALIVE_S))
        assert timers.pass_by(HEAD_S) == 1 and timers.count(SEND_S) == 1 and not unread
        assert await read(late, 60_000) >= 60_000
        await loop.sock_sendall(late, body + REQUEST % path)
        assert await status(port) == b"200", "what was sent before has arrived"
        await until(lambda: path == b"short" or len(unread) == 1)
        read_bytes = await read(late, 1 << 20) if path == b"whole" else 0
        assert timers.pass_by(SEND_S) == (path == b"whole")
        whole_bytes = sum(map(len, PIECES["/" + path.decode()]))
        assert read_bytes + await read(late, whole_bytes - read_bytes) >= whole_bytes
        late.close()


async def test_who_reads_nothing_and_then_sends_no_request_is_left_too() -> None:
    timers, limit = Timers(), ConnectionLimit[HttpConnection](2, 100)
    async with serving(limit, 100, timers, buffer_bytes=8192) as (port, _):
        slow = await asked(port, b"short")
        await until(lambda: timers.count(KEEP_ALIVE_S))
        await asyncio.get_running_loop().sock_sendall(slow, b"\x00\r\n\r\n")
        await until(lambda: timers.pass_by(SEND_S))
        await until(lambda: not len(limit))
        slow.close()


async def test_the_kernel_takes_little_of_an_unread_response() -> None:
    """Else it takes some megabytes, of which the limit would not know."""
    async with serving(ConnectionLimit[HttpConnection](9, 9), 100, buffer_bytes=None) as (port, unread):
        (slow,) = await strangers(port, unread, 1, b"medium")
        slow.close()


@pytest.mark.parametrize(
    "sent",
    [b"", REQUEST[:-2] % b"small", REQUEST % b"small", REQUEST % b"large", b"\x00\r\n\r\n"],
    ids=["nothing", "half a head", "request", "unread", "no HTTP"],
)
async def test_a_connection_that_has_ended_is_freed_without_the_collector(sent: bytes) -> None:
    """Else what each of a crowd has sent stays until it runs, which is seldom."""
    limit = ConnectionLimit[HttpConnection](9, 9)
    gc.collect()
    gc.disable()
    try:
        async with serving(limit, 100) as (port, _):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(sent)
            await until(lambda: len(limit))
            (ended,) = [weakref.ref(each) for each in gc.get_objects() if isinstance(each, HttpConnection)]
            writer.close()
            await until(lambda: ended() is None)
    finally:
        gc.enable()


class Begun:
    """Counts the requests that were begun; allows `/small`, knows nothing of `/lost`, and refuses the rest."""

    def __init__(self) -> None:
        self.count = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.count += 1
        if scope["path"] == "/small":
            await answer(scope, receive, send)
            return
        status = 404 if scope["path"] == "/lost" else 403
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"no"})


async def test_who_sends_many_requests_before_the_answers_gets_the_further_ones_with_rests() -> None:
    begun, timers = Begun(), Timers()
    async with serving(ConnectionLimit[HttpConnection](9, 9), 100, timers, app=begun) as (port, _):
        hasty = await asked(port, b"small", FREE_REQUESTS + 4)
        await until(lambda: timers.count(REST_SECONDS))
        assert begun.count == FREE_REQUESTS + 1
        assert await status(port) == b"200", "others are answered at once"
        before = begun.count
        assert timers.pass_by(REST_SECONDS) == 1
        await until(lambda: timers.count(2 * REST_SECONDS))
        assert begun.count == before + 1
        timers.pass_by(2 * REST_SECONDS)
        await until(lambda: timers.count(4 * REST_SECONDS))
        timers.pass_by(4 * REST_SECONDS)
        await until(lambda: begun.count == before + 3)
        hasty.close()


KEY = b"Authorization: Bearer hum_live_1"


@pytest.mark.parametrize(
    ("path", "header", "rests"),
    [
        (b"secret", b"", True),
        (b"secret", KEY, True),
        (b"lost", b"", True),
        (b"lost", KEY, False),
        (b"small", b"", False),
    ],
)
async def test_only_who_is_refused_rests_without_haste(path: bytes, header: bytes, rests: bool) -> None:
    begun, timers, loop = Begun(), Timers(), asyncio.get_running_loop()
    request = REQUEST.replace(b"Host: x", b"\r\n".join(line for line in (b"Host: x", header) if line)) % path
    async with serving(ConnectionLimit[HttpConnection](9, 9), 100, timers, app=begun) as (port, _):
        stranger = await asked(port, path, headers=header)
        for number in range(1, FREE_REQUESTS + 1):
            await until(partial(lambda number: begun.count == number, number))
            assert await loop.sock_recv(stranger, 1 << 16)
            await loop.sock_sendall(stranger, request)
        await until(lambda: begun.count == FREE_REQUESTS + 1)
        assert await loop.sock_recv(stranger, 1 << 16)
        assert timers.count(REST_SECONDS) == rests
        await loop.sock_sendall(stranger, request)
        assert await status(port) == b"200", "what was sent before has arrived"
        assert begun.count == FREE_REQUESTS + (2 if rests else 3)
        timers.pass_by(REST_SECONDS)
        await until(lambda: begun.count == FREE_REQUESTS + 3)
        stranger.close()
