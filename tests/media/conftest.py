"""The media plane with stand-ins on loopback: a carrier, a model that follows OpenAI's rules, a control that stores."""

import asyncio
import base64
import contextlib
import json
import math
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest
import uvicorn
import uvloop
import websockets
from grpc import StatusCode, aio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request as Handshake
from websockets.http11 import Response as Refusal

from bench.programs import variables
from hum.contract import rpc
from hum.process.sockets import free_port
from hum.settings import MediaSettings
from hum.v1 import runtime_pb2 as pb
from hum.v1 import runtime_pb2_grpc
from media import app
from media.core.audio import from_linear
from sandbox.loopclock import LoopClock
from sandbox.openai import Call as ToolCall
from sandbox.openai import Faults, Settings, Turn
from sandbox.openai import Script as Play
from sandbox.openai.codec import Codec
from sandbox.openai.conversation import Conversation as Items
from sandbox.openai.ids import new_id
from sandbox.openai.record import Record
from sandbox.openai.script import Player
from sandbox.openai.session import Session
from sandbox.openai.stage import Stage, Voiced
from sandbox.openai.tones import Tones, recital
from sandbox.twilio import Call, sign, simulate_call
from sandbox.twilio.mediastream import MediaStream
from tests.support.patient import PATIENT
from tests.support.present import present
from tests.support.stalls import Stalls

ACCOUNT, TOKEN, NODE_KEY = "AC" + "a" * 32, "12345", "node key of these tests which is long enough"
NUMBER, PERSON = "+13175550100", "+14155550123"
CALL_SID, STREAM_SID = "CA" + "1" * 32, "MZ" + "2" * 32
QUIET = b"\xff" * 160


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


def heard(call: Call) -> bytes:
    """The agent's audio that the caller heard, without the breaks that a busy machine puts into it."""
    return b"".join(bytes(each.payload) for each in call.stream.playout.segments)


