"""Media planes under test, and how they are reached from outside."""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import websockets
from websockets.asyncio.client import ClientConnection

from hum.settings import MediaSettings
from media import app
from sandbox.twilio import Call, sign
from sandbox.twilio.mediastream import MediaStream
from tests.media.fakecontrol import NODE_KEY
from tests.media.fakemodel import FakeModel
from tests.support.patient import PATIENT
from tests.support.programs import variables

ACCOUNT, TOKEN = "AC" + "a" * 32, "12345"
CALL_SID, STREAM_SID = "CA" + "1" * 32, "MZ" + "2" * 32
QUIET = b"\xff" * 160


#: Its arguments are fields: settings by the names of their variables, constants by their own.
MakeSettings = Callable[..., MediaSettings]


def program_environment(given: MediaSettings, model: FakeModel, home: Path, **changed: object) -> dict[str, str]:
    """The environment of a media plane in a process of its own."""
    settings = {
        "HUM_HOME": home,
        "HUM_NODE_KEY": NODE_KEY,
        "HUM_CONTROL_ADDRESS": given.control_address,
        "HUM_MEDIA_LISTEN": given.media_listen,
        "HUM_MEDIA_URL": given.media_url,
        "HUM_DRAIN_SECONDS": 0.2,
        **PATIENT,
        "min_free_bytes": 0,
        "GLIBC_TUNABLES": "glibc.malloc.hugetlb=0",  # else it starts twice
        "TWILIO_AUTH_TOKEN": TOKEN,
        "OPENAI_API_KEY": "sk-secret",
        "OPENAI_BASE_URL": model.url,
    }
    return variables({**os.environ, **settings, **changed})


class Plane:
    """A running media plane, and how to reach it from outside."""

    def __init__(self, given: MediaSettings, media: app.MediaPlane) -> None:
        self.given, self.media = given, media
        self.url = f"{given.media_url}/media/twilio"
        self.http = given.media_url.replace("ws:", "http:")

    @contextlib.asynccontextmanager
    async def line(self, signature: str | None = None, url: str | None = None) -> AsyncIterator["Line"]:
        headers = {"X-Twilio-Signature": sign(TOKEN, self.url) if signature is None else signature}
        async with websockets.connect(
            url or self.url, additional_headers=headers, ping_interval=None, compression=None, close_timeout=0.3
        ) as connection:
            yield Line(connection)

    @contextlib.asynccontextmanager
    async def joined(self, token: str = "t1") -> AsyncIterator["Line"]:
        """Open a stream and start it."""
        async with self.line() as line:
            await line.start(token=token)
            yield line


class Line:
    """The carrier's side, by hand."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.stream = MediaStream(STREAM_SID, call_sid=CALL_SID, account_sid=ACCOUNT)
        self.frames = 0

    async def say(self, event: str, **body: Any) -> None:
        await self.connection.send(json.dumps({"event": event, "streamSid": STREAM_SID, **body}))

    async def start(self, call_sid: str = CALL_SID, **parameters: Any) -> None:
        self.stream = MediaStream(STREAM_SID, call_sid=call_sid, account_sid=ACCOUNT)
        for message in self.stream.opening(parameters):
            await self.connection.send(message)

    async def media(self, ulaw: bytes = QUIET) -> None:
        await self.connection.send(self.stream.writer.media(self.frames * 20, ulaw))
        self.frames += 1

    async def closed(self, seconds: float = 30.0) -> int | None:
        """Read until the other side closes; return the code."""
        async with asyncio.timeout(seconds):
            with contextlib.suppress(websockets.ConnectionClosed):
                while True:
                    await self.connection.recv()
        return self.connection.close_code


#: Its arguments are the plane's settings.
StartPlane = Callable[..., Awaitable[Plane]]
#: Its arguments: the plane, the caller's steps, the stream's token, and what else `simulate_call` takes.
Ring = Callable[..., Awaitable[Call]]
