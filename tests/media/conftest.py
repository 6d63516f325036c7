"""The media plane between stand-ins on loopback: a carrier, a model that answers by OpenAI's rules, a control that stores."""

import asyncio
import base64
import contextlib
import json
import math
import socket
from random import Random

import pytest
import uvicorn
import uvloop
import websockets
from grpc import StatusCode
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from hum import rpc
from hum.settings import MediaSettings
from hum.v1 import runtime_pb2 as pb
from hum.v1 import runtime_pb2_grpc
from media import app
from media.core.audio import from_linear
from sandbox.twilio import sign, simulate_call

ACCOUNT, TOKEN, NODE_KEY = "AC" + "a" * 32, "12345", "node key of these tests, long enough"
NUMBER, PERSON = "+13175550100", "+14155550123"
CALL_SID, STREAM_SID = "CA" + "1" * 32, "MZ" + "2" * 32
QUIET = b"\xff" * 160


def pytest_asyncio_loop_factories():
    return {"uvloop": uvloop.new_event_loop}


async def until(true, seconds=8.0):
    """Wait for a condition, looking every few ms."""
    async with asyncio.timeout(seconds):
        while not (found := true()):
            await asyncio.sleep(0.005)
    return found


def tone(ms, hz=440, peak=8_000):
    samples = (int(peak * math.sin(2 * math.pi * hz * n / 8000)) for n in range(ms * 8))
    return from_linear(b"".join(each.to_bytes(2, "little", signed=True) for each in samples)).replace(b"\xff", b"\xfe")


def voice(ms, seed=3, peak=9_000):
    """Noise that a detector takes for speech."""
    random = Random(seed)
    samples = (max(-30_000, min(30_000, int(random.gauss(0, peak / 2)))) for _ in range(ms * 8))
    return from_linear(b"".join(each.to_bytes(2, "little", signed=True) for each in samples)).replace(b"\xff", b"\xfe")


class FakeControl(runtime_pb2_grpc.MediaServiceServicer):
    """Opens sessions, stores batches once and in order, acknowledges; can be killed and come back with what it knows."""

    def __init__(self):
        self.sessions = {}
        self.opened = []
        self.batches = []
        self.deltas = []
        self.tool_requests = []
        self.nodes = set()
        self.hellos = []
        self.stored = {}
        self.downs = None
        self.acknowledges = True
        self.port = 0
        self._server = None

    async def start(self):
        settings = MediaSettings(HUM_NODE_KEY=NODE_KEY)
        self._server, self.port = rpc.server(settings, f"127.0.0.1:{self.port}")
        runtime_pb2_grpc.add_MediaServiceServicer_to_server(self, self._server)
        await self._server.start()

    async def stop(self):
        await self._server.stop(0)

    def offer(self, token, call_sid=None, **session):
        facts = {"call_id": f"call_{token}", "organization_id": "org_1", "instructions": "Be brief.", "model": "m"}
        self.sessions[token] = call_sid, pb.OpenSessionResponse(**(facts | session))

    async def OpenSession(self, request, context):
        await self._node(context)
        call_sid, session = self.sessions.pop(request.token, (None, None))
        if session is None or call_sid not in (None, request.call_sid):
            await context.abort(StatusCode.NOT_FOUND, "the token opens no stream")
        self.opened.append(request)
        return session

    async def Link(self, ups, context):
        node = await self._node(context)
        downs = self.downs = asyncio.Queue()
        reader = asyncio.create_task(self._read(ups, node, downs))
        try:
            while True:
                yield await downs.get()
        finally:
            reader.cancel()

    async def _read(self, ups, node, downs):
        async for up in ups:
            if up.WhichOneof("up") == "hello":
                self.hellos.append(up.hello)
                downs.put_nowait(pb.LinkDown(acknowledged_seq=self.stored.get(node, 0)))
                continue
            if up.WhichOneof("up") == "tool":
                self.tool_requests.append(up.tool)
                continue
            if up.WhichOneof("up") == "deltas":
                self.deltas += up.deltas.deltas
                continue
            self.batches.append((node, up.batch))
            self.stored[node] = up.batch.seq
            if self.acknowledges:
                downs.put_nowait(pb.LinkDown(acknowledged_seq=up.batch.seq))

    async def _node(self, context):
        metadata = dict(context.invocation_metadata())
        node = rpc.verify_node(NODE_KEY.encode(), metadata[rpc.CREDENTIAL].removeprefix(rpc.NODE_SCHEME))
        assert node is not None
        assert node.plane == "media"
        self.nodes.add(node.name)
        return node.name

    def reports(self, call_id=None):
        return [
            each for _, batch in self.batches for each in batch.reports if (call_id is None or each.call_id == call_id)
        ]

    def kinds(self, call_id=None):
        return [each.WhichOneof("report") for each in self.reports(call_id)]

    def ended(self, call_id=None):
        return next((each.ended for each in self.reports(call_id) if each.WhichOneof("report") == "ended"), None)

    def answer(self, request, output_json, status="ok"):
        result = pb.ToolResult(
            call_id=request.call_id, tool_call_id=request.tool_call_id, output_json=output_json, status=status
        )
        self.downs.put_nowait(pb.LinkDown(tool_result=result))

    def command(self, call_id, **command):
        self.downs.put_nowait(pb.LinkDown(command=pb.CallCommand(call_id=call_id, **command)))


