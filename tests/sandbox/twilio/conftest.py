"""A small customer application: a webhook server and a Media Streams agent, each scripted by the test."""

import base64
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import websockets
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from websockets.asyncio.server import ServerConnection

from sandbox.serving import serving
from sandbox.twilio import Carrier

ACCOUNT, TOKEN = "AC" + "a" * 32, "12345"
NUMBER, PERSON = "+13175550100", "+14155550123"
TONE = bytes([0x00, 0x80]) * 4000  # a loud 4 kHz square wave: one second
QUIET = b"\xff"


@dataclass
class Line:
    """The agent's end of one Media Stream."""

    socket: ServerConnection
    stream_sid: str = ""
    got: list[dict[str, Any]] = field(default_factory=list)

    async def send(self, event: str, **facts: Any) -> None:
        await self.socket.send(json.dumps({"event": event, "streamSid": self.stream_sid, **facts}))

    async def play(self, ulaw: bytes) -> None:
        await self.send("media", media={"payload": base64.b64encode(ulaw).decode()})

    async def mark(self, name: str) -> None:
        await self.send("mark", mark={"name": name})

    async def until(self, event: str) -> dict[str, Any]:
        """Read until the next message of that kind."""
        while True:
            message: dict[str, Any] = json.loads(await self.socket.recv())
            self.got.append(message)
            if message["event"] == "start":
                self.stream_sid = message["streamSid"]
            if message["event"] == event:
                return message


async def listen_only(line: Line) -> None:
    await line.until("stop")


@dataclass
class Customer:
    url: str = ""
    ws: str = ""
    answers: dict[str, list[Response]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str], dict[str, str]]] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    upgrades: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    agent: Callable[[Line], Awaitable[None]] = listen_only

    def answer(self, path: str, *bodies: str | Response) -> None:
        """Set a path's successive responses; the last one repeats."""
        self.answers[path] = [
            each if isinstance(each, Response) else Response(each, media_type="text/xml") for each in bodies
        ]

    def connect(self, action: str = "/next", rest: str = "") -> str:
        return (
            f'<Response><Connect action="{action}"><Stream url="{self.ws}/media?token=lost">'
            f'<Parameter name="token" value="t1"/></Stream></Connect>{rest}</Response>'
        )

    def paths(self) -> list[str]:
        return [path for path, _, _ in self.asked]

    def fields(self, path: str) -> dict[str, str]:
        return next(fields for asked, fields, _ in self.asked if asked == path)

    async def on_webhook(self, request: Request) -> Response:
        form = {name: str(value) for name, value in (await request.form()).items()}
        path = request.url.path
        self.asked.append((path, form, dict(request.headers)))
        answers = self.answers.get(path, [Response(status_code=204)])
        return answers.pop(0) if len(answers) > 1 else answers[0]

    async def on_stream(self, connection: ServerConnection) -> None:
        line = Line(connection)
        assert connection.request is not None
        self.upgrades.append((connection.request.path, dict(connection.request.headers.raw_items())))
        self.lines.append(line)
        with contextlib.suppress(websockets.ConnectionClosed):
            await line.until("start")
            await self.agent(line)


@pytest.fixture
async def customer() -> AsyncIterator[Customer]:
    peer = Customer()
    app = Starlette(routes=[Route("/{rest:path}", peer.on_webhook, methods=["GET", "POST"])])
    streams_served = websockets.serve(peer.on_stream, "127.0.0.1", 0, ping_interval=None)
    async with serving(app, "127.0.0.1:0") as (host, port), streams_served as streams:
        peer.url = f"http://{host}:{port}"
        peer.ws = f"ws://127.0.0.1:{streams.sockets[0].getsockname()[1]}"
        yield peer


@pytest.fixture
async def carrier(customer: Customer) -> AsyncIterator[Carrier]:
    async with Carrier.serve(
        account_sid=ACCOUNT, auth_token=TOKEN, numbers=[NUMBER], api_keys={"SKtest": "secret"}, say_ms_per_char=0
    ) as running:
        running.number(NUMBER).configure(
            {
                "voice_url": f"{customer.url}/voice#rc=2&rp=5xx",
                "voice_fallback_url": f"{customer.url}/fallback",
                "status_callback": f"{customer.url}/status",
            }
        )
        yield running


@pytest.fixture
def unused_port() -> int:
    """A loopback port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port
