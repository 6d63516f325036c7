"""Strangers at the media socket: what they hold, and what they make us hold, is bounded."""

import asyncio
import contextlib
import json
import os
import resource
import socket
import struct
import subprocess
import sys
from typing import cast

import httpx
import pytest
import websockets

from hum.process.descriptors import PER_CALL, SPARE
from hum.settings import MediaSettings
from media.listeningsocket import Capacity, capacity
from sandbox.twilio import sign
from tests.media.fakecontrol import FakeControl
from tests.media.fakemodel import FakeModel
from tests.media.planes import CALL_SID, TOKEN, Plane, StartPlane
from tests.support.waits import patience, until

DEEP = "[" * 30_000
#: Far more than the buffers of both systems hold.
MUCH_BYTES = 64 << 20


async def connection(media: Plane) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", media.media.port, limit=1 << 10)


async def ends(reader: asyncio.StreamReader, seconds: float = 30.0) -> bool:
    async with asyncio.timeout(seconds):
        with contextlib.suppress(ConnectionError):
            while await reader.read(4096):
                pass
    return True


def upgrade(media: Plane, path: str = "/media/twilio") -> bytes:
    lines = (
        f"GET {path} HTTP/1.1",
        f"Host: 127.0.0.1:{media.media.port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        f"X-Twilio-Signature: {sign(TOKEN, media.url)}",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def masked(opcode: int, payload: bytes) -> bytes:
    assert len(payload) < 126
    return struct.pack(">BBI", 0x80 | opcode, 0x80 | len(payload), 0) + payload


async def sends_and_never_reads(media: Plane, frames: bytes) -> int:
    """How many bytes a stream takes from somebody who reads nothing, until it is closed; MUCH_BYTES: for ever."""
    reader, writer = await connection(media)
    writer.write(upgrade(media))
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
    cast("asyncio.Transport", writer.transport).pause_reading()
    sent = 0
    try:
        async with patience():
            while sent < MUCH_BYTES:
                writer.write(frames)
                await writer.drain()
                sent += len(frames)
                if writer.transport.is_closing():
                    break
                await asyncio.sleep(0)
    except ConnectionError:
        pass
    finally:
        writer.transport.abort()
    return sent


async def test_pongs_that_nobody_reads_close_the_socket(plane: StartPlane, control: FakeControl) -> None:
    media = await plane(start_seconds=60)
    pings = masked(0x9, b"p" * 125) * 100
    assert await sends_and_never_reads(media, pings) < MUCH_BYTES
    await until(lambda: len(media.media.server) == 0)


async def test_a_call_that_does_not_read_is_a_protocol_error(
    plane: StartPlane, control: FakeControl, model: FakeModel
) -> None:
    control.offer("t1")
    media = await plane()
    reader, writer = await connection(media)
    writer.write(upgrade(media))
    await reader.readuntil(b"\r\n\r\n")
    media_format = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
    start = {"streamSid": "MZ1", "callSid": CALL_SID, "mediaFormat": media_format, "customParameters": {"token": "t1"}}
    text = json.dumps({"event": "start", "start": start}).encode()
    writer.write(struct.pack(">BBHI", 0x81, 0x80 | 126, len(text), 0) + text)
    await until(lambda: "started" in control.kinds())
    cast("asyncio.Transport", writer.transport).pause_reading()
    pings = masked(0x9, b"p" * 125) * 100
    with contextlib.suppress(ConnectionError):
        for _ in range(MUCH_BYTES // len(pings)):
            writer.write(pings)
            await writer.drain()
            if control.ended("call_t1") or writer.transport.is_closing():
                break
            await asyncio.sleep(0)
    ended = await until(lambda: control.ended("call_t1"))
    assert (ended.reason, ended.detail) == ("carrier_protocol", "it does not read what it is sent")
    writer.transport.abort()


async def test_streams_without_a_start_are_few_and_the_oldest_goes_first(
    plane: StartPlane, control: FakeControl, model: FakeModel
) -> None:
    control.offer("t1")
    media = await plane(max_waiting=3, HUM_MAX_CALLS=1, start_seconds=60)
    async with contextlib.AsyncExitStack() as stack:
        lines = [await stack.enter_async_context(media.line()) for _ in range(3)]
        await until(lambda: len(media.media.server) == 3)
        assert media.media.server.streams.calls == 0, "none of them is a call yet"
        newest = await stack.enter_async_context(media.line())
        assert await lines[0].closed() == 1013
        await until(lambda: len(media.media.server) == 3)
        assert lines[1].connection.state is websockets.State.OPEN
        await newest.start(token="t1")
        await until(lambda: "started" in control.kinds())
        assert media.media.server.streams.calls == 1


async def test_a_hundred_streams_that_never_start_leave_the_next_caller_a_place(
    plane: StartPlane, control: FakeControl, model: FakeModel
) -> None:
    control.offer("t1")
    media = await plane(max_waiting=4, HUM_MAX_CALLS=2, start_seconds=60)
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(100):
            await stack.enter_async_context(media.line())
        assert len(media.media.server) <= 5
        async with media.joined():
            await until(lambda: "started" in control.kinds())


async def test_connections_without_a_request_are_few_and_the_oldest_goes_first(plane: StartPlane) -> None:
    media = await plane(max_waiting=3, start_seconds=60)
    opened = [await connection(media) for _ in range(5)]
    for reader, _ in opened[:2]:
        assert await ends(reader)
    async with httpx.AsyncClient(base_url=media.http) as http:
        assert (await http.get("/healthz")).status_code == 200
    async with media.line():
        await until(lambda: len(media.media.server) == 1)
    assert not opened[4][0].at_eof()
    for _, writer in opened:
        writer.close()


async def test_a_request_that_does_not_come_or_not_wholly_has_a_deadline(plane: StartPlane) -> None:
    media = await plane(start_seconds=0.3)
    (idle, first), (half, second) = [await connection(media) for _ in range(2)]
    second.write(upgrade(media)[:-10])
    async with media.line() as line:  # the other deadline: a request has come, its stream does not start
        assert await line.closed() == 1008
    assert await ends(idle, 4) and await ends(half, 4)
    first.close()
    second.close()


@pytest.mark.parametrize(
    "text", [DEEP, '{"x":' + DEEP, '{"event":"start","start":' + DEEP, '{"event":"media","media":{"a":' + DEEP]
)
@pytest.mark.parametrize("talks", [False, True])
async def test_json_that_is_too_deep_is_a_protocol_error(
    plane: StartPlane, control: FakeControl, model: FakeModel, text: str, talks: bool
) -> None:
    control.offer("t1")
    media = await plane()
    async with media.line() as line:
        if talks:
            await line.start(token="t1")
            await until(lambda: "started" in control.kinds())
        await line.connection.send(text)
        assert await line.closed() == 1002
    if talks:
        ended = await until(lambda: control.ended("call_t1"))
        assert ended.reason == "carrier_protocol"


def settings_of(max_calls: int, max_waiting: int) -> MediaSettings:
    return MediaSettings(max_calls=max_calls, max_waiting=max_waiting)


def test_room_is_what_the_settings_say_and_what_descriptors_allow() -> None:
    assert capacity(settings_of(250, 256), 65_000) == Capacity(250, 256)
    few = capacity(settings_of(250, 256), 110)
    assert few.calls >= 15 and few.pending >= 10
    assert few.calls * PER_CALL + 2 * few.pending + SPARE <= 110
    assert capacity(settings_of(250, 256), 20) == Capacity(0, 2)


WITHOUT_DESCRIPTORS = """
import asyncio, os, resource, sys, time
import uvloop
from picows import WSListener, ws_create_server
from hum.process import sockets; from hum.observe import logs
from hum.settings import Common
from media.listeningsocket import Capacity, ListeningSocket

async def main():
    logs.start(Common(), "test")
    listening_socket = ListeningSocket(sockets.listening_socket("127.0.0.1:0", "HUM_MEDIA_LISTEN"), Capacity(100, 100))
    await ws_create_server(lambda request: WSListener(), sock=listening_socket, backlog=100)
    held = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    while True:
        try:
            held.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            break
    print(listening_socket.getsockname()[1], flush=True)
    await asyncio.sleep(1.0)
    print(time.process_time(), flush=True)
    await asyncio.sleep(2.0)
    print(time.process_time(), flush=True)
    for each in held:
        os.close(each)
    print("free", flush=True)
    await asyncio.sleep(30)

uvloop.run(main())
"""


@pytest.mark.strain
def test_without_a_descriptor_connections_are_turned_away_and_the_loop_does_not_spin() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WITHOUT_DESCRIPTORS], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        address = ("127.0.0.1", int(process.stdout.readline()))
        turned_away = []
        for _ in range(20):
            with socket.create_connection(address, timeout=5) as stranger:
                stranger.settimeout(5)
                with contextlib.suppress(ConnectionError):
                    assert stranger.recv(1) == b""
                turned_away.append(stranger)
        assert len(turned_away) == 20
        before, after = float(process.stdout.readline()), float(process.stdout.readline())
        assert after - before < 0.5, "two seconds without a descriptor cost less than a quarter of a core"
        assert process.stdout.readline() == "free\n"
        with socket.create_connection(address, timeout=5) as stranger:
            stranger.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            stranger.settimeout(5)
            assert stranger.recv(100).startswith(b"HTTP/1.1")
        process.kill()
        logged = process.stderr.read()
    assert "Traceback" not in logged
    assert logged.count("turned away") <= 1


def test_the_limit_of_descriptors_is_raised_to_what_the_system_allows() -> None:
    code = (
        "from hum.process import descriptors; import resource; descriptors.raise_limit(); print(*resource.getrlimit(7))"
    )
    assert resource.RLIMIT_NOFILE == 7
    shown = subprocess.run(
        ["sh", "-c", 'ulimit -Sn 100; ulimit -Hn 500; exec "$0" -c "$1"', sys.executable, code],
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ),
    )
    assert shown.stdout.split() == ["500", "500"]
