"""The media plane's end: whoever is connected may still begin a call, nobody is accepted any more, a hurry ends calls."""

import asyncio
import base64
import os
import socket

import pytest

from hum.process.signals import Signals
from media import app
from sandbox.twilio import sign
from tests.media.fakecontrol import FakeControl
from tests.media.planes import TOKEN, MakeSettings, Plane
from tests.support.present import present
from tests.support.waits import until


def upgrade(media: Plane) -> bytes:
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        f"GET /media/twilio HTTP/1.1\r\nHost: hum\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nX-Twilio-Signature: {sign(TOKEN, media.url)}\r\n\r\n"
    ).encode()


async def test_a_call_that_was_on_its_way_is_taken_and_nobody_else(
    settings: MakeSettings, control: FakeControl
) -> None:
    given = settings(HUM_DRAIN_SECONDS=20, linger_seconds=5)
    serving = app.build(given)
    media = Plane(given, await serving.__aenter__())
    reader, writer = await asyncio.open_connection("127.0.0.1", media.media.port)
    draining = asyncio.ensure_future(serving.__aexit__(None, None, None))
    await until(lambda: media.media.server.leaving)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", media.media.port)
    writer.write(upgrade(media))
    assert (await asyncio.wait_for(reader.readline(), 30)).startswith(b"HTTP/1.1 101")
    assert len(media.media.server) == 1
    writer.close()
    await asyncio.wait_for(draining, 60)


async def test_whoever_waits_in_the_queue_when_it_ends_is_taken(settings: MakeSettings, control: FakeControl) -> None:
    given = settings(HUM_DRAIN_SECONDS=20, linger_seconds=5)
    serving = app.build(given)
    media = Plane(given, await serving.__aenter__())
    waiting = [socket.create_connection(("127.0.0.1", media.media.port)) for _ in range(5)]
    draining = asyncio.ensure_future(serving.__aexit__(None, None, None))
    for each in waiting:
        each.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=each)
        writer.write(upgrade(media))
        assert (await asyncio.wait_for(reader.readline(), 30)).startswith(b"HTTP/1.1 101")
        writer.close()
    await asyncio.wait_for(draining, 60)


async def test_a_hurry_closes_calls_with_a_frame_and_reports_their_end(
    settings: MakeSettings, control: FakeControl
) -> None:
    control.offer("t1")
    given, signals = settings(HUM_DRAIN_SECONDS=3600, linger_seconds=60), Signals()
    serving = app.build(given, signals=signals)
    media = Plane(given, await serving.__aenter__())
    async with media.joined() as line:
        await until(lambda: "started" in control.kinds())
        signals.end_now.set()
        draining = asyncio.ensure_future(serving.__aexit__(None, None, None))
        assert await line.closed(15) == 1000
        await asyncio.wait_for(draining, 60)
    assert present(control.ended("call_t1")).reason == "drained"
