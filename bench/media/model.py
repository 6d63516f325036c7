"""A stand-in for the model, light enough for hundreds of sessions: speaks the events of OpenAI's Realtime API (GA).

Hears turns by level, answers each `response.create` with 8 s of audio in 100 ms deltas at twice real time.  The first
16 bytes of an answer's audio say when its first delta was sent (`STAMP`): whoever gets the audio can tell how long it
was under way.
"""

import asyncio
import base64
import binascii
import math
import re
import struct
import sys
import time
from array import array

import msgspec
import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

from bench.media.speech import SPEECH_DBFS
from media.core.audio import from_linear, pcm_level_db, to_linear

STAMP = struct.Struct(">8sQ")  # magic, monotonic nanoseconds
MAGIC = b"\x00\x80\x00\x80\x00\x00\x80\x80"
DELTAS, DELTA_BYTES = 80, 800
DELTA_SECONDS = 0.05
LOUD_DB = -45.0
STARTS_AFTER, STOPS_AFTER = 3, 15  # frames
FRAME_BYTES = 160
TEXT = WSMsgType.TEXT
APPEND = b'{"type":"input_audio_buffer.append","audio":"'
ITEM = re.compile(rb'"item_id":"([^"]+)"')


def _tone() -> bytes:
    peak = 32_768 * 10 ** (SPEECH_DBFS / 20) * math.sqrt(2)
    samples = array("h", (int(peak * math.sin(2 * math.pi * 300 * n / 8_000)) for n in range(DELTA_BYTES)))
    return from_linear(samples.tobytes())


DELTA = _tone()
DELTA_B64 = base64.b64encode(DELTA)


class Session(WSListener):
    def __init__(self) -> None:
        self._transport: WSTransport
        self._heard = 0
        self._loud = self._quiet = 0
        self._turn: bytes | None = None
        self._answers = 0
        self._left = 0  # deltas of the answer under way
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self._say(b'{"type":"session.created","event_id":"e","session":{"type":"realtime"}}')

    def on_ws_disconnected(self, transport: WSTransport) -> None:  # noqa: ARG002 - picows calls it
        if self._timer is not None:
            self._timer.cancel()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type != TEXT:
            if frame.msg_type == WSMsgType.CLOSE:
                transport.disconnect()
            return
        text = frame.get_payload_as_bytes()
        if text.startswith(APPEND):
            self._hear(binascii.a2b_base64(text[len(APPEND) : -2]))
        else:
            self._asked(text)

    def _asked(self, text: bytes) -> None:
        type = msgspec.json.decode(text)["type"]
        match type:
            case "session.update":
                self._say(b'{"type":"session.updated","event_id":"e","session":{"type":"realtime"}}')
            case "response.create":
                self._create()
            case "response.cancel":
                if self._left:
                    self._finish(b"cancelled")
            case "conversation.item.truncate":
                item = ITEM.search(text)
                assert item is not None
                body = b'{"type":"conversation.item.truncated","event_id":"e","item_id":"%b","content_index":0,"audio_end_ms":0}'
                self._say(body % item[1])
            case "conversation.item.delete":
                item = ITEM.search(text)
                assert item is not None
                self._say(b'{"type":"conversation.item.deleted","event_id":"e","item_id":"%b"}' % item[1])
            case _:
                pass

    # Hearing.

    def _hear(self, audio: bytes) -> None:
        for at in range(0, len(audio), FRAME_BYTES):
            self._heard += 20
            loud = pcm_level_db(to_linear(audio[at : at + FRAME_BYTES])) > LOUD_DB
            self._loud, self._quiet = (self._loud + 1, 0) if loud else (0, self._quiet + 1)
            if self._turn is None and self._loud == STARTS_AFTER:
                self._turn = b"user_%d" % self._heard
                body = b'{"type":"input_audio_buffer.speech_started","event_id":"e","audio_start_ms":%d,"item_id":"%b"}'
                self._say(body % (self._heard - 60, self._turn))
            elif self._turn is not None and self._quiet == STOPS_AFTER:
                self._commit(self._turn)

    def _commit(self, turn: bytes) -> None:
        self._turn = None
        body = b'{"type":"input_audio_buffer.speech_stopped","event_id":"e","audio_end_ms":%d,"item_id":"%b"}'
        self._say(body % (self._heard - 20 * STOPS_AFTER, turn))
        self._say(
            b'{"type":"input_audio_buffer.committed","event_id":"e","previous_item_id":null,"item_id":"%b"}' % turn
        )
        item = b'{"id":"%b","type":"message","role":"user","status":"completed"}' % turn
        self._say(b'{"type":"conversation.item.added","event_id":"e","item":%b}' % item)
        self._say(
            b'{"type":"conversation.item.input_audio_transcription.completed","event_id":"e","item_id":"%b",'
            b'"content_index":0,"transcript":"what the caller said just now"}' % turn
        )

    # Answering.

    def _create(self) -> None:
        if self._left:
            self._say(
                b'{"type":"error","event_id":"e","error":{"type":"invalid_request_error",'
                b'"code":"conversation_already_has_active_response","message":"active"}}'
            )
            return
        self._answers += 1
        self._left = DELTAS
        number = self._answers
        self._say(
            b'{"type":"response.created","event_id":"e","response":{"id":"resp_%d","status":"in_progress"}}' % number
        )
        item = b'{"id":"item_%d","type":"message","role":"assistant","status":"in_progress"}' % number
        head = (
            b'{"type":"response.output_item.added","event_id":"e","response_id":"resp_%d","output_index":0,"item":%b}'
        )
        self._say(head % (number, item))
        self._say(b'{"type":"conversation.item.added","event_id":"e","item":%b}' % item)
        self._due = asyncio.get_running_loop().time()
        self._delta()

    def _delta(self) -> None:
        number, spoken = self._answers, DELTAS - self._left
        head = b'{"type":"%b","event_id":"event_%d","response_id":"resp_%d","item_id":"item_%d","output_index":0,"content_index":0,"delta":"%b"}'
        if spoken % 3 == 0:
            self._say(head % (b"response.output_audio_transcript.delta", spoken, number, number, b" something"))
        audio = DELTA_B64
        if spoken == 0:
            audio = base64.b64encode(STAMP.pack(MAGIC, time.monotonic_ns()) + DELTA[STAMP.size :])
        self._say(head % (b"response.output_audio.delta", spoken, number, number, audio))
        self._left -= 1
        if not self._left:
            self._finish(b"completed")
            return
        self._due += DELTA_SECONDS
        self._timer = asyncio.get_running_loop().call_at(self._due, self._delta)

    def _finish(self, status: bytes) -> None:
        self._left = 0
        if self._timer is not None:
            self._timer.cancel()
        number = self._answers
        item = b'{"id":"item_%d","type":"message","role":"assistant","status":"%b"}' % (number, status)
        self._say(
            b'{"type":"response.output_audio.done","event_id":"e","response_id":"resp_%d","item_id":"item_%d"}'
            % (number, number)
        )
        self._say(
            b'{"type":"response.output_item.done","event_id":"e","response_id":"resp_%d","item":%b}' % (number, item)
        )
        self._say(
            b'{"type":"response.done","event_id":"e","response":{"id":"resp_%d","status":"%b"}}' % (number, status)
        )

    def _say(self, text: bytes) -> None:
        self._transport.send(TEXT, text)


async def serve() -> None:
    def accept(_: WSUpgradeRequest) -> WSListener:
        return Session()

    server = await ws_create_server(accept, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    try:
        uvloop.run(serve())
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(0)
