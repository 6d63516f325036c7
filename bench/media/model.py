"""A stand-in for the model, light enough for hundreds of sessions: the sandbox's, without the work that would distort the figures.

The protocol (order of events, allowed responses, refusals) is the sandbox's code.  Only the work done
fifty times a second per call is simplified: an append in our own format is not parsed as JSON, turns are
detected by the level of frames, in C, and nothing is recorded; a process has hundreds of sessions, and the CPU that it
uses is lost to the system under test.  Answers are 8 s of one tone in 100 ms deltas at twice real time.  The first 16
bytes of an answer's audio hold the time at which its first delta was sent (`STAMP`), so the receiver of the audio can
compute its delay.  Audio at 24 kHz has no stamp: it would not survive resampling.
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
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

from bench.media.speech import SPEECH_DBFS
from media.core.audio import from_linear, pcm_level_db, to_linear
from realtime.codec import PCMU, Codec
from realtime.conversation import RealtimeConversation
from realtime.ids import new_id
from realtime.mind import Voiced
from realtime.record import SessionRecord
from realtime.vad import SpeechStarted, SpeechStopped
from sandbox.loopclock import LoopClock
from sandbox.openai import Faults, Script, Settings
from sandbox.openai.script import ScriptPlayer
from sandbox.openai.scriptedsession import ScriptedSession
from sandbox.openai.stage import StandInStage
from sandbox.openai.tones import Tones, recital

STAMP = struct.Struct(">8sQ")  # magic, monotonic nanoseconds
MAGIC = b"\x00\x80\x00\x80\x00\x00\x80\x80"
DELTAS, WORD_MS = 80, 300
LOUD_DB = -45.0
FRAME_MS = 20
STARTS_AFTER, STOPS_AFTER = 3, 15  # frames
MAX_ITEMS = 12
TEXT = WSMsgType.TEXT
APPEND = b'{"type":"input_audio_buffer.append","audio":"'
AUDIO = "response.output_audio.delta"


def _tone(rate_hz: int) -> bytes:
    """Return 100 ms of 16-bit PCM."""
    peak = 32_768 * 10 ** (SPEECH_DBFS / 20) * math.sqrt(2)
    return array("h", (int(peak * math.sin(2 * math.pi * 300 * n / rate_hz)) for n in range(rate_hz // 10))).tobytes()


DELTA = from_linear(_tone(8_000))
PCM_DELTA = _tone(24_000)
SETTINGS = Settings(latency_ms=0, transcription_delay_ms=0, chunk_ms=100, word_lead_ms=0)


class FixedVoice(Tones):
    """A voice with one answer to everything, and one transcript for every sound."""

    def utter(self, text: str, voice: str, codec: Codec, then: Callable[[Voiced | Exception], None]) -> None:  # noqa: ARG002
        then(recital((DELTA if codec is PCMU else PCM_DELTA) * DELTAS, codec, WORD_MS))

    def hear(self, codec: Codec, audio: bytes, then: Callable[[str | Exception], None]) -> None:  # noqa: ARG002
        then("what the caller said just now")


class Unrecorded(SessionRecord):
    """A record of the last items only."""

    def append(self, at: float, payload: bytes) -> None:
        """Do nothing: audio is not recorded."""

    def charge(self, model: str, usage: dict[str, Any]) -> None:
        """Do nothing: usage is not recorded."""


class LevelSession(ScriptedSession):
    """A session that detects turns by the level of whole frames."""

    def __init__(self, stage: StandInStage) -> None:
        super().__init__(stage, 0)
        self._stage = stage
        self._heard_ms = 0
        self._loud = self._quiet = 0
        self._turn: str | None = None
        self._unframed = b""  # less than a frame

    def hear(self, payload: bytes) -> None:
        codec = self._input.codec
        frame_bytes = FRAME_MS * codec.bytes_per_ms
        audio = self._unframed + payload
        whole = len(audio) // frame_bytes * frame_bytes
        self._unframed = audio[whole:]
        detects = self.config["audio"]["input"]["turn_detection"] is not None
        for at in range(0, whole, frame_bytes):
            self._heard_ms += FRAME_MS
            if detects:
                frame = audio[at : at + frame_bytes]
                self._frame(pcm_level_db(to_linear(frame) if codec is PCMU else frame) > LOUD_DB)

    def forget(self) -> None:
        """Drop all but the last items."""
        items, truth = self._stage.conversation.items, self._stage.truth
        for item in items[:-MAX_ITEMS]:
            truth.items.pop(item.id, None)
            truth.understood.pop(item.id, None)
        del items[:-MAX_ITEMS]
        for acts in (truth.truncations, truth.deletions, truth.cancels):
            acts.clear()

    def _frame(self, loud: bool) -> None:
        self._loud, self._quiet = (self._loud + 1, 0) if loud else (0, self._quiet + 1)
        if self._turn is None and self._loud == STARTS_AFTER:
            self._turn = new_id("item")
            self.speech_started(SpeechStarted(self._turn, self._heard_ms - STARTS_AFTER * FRAME_MS))
        elif self._turn is not None and self._quiet == STOPS_AFTER:
            item_id, self._turn = self._turn, None
            self.speech_stopped(SpeechStopped(item_id, self._heard_ms - STOPS_AFTER * FRAME_MS, b""))

    def _commit(self, _: dict[str, Any]) -> None:
        item_id, self._turn = self._turn or new_id("item"), None
        self._add_turn(item_id, b"")


class StandInSession(WSListener):
    def __init__(self, model: str) -> None:
        self._transport: WSTransport
        self._clock = LoopClock()
        self._stamped = ""  # the last stamped item
        player = ScriptPlayer(Script())
        truth = Unrecorded(new_id("sess"), model)
        stage = StandInStage.of(
            self._send,
            RealtimeConversation(),
            truth,
            player,
            FixedVoice(player),
            SETTINGS,
            Faults(),
            self._clock,
            new_id,
        )
        self._session = LevelSession(stage)

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self._session.begin()

    def on_ws_disconnected(self, transport: WSTransport) -> None:  # noqa: ARG002 - picows calls it
        self._session.close()
        self._clock.stop()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type != TEXT:
            if frame.msg_type == WSMsgType.CLOSE:
                transport.disconnect()
            return
        text = frame.get_payload_as_bytes()
        if text.startswith(APPEND):
            self._session.hear(binascii.a2b_base64(text[len(APPEND) : -2]))
        else:
            # Including an append with its members in another order.
            self._session.handle(text)

    def _send(self, event: dict[str, Any]) -> None:
        if event["type"] == AUDIO and event["item_id"] != self._stamped:
            self._stamped = event["item_id"]
            if len(event["delta"]) * 3 // 4 <= len(DELTA) + 2:
                event["delta"] = base64.b64encode(STAMP.pack(MAGIC, time.monotonic_ns()) + DELTA[STAMP.size :]).decode()
        elif event["type"] == "response.done":
            self._session.forget()
        self._transport.send(TEXT, msgspec.json.encode(event))


async def serve(certificate: Path | None) -> None:
    """Serve until stopped; `certificate` is a PEM file with its key, for TLS."""

    def accept(request: WSUpgradeRequest) -> WSListener:
        return StandInSession(parse_qs(urlsplit(request.path.decode()).query).get("model", ["m"])[0])

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
