"""A plain client of the realtime socket, without an SDK, and a fast model."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest
import websockets
from websockets.asyncio.client import ClientConnection

from sandbox.openai import Faults, Model, Script, SessionTruth, Settings
from sandbox.speech import sound

KEY = "sk-sandbox"
PATIENCE_S = 5
Event = dict[str, Any]

PCMU_SESSION = {
    "type": "realtime",
    "audio": {
        "input": {
            "format": {"type": "audio/pcmu"},
            "transcription": {"model": "gpt-4o-transcribe"},
            "turn_detection": {
                "type": "semantic_vad",
                "eagerness": "high",
                "create_response": False,
                "interrupt_response": False,
            },
        },
        "output": {"format": {"type": "audio/pcmu"}},
    },
}


def hasty(**changes: Any) -> Settings:
    return Settings(**({"latency_ms": 0, "transcription_delay_ms": 0, "speed": 1_000} | changes))


def speech(ms: int) -> bytes:
    """A loud sound, as μ-law."""
    return sound.encode(sound.sine(300, ms, 8_000))


def silence(ms: int) -> bytes:
    return b"\xff" * (8 * ms)


class Client:
    """Sends events and waits for them; `seen` is everything that came, in order."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.seen: list[Event] = []

    async def send(self, type: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": type, **fields}))

    async def say(self, *audio: bytes) -> None:
        for each in audio:
            await self.send("input_audio_buffer.append", audio=base64.b64encode(each).decode())

    async def next(self) -> Event:
        event: Event = json.loads(await asyncio.wait_for(self.socket.recv(), PATIENCE_S))
        self.seen.append(event)
        return event

    async def until(self, type: str, fits: Callable[[Event], bool] = lambda _: True) -> Event:
        """The next event of that type; skips others."""
        while True:
            event = await self.next()
            if event["type"] == type and fits(event):
                return event

    async def error(self) -> Event:
        error: Event = (await self.until("error"))["error"]
        return error

    async def configure(self, **audio_input: Any) -> Event:
        session: Event = json.loads(json.dumps(PCMU_SESSION))
        session["audio"]["input"] |= audio_input
        await self.send("session.update", session=session)
        updated: Event = (await self.until("session.updated"))["session"]
        return updated

    async def closed(self) -> int:
        """Read until the server closes; return its code."""
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                await self.next()
        assert self.socket.close_code is not None
        return self.socket.close_code

    def types(self) -> list[str]:
        return [each["type"] for each in self.seen]

    def of(self, type: str) -> list[Event]:
        return [each for each in self.seen if each["type"] == type]

    def audio(self) -> bytes:
        return b"".join(base64.b64decode(each["delta"]) for each in self.of("response.output_audio.delta"))


class House:
    """A model and its clients."""

    def __init__(self, model: Model) -> None:
        self.model = model

    @contextlib.asynccontextmanager
    async def call(self, key: str = KEY, query: str = "?model=gpt-realtime") -> AsyncIterator[Client]:
        url = self.model.url.replace("http", "ws") + "/realtime" + query
        headers = {"Authorization": f"Bearer {key}"}
        async with websockets.connect(url, additional_headers=headers, compression=None, max_queue=None) as socket:
            client = Client(socket)
            await client.until("session.created")
            yield client

    @property
    def truth(self) -> SessionTruth:
        return self.model.sessions[-1]


OpenHouse = Callable[..., contextlib.AbstractAsyncContextManager[House]]


@pytest.fixture
def house() -> OpenHouse:
    @contextlib.asynccontextmanager
    async def open_house(
        script: dict[str, Any] | None = None, faults: dict[str, Any] | None = None, **settings: Any
    ) -> AsyncIterator[House]:
        async with Model.serve(api_key=KEY, script=Script.of(script or {}), settings=hasty(**settings)) as model:
            if faults is not None:
                model.faults = Faults(**faults)
            yield House(model)

    return open_house


def dominant_hz(ulaw: bytes) -> float:
    from realtime.audio import decode

    spectrum = np.abs(np.fft.rfft(decode(ulaw).astype(float)))
    return float(np.argmax(spectrum) * 8_000 / len(ulaw))
