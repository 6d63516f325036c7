"""Both ends of many calls: callers who speak or listen all the time, and the model that hears and answers them.

Every second caller speaks without a pause, so that each frame goes on to the model at once; the others are silent and hear an
endless answer.  All frames are numbered.  One process has both ends, and thus one clock.
"""

import asyncio
import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_connect, ws_create_server

from bench.handover.numbered import FRAME_BYTES, Counted, frame
from media.core.audio import from_linear

TEXT = WSMsgType.TEXT
FRAME_SECONDS, PHASES = 0.02, 20
DELTA_FRAMES = 5
AHEAD_SECONDS = 0.5  # the model's lead over real time
QUIET = b"\xff" * FRAME_BYTES
_APPEND = b'{"type":"input_audio_buffer.append","audio":"'


def _noise(seed: int) -> bytes:
    """Return 20 ms of noise that the detector classifies as speech."""
    random = Random(seed)
    pcm = b"".join(
        max(-30_000, min(30_000, int(random.gauss(0, 4_500)))).to_bytes(2, "little", signed=True)
        for _ in range(FRAME_BYTES)
    )
    return from_linear(pcm).replace(b"\xff", b"\xfe").replace(b"\x7f", b"\x7e")


VOICE = [_noise(seed) for seed in range(50)]


@dataclass
class Silence:
    """The longest time without a frame since the last reading."""

    longest_ms: float = 0.0
    last: float | None = None

    def came(self, now: float) -> None:
        if self.last is not None:
            self.longest_ms = max(self.longest_ms, (now - self.last) * 1000)
        self.last = now

    def take(self) -> float:
        longest_ms, self.longest_ms = self.longest_ms, 0.0
        return longest_ms


@dataclass
class End:
    """The frames that one end of a call has received."""

    counted: Counted = field(default_factory=Counted)
    silence: Silence = field(default_factory=Silence)