@pytest.fixture
async def control():
    fake = FakeControl()
    await fake.start()
    yield fake
    await fake.stop()


class FakeModel:
    """A Realtime server: hears turns by level, answers with `answer` in 100 ms deltas at twice real time."""

    def __init__(self):
        self.url = ""
        self.answer = tone(1_000)
        self.status = None  # what the handshake is refused with
        self.dials = []
        self.received = []
        self.sockets = []
        self.tools = []
        self.fragments = False
        self.count = 0
        self.dies_after = None  # deltas until the connection is cut

    def types(self):
        return [each["type"] for each in self.received if each["type"] != "input_audio_buffer.append"]

    def heard(self):
        appended = (each for each in self.received if each["type"] == "input_audio_buffer.append")
        return b"".join(base64.b64decode(each["audio"]) for each in appended)

    def request(self, connection, request):
        self.dials.append(request)
        return connection.respond(self.status, "no\n") if self.status else None

    async def serve(self, socket):
        self.sockets.append(socket)
        session = Session(self, socket)
        with contextlib.suppress(websockets.ConnectionClosed):
            await session.emit("session.created", session={})
            async for text in socket:
                message = json.loads(text)
                self.received.append(message)
                await session.take(message)
        for task in session.tasks:
            task.cancel()


class Session:
    def __init__(self, model, socket):
        self.model, self.socket = model, socket
        self.tasks = []
        self.count = 0
        self.at_ms = self.loud = self.quiet = 0
        self.turn = None
        self.speaking = None

    async def emit(self, type, **body):
        text = json.dumps({"type": type, "event_id": "e", **body})
        await self.socket.send([text[:20], text[20:40], text[40:]] if self.model.fragments else text)

    async def take(self, message):
        match message["type"]:
            case "session.update":
                await self.emit("session.updated", session={})
            case "input_audio_buffer.append":
                await self.hear(base64.b64decode(message["audio"]))
            case "response.create":
                self.model.count += 1
                self.count = self.model.count
                self.speaking = asyncio.create_task(self.speak(f"resp_{self.count}", f"item_{self.count}"))
                self.tasks.append(self.speaking)
            case "response.cancel":
                self.speaking.cancel()
                await self.emit("response.done", response={"id": f"resp_{self.count}", "status": "cancelled"})

    async def hear(self, audio):
        for at in range(0, len(audio), 160):
            self.at_ms += 20
            loud = audio[at] != 0xFF
            self.loud, self.quiet = (self.loud + 1, 0) if loud else (0, self.quiet + 1)
            if self.turn is None and self.loud == 3:
                self.turn = f"user_{self.at_ms}"
                await self.emit("input_audio_buffer.speech_started", item_id=self.turn, audio_start_ms=self.at_ms - 60)
            elif self.turn is not None and self.quiet == 10:
                id, self.turn = self.turn, None
                await self.emit("input_audio_buffer.speech_stopped", item_id=id, audio_end_ms=self.at_ms - 200)
                await self.emit("input_audio_buffer.committed", item_id=id)
                name = "conversation.item.input_audio_transcription.completed"
                await self.emit(name, item_id=id, transcript="hello there")

    async def speak(self, response, item):
        model = self.model
        await self.emit("response.created", response={"id": response, "status": "in_progress"})
        if model.tools:
            name = model.tools.pop(0)
            body = {"id": item, "type": "function_call", "name": name}
            await self.emit("response.output_item.added", response_id=response, item=body)
            await self.emit(
                "response.function_call_arguments.done",
                response_id=response,
                item_id=item,
                call_id=f"call_{item}",
                name=name,
                arguments="{}",
            )
        else:
            body = {"id": item, "type": "message", "role": "assistant"}
            await self.emit("response.output_item.added", response_id=response, item=body)
            for number, at in enumerate(range(0, len(model.answer), 800)):
                if number == model.dies_after:
                    model.dies_after = None
                    self.socket.transport.abort()
                    return
                await self.emit("response.output_audio_transcript.delta", item_id=item, delta=f"word{number} ")
                delta = base64.b64encode(model.answer[at : at + 800]).decode()
                await self.emit("response.output_audio.delta", response_id=response, item_id=item, delta=delta)
                await asyncio.sleep(0.05)
        await self.emit("response.output_item.done", response_id=response, item=body)
        await self.emit("response.done", response={"id": response, "status": "completed"})


