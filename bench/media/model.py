"""A stand-in for the model, light enough for hundreds of sessions: speaks the events of OpenAI's Realtime API (GA).

Hears turns by level, answers each `response.create` with 8 s of audio in 100 ms deltas at twice real time.  The first
16 bytes of an answer's audio say when its first delta was sent (`STAMP`): whoever gets the audio can tell how long it
was under way.  A session that names `turn_detection` has answers created, and interrupted, as it says; one that names
`audio/pcm` hears and speaks 24 kHz, and its audio has no stamp, which no resampler would leave alone.
"""

import argparse
import asyncio
import base64
import binascii
import math
import ssl
import struct
import sys
import time
from array import array
from pathlib import Path
from typing import Any

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
PCM_FRAME_BYTES = 20 * 24 * 2
TEXT = WSMsgType.TEXT
APPEND = b'{"type":"input_audio_buffer.append","audio":"'


def _tone(rate_hz: int) -> bytes:
    """100 ms of 16-bit PCM."""
    peak = 32_768 * 10 ** (SPEECH_DBFS / 20) * math.sqrt(2)
    return array("h", (int(peak * math.sin(2 * math.pi * 300 * n / rate_hz)) for n in range(rate_hz // 10))).tobytes()


DELTA = from_linear(_tone(8_000))
DELTA_B64 = base64.b64encode(DELTA)
PCM_DELTA_B64 = base64.b64encode(_tone(24_000))


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
        self._pcm = False
        self._detects = True
        self._creates = self._interrupts = False
        self._unheard = b""  # less than a frame

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
        message = msgspec.json.decode(text)
        match message["type"]:
            case "session.update":
                self._configure(message["session"].get("audio", {}).get("input") or {})
                self._say(b'{"type":"session.updated","event_id":"e","session":{"type":"realtime"}}')
            case "response.create":
                self._create()
            case "response.cancel":
                if self._left:
                    self._finish(b"cancelled")
            case "input_audio_buffer.append":  # with its members in another order than ours
                self._hear(binascii.a2b_base64(message["audio"]))
            case "input_audio_buffer.commit":
                self._commit(b"user_%d" % self._heard)
            case "conversation.item.truncate":
                body = b'{"type":"conversation.item.truncated","event_id":"e","item_id":"%b","content_index":0,"audio_end_ms":0}'
                self._say(body % message["item_id"].encode())
            case "conversation.item.delete":
                self._say(
                    b'{"type":"conversation.item.deleted","event_id":"e","item_id":"%b"}' % message["item_id"].encode()
                )
            case _:
                pass

    def _configure(self, listening: dict[str, Any]) -> None:
        self._pcm = (listening.get("format") or {}).get("type") == "audio/pcm"
        detection = listening.get("turn_detection")
        self._detects = detection is not None or "turn_detection" not in listening
        self._creates = bool(detection) and detection.get("create_response") is not False
        self._interrupts = bool(detection) and detection.get("interrupt_response") is not False

    # Hearing.

    def _hear(self, audio: bytes) -> None:
        frame_bytes = PCM_FRAME_BYTES if self._pcm else FRAME_BYTES
        audio = self._unheard + audio
        whole = len(audio) // frame_bytes * frame_bytes
        self._unheard = audio[whole:]
        for at in range(0, whole, frame_bytes):
            self._heard += 20
            if not self._detects:
                continue
            frame = audio[at : at + frame_bytes]
            loud = pcm_level_db(frame if self._pcm else to_linear(frame)) > LOUD_DB
            self._loud, self._quiet = (self._loud + 1, 0) if loud else (0, self._quiet + 1)
            if self._turn is None and self._loud == STARTS_AFTER:
                self._turn = b"user_%d" % self._heard
                body = b'{"type":"input_audio_buffer.speech_started","event_id":"e","audio_start_ms":%d,"item_id":"%b"}'
                self._say(body % (self._heard - 60, self._turn))
                if self._interrupts and self._left:
                    self._finish(b"cancelled")
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
        if self._creates and not self._left:
            self._create()

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
        audio = PCM_DELTA_B64 if self._pcm else DELTA_B64
        if spoken == 0 and not self._pcm:
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
        whole = b"completed" if status == b"completed" else b"incomplete"
        item = b'{"id":"item_%d","type":"message","role":"assistant","status":"%b"}' % (number, whole)
        self._say(
            b'{"type":"response.output_audio.done","event_id":"e","response_id":"resp_%d","item_id":"item_%d",'
            b'"output_index":0,"content_index":0}' % (number, number)
        )
        self._say(
            b'{"type":"response.output_item.done","event_id":"e","response_id":"resp_%d","output_index":0,"item":%b}'
            % (number, item)
        )
        self._say(
            b'{"type":"response.done","event_id":"e","response":{"id":"resp_%d","status":"%b"}}' % (number, status)
        )

    def _say(self, text: bytes) -> None:
        self._transport.send(TEXT, text)


async def serve(certificate: Path | None) -> None:
    """`certificate` is a PEM file with its key, for TLS."""

    def accept(_: WSUpgradeRequest) -> WSListener:
        return Session()

    tls: ssl.SSLContext | None = None
    if certificate is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificate)
    server = await ws_create_server(accept, "127.0.0.1", 0, ssl=tls, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--certificate", type=Path)
    try:
        uvloop.run(serve(parser.parse_args().certificate))
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(0)