def nearly_all(clip: bytes, stalls: Stalls) -> bytes:
    """As much of a clip as the caller certainly hears: the ledger is accurate to 20 ms (docs/benchmarks/ledger.md)
    and to what this process was late."""
    return clip[: max(len(clip) // 2, len(clip) - 160 - int(stalls.longest_ms * 8))]


def tone(ms: int, hz: int = 440, peak: int = 8_000) -> bytes:
    samples = (int(peak * math.sin(2 * math.pi * hz * n / 8000)) for n in range(ms * 8))
    return from_linear(b"".join(each.to_bytes(2, "little", signed=True) for each in samples)).replace(b"\xff", b"\xfe")


def voice(ms: int, seed: int = 3, peak: int = 9_000) -> bytes:
    """Noise that the detector takes for speech."""
    random = Random(seed)
    samples = (max(-30_000, min(30_000, int(random.gauss(0, peak / 2)))) for _ in range(ms * 8))
    return from_linear(b"".join(each.to_bytes(2, "little", signed=True) for each in samples)).replace(b"\xff", b"\xfe")


Downs = asyncio.Queue[pb.LinkDown]
Context = aio.ServicerContext[Any, Any]


class FakeControl(runtime_pb2_grpc.MediaServiceServicer):
    """Opens sessions, stores batches once and in order, acknowledges; can be killed and restarted with its state."""

    def __init__(self) -> None:
        self.sessions: dict[str, tuple[str | None, pb.OpenSessionResponse]] = {}
        self.opened: list[pb.OpenSessionRequest] = []
        self.opens = asyncio.Event()  # while it is not set, sessions are slow to open
        self.opens.set()
        self.batches: list[tuple[str, pb.ReportBatch]] = []
        self.deltas: list[pb.CallDelta] = []
        self.tool_requests: list[pb.RunTool] = []
        self.answers: dict[str, str] = {}
        self.heard: dict[str, list[pb.Sound]] = {}  # by token: pieces
        self.overhears = asyncio.Event()  # while it is not set, nothing more is read
        self.overhears.set()
        self.leaves = asyncio.Event()  # the listeners do
        self.nodes = set[str]()
        self.hellos: list[pb.LinkHello] = []
        self.states: list[str] = []
        self.replies: list[pb.BrowserReply] = []
        self.stored: dict[str, int] = {}
        self.taken: list[tuple[str, str, list[str]]] = []
        self.links: dict[str, Downs] = {}  # by node
        self.downs: Downs | None = None  # of the latest link
        self.acknowledges = True
        self.port = 0
        self._server: aio.Server | None = None

    async def start(self) -> None:
        settings = MediaSettings(node_key=NODE_KEY, keepalive_seconds=0.05, keepalive_timeout_seconds=20)
        self._server, self.port = rpc.server(settings, f"127.0.0.1:{self.port}")
        runtime_pb2_grpc.add_MediaServiceServicer_to_server(self, self._server)
        await self._server.start()

    async def stop(self) -> None:
        await present(self._server).stop(0)

    def offer(self, token: str, call_sid: str | None = None, **session: Any) -> None:
        facts: dict[str, Any] = {
            "call_id": f"call_{token}",
            "organization_id": "org_1",
            "instructions": "Be brief.",
            "model": "m",
        }
        self.sessions[token] = call_sid, pb.OpenSessionResponse(**(facts | session))

    async def OpenSession(self, request: pb.OpenSessionRequest, context: Context) -> pb.OpenSessionResponse:
        await self._node(context)
        call_sid, session = self.sessions.pop(request.token, (None, None))
        if session is None or call_sid not in (None, request.call_sid):
            await context.abort(StatusCode.NOT_FOUND, "the token opens no stream")
        self.opened.append(request)
        await self.opens.wait()
        return session

    async def Link(self, ups: AsyncIterator[pb.LinkUp], context: Context) -> AsyncIterator[pb.LinkDown]:
        node = await self._node(context)
        downs = self.downs = self.links[node] = asyncio.Queue()
        reader = asyncio.create_task(self._read(ups, node, downs))
        try:
            while True:
                yield await downs.get()
        finally:
            reader.cancel()

    async def _read(self, ups: AsyncIterator[pb.LinkUp], node: str, downs: Downs) -> None:
        async for up in ups:
            if up.WhichOneof("up") == "hello":
                self.hellos.append(up.hello)
                downs.put_nowait(pb.LinkDown(acknowledged_seq=self.stored.get(node, 0)))
                continue
            if up.WhichOneof("up") == "state":
                self.states.append(up.state.refuses)
                continue
            if up.WhichOneof("up") == "browser":
                self.replies.append(up.browser)
                continue
            if up.WhichOneof("up") == "tool":
                self.tool_requests.append(up.tool)
                continue
            if up.WhichOneof("up") == "answer":
                self.answers[up.answer.command_id] = up.answer.outcome
                continue
            if up.WhichOneof("up") == "deltas":
                self.deltas += up.deltas.deltas
                continue
            self.batches.append((node, up.batch))
            self.stored[node] = up.batch.seq
            if self.acknowledges:
                downs.put_nowait(pb.LinkDown(acknowledged_seq=up.batch.seq))

    async def TakeCalls(self, request: pb.TakeCallsRequest, context: Context) -> pb.TakeCallsResponse:
        self.taken.append((request.from_node, await self._node(context), list(request.call_ids)))
        return pb.TakeCallsResponse()

    async def Overhear(
        self, requests: AsyncIterator[pb.OverhearRequest], context: Context
    ) -> AsyncIterator[pb.OverhearResponse]:
        await self._node(context)
        pieces = None

        async def read() -> None:
            nonlocal pieces
            async for request in requests:
                if pieces is None:
                    pieces = self.heard[request.token] = []
                else:
                    pieces.append(request.sound)
                await self.overhears.wait()

        yield pb.OverhearResponse()
        tasks = [asyncio.create_task(read()), asyncio.create_task(self.leaves.wait())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()

    def listen(self, call_id: str, token: str) -> None:
        ear = pb.OpenEar(address=f"127.0.0.1:{self.port}", token=token)
        self.command(call_id, listen=ear, command_id=token)

    async def _node(self, context: Context) -> str:
        metadata = dict(present(context.invocation_metadata()))
        node = rpc.verify_node(NODE_KEY.encode(), str(metadata[rpc.CREDENTIAL]).removeprefix(rpc.NODE_SCHEME))
        assert node is not None
        assert node.plane == "media"
        self.nodes.add(node.name)
        return node.name

    def reports(self, call_id: str | None = None) -> list[pb.Report]:
        return [
            each for _, batch in self.batches for each in batch.reports if (call_id is None or each.call_id == call_id)
        ]

    def kinds(self, call_id: str | None = None) -> list[str | None]:
        return [each.WhichOneof("report") for each in self.reports(call_id)]

    def ended(self, call_id: str | None = None) -> pb.StreamEnded | None:
        return next((each.ended for each in self.reports(call_id) if each.WhichOneof("report") == "ended"), None)

    def answer(self, request: pb.RunTool, output_json: str, status: str = "ok") -> None:
        result = pb.ToolResult(
            call_id=request.call_id, tool_call_id=request.tool_call_id, output_json=output_json, status=status
        )
        present(self.downs).put_nowait(pb.LinkDown(tool_result=result))

    def command(self, call_id: str, node: str | None = None, **command: Any) -> None:
        downs = present(self.downs) if node is None else self.links[node]
        downs.put_nowait(pb.LinkDown(command=pb.CallCommand(call_id=call_id, **command)))


@pytest.fixture
async def control() -> AsyncIterator[FakeControl]:
    fake = FakeControl()  # type: ignore[abstract]  # what it does not answer is UNIMPLEMENTED
    await fake.start()
    yield fake
    await fake.stop()


class Script(Player):
    """Calls the functions that the test names, one per answer; then it speaks."""

    def __init__(self, model: "FakeModel") -> None:
        super().__init__(Play())
        self.model = model

    def next_turn(self) -> Turn:
        tools = self.model.tools
        return Turn(call=ToolCall(tools.pop(0))) if tools else Turn(say="words")


class Voice(Tones):
    """Says the model's `answer`, whatever the words, and always hears the same."""

    def __init__(self, model: "FakeModel") -> None:
        super().__init__(Script(model))
        self.model = model

    def utter(self, text: str, voice: str, codec: Codec, then: Callable[[Voiced | Exception], None]) -> None:
        then(recital(self.model.answer, codec))

    def hear(self, codec: Codec, audio: bytes, then: Callable[[str | Exception], None]) -> None:
        then("hello there")


class FakeModel:
    """The sandbox's sessions on a socket that tests can break: each answer is `answer`, at once, at twice real time."""

    def __init__(self) -> None:
        self.url = ""
        self.answer = tone(1_000)
        self.status: int | None = None  # with which the handshake is refused
        self.dials: list[Handshake] = []
        self.received: list[dict[str, Any]] = []
        self.sockets: list[ServerConnection] = []
        self.tools: list[str] = []
        self.fragments = False
        self.dies_after: int | None = None  # number of deltas after which the connection is cut
        self.settings = Settings(
            latency_ms=0,
            transcription_delay_ms=0,
            eagerness_ms=dict.fromkeys(("low", "medium", "high", "auto"), 200),
            speech_dbfs=-80,
            word_lead_ms=0,
            padded_turns=False,
        )

    def types(self) -> list[str]:
        return [each["type"] for each in self.received if each["type"] != "input_audio_buffer.append"]

    def heard(self) -> bytes:
        appended = (each for each in self.received if each["type"] == "input_audio_buffer.append")
        return b"".join(base64.b64decode(each["audio"]) for each in appended)

    def request(self, connection: ServerConnection, request: Handshake) -> Refusal | None:
        self.dials.append(request)
        return connection.respond(self.status, "no\n") if self.status else None

    async def serve(self, socket: ServerConnection) -> None:
        self.sockets.append(socket)
        clock, voice, outbox = LoopClock(), Voice(self), asyncio.Queue[dict[str, Any]]()
        record = Record(new_id("sess"), "m")
        stage = Stage(outbox.put_nowait, Items(), record, Script(self), voice, self.settings, Faults(), clock, new_id)
        session = Session(stage, 0)
        writer = asyncio.create_task(self.write(socket, outbox))
        try:
            session.begin()
            async for text in socket:
                self.received.append(json.loads(text))
                session.handle(text)
        except websockets.ConnectionClosed:
            pass
        finally:
            session.close()
            clock.stop()
            writer.cancel()

    async def write(self, socket: ServerConnection, outbox: asyncio.Queue[dict[str, Any]]) -> None:
        deltas = 0
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                event = await outbox.get()
                if event["type"] == "response.output_audio.delta":
                    if deltas == self.dies_after:
                        self.dies_after = None
                        socket.transport.abort()
                        return
                    deltas += 1
                text = json.dumps(event)
                await socket.send([text[:20], text[20:40], text[40:]] if self.fragments else text)


@pytest.fixture
async def model() -> AsyncIterator[FakeModel]:
    fake = FakeModel()
    async with websockets.serve(
        fake.serve, "127.0.0.1", 0, process_request=fake.request, ping_interval=None, max_size=None, close_timeout=0.2
    ) as server:
        fake.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        yield fake


#: Its arguments are fields: settings by the names of their variables, constants by their own.
MakeSettings = Callable[..., MediaSettings]


@pytest.fixture
def settings(control: FakeControl, model: FakeModel, tmp_path: Path) -> MakeSettings:
    """Makes the plane's settings."""

    def make(**changed: Any) -> MediaSettings:
        port = free_port("127.0.0.1")
        facts: dict[str, Any] = {
            "HUM_HOME": tmp_path,
            "HUM_NODE_KEY": NODE_KEY,
            "vad_confirm": False,  # callers here are noise
            "HUM_CONTROL_ADDRESS": f"127.0.0.1:{control.port}",
            "HUM_MEDIA_LISTEN": f"127.0.0.1:{port}",
            "HUM_MEDIA_URL": f"ws://127.0.0.1:{port}",
            "TWILIO_AUTH_TOKEN": f"new token,{TOKEN}",
            "OPENAI_API_KEY": "sk-secret",
            "OPENAI_BASE_URL": model.url,
            "HUM_DRAIN_SECONDS": 0,
            "link_retry_ms": 20,
            "model_retry_ms": 10,
            "end_ack_seconds": 1.0,
            **PATIENT,
            "min_free_bytes": 0,  # its disk may be nearly full as well
            "disk_check_seconds": 0.05,
        }
        return MediaSettings(**(facts | changed))

    return make


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

    def __init__(self, given: MediaSettings, media: app.Media) -> None:
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


@pytest.fixture
async def plane(settings: MakeSettings) -> AsyncIterator[StartPlane]:
    """Starts planes; each is drained at the end."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(**changed: Any) -> Plane:
            given = settings(**changed)
            media = await stack.enter_async_context(app.build(given))
            return Plane(given, media)

        yield start


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


#: Its arguments: the plane, the caller's steps, the stream's token, and what else `simulate_call` takes.
Ring = Callable[..., Awaitable[Call]]


@pytest.fixture
async def ring() -> AsyncIterator[Ring]:
    """Calls through the carrier's stand-in: a call whose voice URL connects it to a plane."""
    twiml: dict[str, str] = {}

    async def voice_url(request: Request) -> Response:
        return Response(twiml.pop("next", "<Response><Hangup/></Response>"), media_type="text/xml")

    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
    routes = [Route("/{rest:path}", voice_url, methods=["POST"])]
    server = _Server(uvicorn.Config(Starlette(routes=routes), lifespan="off", ws="none", log_config=None))
    serving = asyncio.create_task(server.serve(sockets=[listening]))

    async def call(plane: Plane, steps: list[dict[str, Any]], token: str = "t1", **more: Any) -> Call:
        parameter = f'<Parameter name="token" value="{token}"/>'
        twiml["next"] = (
            f'<Response><Connect action="{url}next"><Stream url="{plane.url}">{parameter}</Stream></Connect></Response>'
        )
        return await simulate_call(
            url, account_sid=ACCOUNT, auth_token=TOKEN, to=NUMBER, from_=PERSON, steps=steps, **more
        )

    yield call
    server.should_exit = True
    await serving
