"""The baseline: the minimum that carries workload M: two sockets a call, one detector run a frame, a paced refill.

No ledger, no tenancy, no reports, no recovery, and an interrupted answer is never resumed: the cost of a gateway beyond
this baseline is the cost of these features.
"""

import argparse
import asyncio
import binascii
import sys

import msgspec
import uvloop
import webrtcvad
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_connect, ws_create_server

from media.core.audio import pcm_level_db, to_linear

TEXT, CLOSE = WSMsgType.TEXT, WSMsgType.CLOSE
TICK_SECONDS = 0.02
LEAD_SECONDS = 0.2
MESSAGE_BYTES = 800
RATE = 8_000
LOUD_DB = -50.0  # excludes line noise
#: Mu-law both ways, and no answers unless requested.
SESSION = msgspec.json.encode(
    {
        "type": "session.update",
        "session": {
            "type": "realtime",
            "audio": {
                "input": {
                    "format": {"type": "audio/pcmu"},
                    "transcription": {"model": "whisper-1"},
                    "turn_detection": {"type": "semantic_vad", "create_response": False, "interrupt_response": False},
                },
                "output": {"format": {"type": "audio/pcmu"}},
            },
        },
    }
)


class _Media(msgspec.Struct):
    payload: bytes
    timestamp: str


class _Start(msgspec.Struct):
    streamSid: str  # noqa: N815 - the wire's name


class _Mark(msgspec.Struct):
    name: str


class _FromCarrier(msgspec.Struct):
    event: str
    media: _Media | None = None
    start: _Start | None = None
    mark: _Mark | None = None


class _FromModel(msgspec.Struct):
    type: str
    delta: str = ""


_carrier = msgspec.json.Decoder(_FromCarrier).decode
_model = msgspec.json.Decoder(_FromModel).decode


class Call(WSListener):
    def __init__(self, calls: "set[Call]", model_url: str) -> None:
        self._calls, self._model_url = calls, model_url
        self._transport: WSTransport | None = None
        self._model: WSTransport | None = None
        self._sid = b""
        self._vad = webrtcvad.Vad(2)
        self._recent = 0
        self._queue = bytearray()
        self._ends_at = 0.0
        self._answering = self._muted = False
        self._marks = 0
        self._loop = asyncio.get_running_loop()

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self._calls.add(self)

    def on_ws_disconnected(self, transport: WSTransport) -> None:  # noqa: ARG002 - picows calls it
        self._transport = None
        self._calls.discard(self)
        if self._model is not None:
            self._model.disconnect()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type != TEXT:
            if frame.msg_type == CLOSE:
                transport.disconnect()
            return
        message = _carrier(frame.get_payload_as_memoryview())
        if message.media is not None:
            self._caller_frame(message.media.payload)
        elif message.start is not None:
            self._sid = message.start.streamSid.encode()
            self._dialling = asyncio.create_task(self._dial())

    def _caller_frame(self, ulaw: bytes) -> None:
        if self._model is not None:
            append = b'{"type":"input_audio_buffer.append","audio":"' + binascii.b2a_base64(ulaw, newline=False) + b'"}'
            self._model.send(TEXT, append)
        pcm = to_linear(ulaw)
        voiced = pcm_level_db(pcm) > LOUD_DB and self._vad.is_speech(pcm, RATE)
        self._recent = (self._recent << 1 | voiced) & 0b1111
        if self._recent.bit_count() >= 3 and (self._queue or self._ends_at > self._loop.time()):
            self._recent = 0
            self._clear()

    def _clear(self) -> None:
        self._queue.clear()
        self._ends_at = 0.0
        self._say(b'{"event":"clear","streamSid":"%b"}' % self._sid)
        if self._answering and self._model is not None:
            self._muted = True
            self._model.send(TEXT, b'{"type":"response.cancel"}')

    # The model.

    async def _dial(self) -> None:
        await ws_connect(lambda: Model(self), self._model_url)

    def model_open(self, model: WSTransport) -> None:
        self._model = model
        model.send(TEXT, SESSION)

    def from_model(self, payload: memoryview) -> None:
        event = _model(payload)
        match event.type:
            case "response.output_audio.delta":
                if not self._muted:
                    self._queue += binascii.a2b_base64(event.delta)
                    self.refill(self._loop.time())
            case "input_audio_buffer.committed":
                if not self._answering and self._model is not None:
                    self._answering, self._muted = True, False
                    self._model.send(TEXT, b'{"type":"response.create"}')
            case "response.done":
                self._answering = False
            case _:
                pass

    def refill(self, now: float) -> None:
        while self._queue and self._ends_at - now < LEAD_SECONDS:
            payload = bytes(self._queue[:MESSAGE_BYTES])
            del self._queue[:MESSAGE_BYTES]
            self._ends_at = max(now, self._ends_at) + len(payload) / RATE
            self._marks += 1
            audio = binascii.b2a_base64(payload, newline=False)
            self._say(b'{"event":"media","streamSid":"%b","media":{"payload":"%b"}}' % (self._sid, audio))
            self._say(b'{"event":"mark","streamSid":"%b","mark":{"name":"%d"}}' % (self._sid, self._marks))

    def _say(self, text: bytes) -> None:
        if self._transport is not None:
            self._transport.send(TEXT, text)


class Model(WSListener):
    def __init__(self, call: Call) -> None:
        self._call = call

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._call.model_open(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:  # noqa: ARG002 - picows calls it
        if frame.msg_type == TEXT:
            self._call.from_model(frame.get_payload_as_memoryview())


async def serve(model_url: str) -> None:
    calls: set[Call] = set()

    def accept(_: WSUpgradeRequest) -> WSListener:
        return Call(calls, model_url)

    server = await ws_create_server(accept, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        due += TICK_SECONDS
        await asyncio.sleep(due - loop.time())
        now = loop.time()
        for call in tuple(calls):
            call.refill(now)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    try:
        uvloop.run(serve(parser.parse_args().model))
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(0)