@pytest.fixture
async def model():
    fake = FakeModel()
    async with websockets.serve(
        fake.serve, "127.0.0.1", 0, process_request=fake.request, ping_interval=None, max_size=None, close_timeout=0.2
    ) as server:
        fake.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        yield fake


@pytest.fixture
def settings(control, model, tmp_path):
    """Makes the plane's settings; arguments are fields by their variables' names."""

    def make(**changed):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        facts = {
            "HUM_HOME": tmp_path,
            "HUM_NODE_KEY": NODE_KEY,
            "HUM_VAD_CONFIRM": False,  # callers here speak noise
            "HUM_CONTROL_ADDRESS": f"127.0.0.1:{control.port}",
            "HUM_MEDIA_LISTEN": f"127.0.0.1:{port}",
            "HUM_MEDIA_URL": f"ws://127.0.0.1:{port}",
            "TWILIO_AUTH_TOKEN": f"new token,{TOKEN}",
            "OPENAI_API_KEY": "sk-secret",
            "OPENAI_BASE_URL": model.url,
            "HUM_DRAIN_SECONDS": 0,
            "HUM_LINK_RETRY_MS": 20,
            "HUM_MODEL_RETRY_MS": 10,
            "HUM_END_ACK_SECONDS": 1.0,
            "HUM_MAX_LAG_MS": 10_000,
            "HUM_MAX_LATE_MS": 10_000,  # a machine that tests is a busy one
        }
        return MediaSettings(**(facts | changed))

    return make


class Plane:
    """A running media plane, and how the outside reaches it."""

    def __init__(self, given, media):
        self.given, self.media = given, media
        self.url = f"{given.media_url}/media/twilio"
        self.http = given.media_url.replace("ws:", "http:")

    @contextlib.asynccontextmanager
    async def line(self, signature=None, url=None):
        headers = {"X-Twilio-Signature": sign(TOKEN, self.url) if signature is None else signature}
        async with websockets.connect(
            url or self.url, additional_headers=headers, ping_interval=None, compression=None, close_timeout=0.3
        ) as connection:
            yield Line(connection)

    @contextlib.asynccontextmanager
    async def joined(self, token="t1"):
        """A stream that talks: until its call has started at control."""
        async with self.line() as line:
            await line.start(token=token)
            yield line


class Line:
    """The carrier's side, by hand."""

    def __init__(self, connection):
        self.connection = connection
        self.frames = 0

    async def say(self, event, **body):
        await self.connection.send(json.dumps({"event": event, "streamSid": STREAM_SID, **body}))

    async def start(self, call_sid=CALL_SID, **parameters):
        await self.say("connected", protocol="Call", version="1.0.0")
        body = {
            "streamSid": STREAM_SID,
            "callSid": call_sid,
            "accountSid": ACCOUNT,
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": parameters,
        }
        await self.say("start", start=body)

    async def media(self, ulaw=QUIET):
        body = {"track": "inbound", "timestamp": str(self.frames * 20), "payload": base64.b64encode(ulaw).decode()}
        self.frames += 1
        await self.say("media", media=body)

    async def closed(self, seconds=5.0):
        """Read on until it is closed from the other side: the code."""
        async with asyncio.timeout(seconds):
            with contextlib.suppress(websockets.ConnectionClosed):
                while True:
                    await self.connection.recv()
        return self.connection.close_code


@pytest.fixture
async def plane(settings):
    """Starts planes; each is drained at the end."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(**changed):
            given = settings(**changed)
            media = await stack.enter_async_context(app.build(given))
            return Plane(given, media)

        yield start


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self):
        yield


@pytest.fixture
async def ring():
    """Rings through the carrier's stand-in: the call whose voice URL connects it with a plane."""
    twiml = {}

    async def voice_url(request):
        return Response(twiml.pop("next", "<Response><Hangup/></Response>"), media_type="text/xml")

    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
    routes = [Route("/{rest:path}", voice_url, methods=["POST"])]
    server = _Server(uvicorn.Config(Starlette(routes=routes), lifespan="off", ws="none", log_config=None))
    serving = asyncio.create_task(server.serve(sockets=[listening]))

    async def call(plane, steps, token="t1", **more):
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
