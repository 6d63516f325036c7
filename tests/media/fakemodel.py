"""A model on a socket, which follows OpenAI's rules."""

import asyncio
import base64
import contextlib
import json
from collections.abc import Callable
from typing import Any

import websockets
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request as Handshake
from websockets.http11 import Response as Refusal

from realtime.codec import Codec
from realtime.conversation import RealtimeConversation as Items
from realtime.ids import new_id
from realtime.mind import Voiced
from realtime.record import SessionRecord
from sandbox.loopclock import LoopClock
from sandbox.openai import Faults, Settings, Turn
from sandbox.openai import FunctionCall as ToolCall
from sandbox.openai import Script as Play
from sandbox.openai.script import ScriptPlayer
from sandbox.openai.scriptedsession import ScriptedSession
from sandbox.openai.stage import StandInStage
from sandbox.openai.tones import Tones, recital
from tests.media.audio import tone


class Script(ScriptPlayer):
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
        record = SessionRecord(new_id("sess"), "m")
        stage = StandInStage.of(
            outbox.put_nowait, Items(), record, Script(self), voice, self.settings, Faults(), clock, new_id
        )
        session = ScriptedSession(stage, 0)
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