class Caller(WSListener):
    def __init__(self, number: int) -> None:
        self.speaks, self.sent, self.closed = number % 2 == 0, 0, False
        self.end, self.dry_ms, self.media = End(), 0.0, 0
        self._number = number
        self._transport: WSTransport | None = None
        self._loop, self._ends = asyncio.get_running_loop(), 0.0
        self._sid = f"MZ{number:032x}"

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        start = {
            "streamSid": self._sid,
            "accountSid": "AC" + "0" * 32,
            "callSid": f"CA{self._number:032x}",
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {"token": f"t{self._number}"},
        }
        self._say({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        self._say({"event": "start", "sequenceNumber": "1", "streamSid": self._sid, "start": start})

    def frame(self) -> None:
        """Send the next 20 ms."""
        if self._transport is None:
            return
        payload = frame(self.sent, VOICE[self.sent % len(VOICE)] if self.speaks else QUIET)
        self._transport.send(
            TEXT,
            b'{"event":"media","sequenceNumber":"%d","streamSid":"%s","media":{"track":"inbound","chunk":"%d",'
            b'"timestamp":"%d","payload":"%s"}}'
            % (self.sent + 2, self._sid.encode(), self.sent + 1, self.sent * 20, base64.b64encode(payload)),
        )
        self.sent += 1

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type != TEXT:
            if frame.msg_type == WSMsgType.CLOSE:
                transport.disconnect()
            return
        message, now = json.loads(frame.get_payload_as_bytes()), self._loop.time()
        if message["event"] == "media":
            audio = base64.b64decode(message["media"]["payload"])
            if self.media and now > self._ends:
                self.dry_ms = max(self.dry_ms, (now - self._ends) * 1000)
            self.media += 1
            self._ends = max(self._ends, now) + len(audio) / 8_000
            self.end.counted.add(audio)
            self.end.silence.came(now)
        elif message["event"] == "mark":
            self._loop.call_at(
                self._ends, self._say, {"event": "mark", "streamSid": self._sid, "mark": message["mark"]}
            )

    def on_ws_disconnected(self, transport: WSTransport) -> None:  # noqa: ARG002 - picows calls it
        self._transport, self.closed = None, True

    def leave(self) -> None:
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    def _say(self, message: dict[str, object]) -> None:
        if self._transport is not None:
            self._transport.send(TEXT, json.dumps(message).encode())


class Model(WSListener):
    """One session."""

    def __init__(self, load: "CallLoad") -> None:
        self._load = load
        self._transport: WSTransport | None = None
        self._speaking: asyncio.Task[None] | None = None
        self.end, self.closed, self.said = End(), False, 0

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self._emit("session.created", session={"id": "sess_1"})

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type != TEXT:
            if frame.msg_type == WSMsgType.CLOSE:
                transport.disconnect()
            return
        payload = frame.get_payload_as_bytes()
        if payload.startswith(_APPEND):
            self.end.counted.add(base64.b64decode(payload[len(_APPEND) : -2]))
            self.end.silence.came(self._load.now())
            return
        match json.loads(payload)["type"]:
            case "session.update":
                self._emit("session.updated", session={"id": "sess_1"})
                # A listening caller begins with a turn.
                if not self._load.speaks(self):
                    self._emit("input_audio_buffer.speech_started", item_id="item_0", audio_start_ms=0)
                    self._emit("input_audio_buffer.speech_stopped", item_id="item_0", audio_end_ms=20)
                    self._emit("input_audio_buffer.committed", item_id="item_0")
            case "response.create" if self._speaking is None:
                self._speaking = asyncio.create_task(self._speak())
            case _:
                pass

    def on_ws_disconnected(self, transport: WSTransport) -> None:  # noqa: ARG002 - picows calls it
        self._transport, self.closed = None, True
        if self._speaking is not None:
            self._speaking.cancel()

    async def _speak(self) -> None:
        """Speak an endless answer."""
        self._emit("response.created", response={"id": "resp_1"})
        self._emit("response.output_item.added", response_id="resp_1", item={"id": "item_1", "type": "message"})
        began = self._load.now()
        while True:
            audio = b"".join(frame(self.said + index, VOICE[index]) for index in range(DELTA_FRAMES))
            self.said += DELTA_FRAMES
            delta = base64.b64encode(audio).decode()
            self._emit("response.output_audio.delta", response_id="resp_1", item_id="item_1", delta=delta)
            due = began + self.said * FRAME_SECONDS - AHEAD_SECONDS
            await asyncio.sleep(max(0.0, due - self._load.now()))

    def _emit(self, type: str, **fields: object) -> None:
        if self._transport is not None:
            self._transport.send(TEXT, json.dumps({"type": type, "event_id": "event_1", **fields}).encode())


class CallLoad:
    """All calls; the name of the model is the number of the call."""

    def __init__(self) -> None:
        self.callers: list[Caller] = []
        self.sessions: dict[int, list[Model]] = {}
        self.model_port = 0
        self._loop = asyncio.get_running_loop()
        self._numbers: dict[int, int] = {}
        self.late_ms = Silence()

    def now(self) -> float:
        return self._loop.time()

    def speaks(self, model: Model) -> bool:
        return self._numbers[id(model)] % 2 == 0

    async def serve(self) -> asyncio.Server:
        server = await ws_create_server(self._session, "127.0.0.1", 0)
        self.model_port = server.sockets[0].getsockname()[1]
        return server

    def _session(self, request: WSUpgradeRequest) -> Model:
        number = int(request.path.decode().rpartition("model=")[2])
        model = Model(self)
        self._numbers[id(model)] = number
        self.sessions.setdefault(number, []).append(model)
        return model

    async def ring(self, url: str, signature: str, count: int) -> None:
        """Begin `count` more calls."""
        for _ in range(count):
            caller = Caller(len(self.callers))
            await ws_connect(lambda caller=caller: caller, url, extra_headers={"X-Twilio-Signature": signature})
            self.callers.append(caller)

    async def run(self) -> None:
        """Send the frames of all callers on one clock: each millisecond serves one phase."""
        origin, step = self.now(), 0
        while True:
            while (due := origin + step * FRAME_SECONDS / PHASES) <= self.now():
                self.late_ms.longest_ms = max(self.late_ms.longest_ms, (self.now() - due) * 1000)
                for caller in self.callers[step % PHASES :: PHASES]:
                    caller.frame()
                step += 1
            await asyncio.sleep(due - self.now())

    def ends(self) -> Sequence[tuple[Caller, Model]]:
        """Return each call with its latest session."""
        return [
            (caller, self.sessions[number][-1]) for number, caller in enumerate(self.callers) if number in self.sessions
        ]
