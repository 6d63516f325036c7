"""A call in virtual time: a carrier that knows what was truly heard, a model that keeps a Realtime server's rules, and a
whole conversation between them.  Tests and benchmarks share it; nothing here waits.
"""

import base64
import heapq
import itertools
import json
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any, TypeVar

from media.core.audio import BYTES_PER_MS, from_linear
from media.core.conversation import Conversation
from media.core.leg import Clear, HangUp, Leave, Mark, Play
from media.core.types import Action, CallPlan, DialModel, Event, Report, Stamp, ToModel
from media.core.vad import Confirm
from media.legs import twilio

Told = TypeVar("Told")
Deliver = Callable[[bytes], None]


class World:
    """Virtual time in ms: things happen when they are due, and nothing waits."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()

    def at(self, when: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._due, (when, next(self._count), do))

    def every(self, ms: float, do: Callable[[], None], start: float | None = None) -> None:
        def again() -> None:
            do()
            self.at(self.now + ms, again)

        self.at(self.now if start is None else start, again)

    def run(self, until: float) -> None:
        while self._due and self._due[0][0] <= until:
            self.now, _, do = heapq.heappop(self._due)
            do()
        self.now = until


class Link:
    """One direction of a socket: in order, late by the delay and jitter; what is sent at one instant travels together."""

    def __init__(self, world: World, deliver: Deliver, delay: float, jitter: float, random: Random) -> None:
        self.world, self.deliver, self.delay, self.jitter, self.random = world, deliver, delay, jitter, random
        self._last = self._sent = 0.0
        self.blocked_until = 0.0  # a stall: what is under way arrives then

    def send(self, payload: bytes) -> None:
        if self.world.now != self._sent:
            self._sent = self.world.now
            late = self.delay + self.random.uniform(0, self.jitter)
            self._last = max(self._last, self._sent + late, self.blocked_until)
        self.world.at(self._last, lambda: self.deliver(payload))


class Carrier:
    """Twilio's side of a stream.  `played` is the truth: (from, audio) in order, cut short by clears."""

    SID = "MZ" + "0" * 32

    def __init__(
        self,
        world: World,
        deliver: Deliver,
        delay: float = 0.0,
        jitter: float = 0.0,
        seed: int = 0,
        drift_ppm: float = 0.0,
    ) -> None:
        random = Random(seed)
        self.world = world
        self.back = Link(world, deliver, delay, jitter, random)
        self.out = Link(world, self._arrived, delay, jitter, random)
        self.rate = BYTES_PER_MS * (1 + drift_ppm / 1e6)  # the carrier's idea of 8 samples per ms
        self.played: list[tuple[float, bytes]] = []
        self.ends = 0.0
        self.pending: dict[str, bool] = {}
        self.flushed: list[str] = []
        self.log: list[tuple[float, str]] = []
        self.frames = 0

    def start(self, **parameters: str) -> None:
        self._emit({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        self._emit(
            {
                "event": "start",
                "sequenceNumber": "1",
                "streamSid": self.SID,
                "start": {
                    "streamSid": self.SID,
                    "callSid": "CA" + "1" * 32,
                    "accountSid": "AC" + "2" * 32,
                    "tracks": ["inbound"],
                    "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                    "customParameters": parameters,
                },
            }
        )

    def frame(self, ulaw: bytes = b"\xff" * 160) -> None:
        body = {
            "track": "inbound",
            "chunk": str(self.frames + 1),
            "timestamp": str(self.frames * 20),
            "payload": base64.b64encode(ulaw).decode(),
        }
        self.frames += 1
        self._emit({"event": "media", "sequenceNumber": str(self.frames + 1), "streamSid": self.SID, "media": body})

    def dtmf(self, digit: str) -> None:
        self._emit({"event": "dtmf", "streamSid": self.SID, "dtmf": {"track": "inbound_track", "digit": digit}})

    def stop(self) -> None:
        self._emit({"event": "stop", "streamSid": self.SID, "stop": {}})

    def heard_bytes(self, when: float) -> int:
        return len(self.heard(when))

    def heard(self, when: float) -> bytes:
        return b"".join(a[: max(0, round((when - begun) * self.rate))] for begun, a in self.played if begun < when)

    def heard_between(self, begin: float, end: float) -> bytes:
        """What came out of the earpiece then, silence where nothing did."""
        out = bytearray(b"\xff" * round((end - begin) * BYTES_PER_MS))
        for begun, audio in reversed(self.played):
            first = round((begun - begin) * BYTES_PER_MS)
            if first + len(audio) <= 0:
                break
            piece = audio[max(0, -first) : max(0, len(out) - first)]
            out[max(0, first) : max(0, first) + len(piece)] = piece
        return bytes(out)

    def _emit(self, message: dict[str, Any]) -> None:
        self.back.send(json.dumps(message).encode())

    def _arrived(self, payload: bytes) -> None:
        message = json.loads(payload)
        now = self.world.now
        self.log.append((now, message["event"]))
        match message["event"]:
            case "media":
                audio = base64.b64decode(message["media"]["payload"])
                begun = max(now, self.ends)
                self.played.append((begun, audio))
                self.ends = begun + len(audio) / self.rate
            case "mark":
                name = message["mark"]["name"]
                self.pending[name] = True
                self.world.at(max(now, self.ends), lambda: self._mark_due(name))
            case "clear":
                self.played = [(b, a[: max(0, round((now - b) * self.rate))]) for b, a in self.played if b < now]
                self.ends = now
                for name in list(self.pending):
                    self.flushed.append(name)
                    self._mark_due(name)

    def _mark_due(self, name: str) -> None:
        if self.pending.pop(name, None):
            self._emit({"event": "mark", "streamSid": self.SID, "mark": {"name": name}})


class Model:
    """A Realtime server by its rules: hears turns, transcribes late, answers at twice real time, refuses nonsense."""

    def __init__(
        self,
        world: World,
        deliver: Deliver,
        delay: float = 5.0,
        answer_ms: int = 3_000,
        transcribe_ms: int = 700,
        seed: int = 9,
        says: bytes | None = None,
        deaf: bool = False,
    ) -> None:
        random = Random(seed)
        self.world, self.answer_ms, self.transcribe_ms, self.random = world, answer_ms, transcribe_ms, random
        self.says = says  # mu-law that answers are made of, over and over; else they are random
        self.deaf = deaf  # turns begin and end by `turn_taken` alone
        self.back = Link(world, deliver, delay, 0, random)
        self.out = Link(world, self._arrived, delay, 0, random)
        self.received: list[dict[str, Any]] = []
        self.violations: list[str] = []
        self.items: dict[str, bytes] = {}
        self.active: str | None = None
        self.script: list[str] = []  # what responses do instead of speaking: function names
        self.count = 0
        self.audio_ms = 0
        self.loud = self.quiet = 0
        self.turn: str | None = None
        self._done_ms = 0.0
        self.open = True

    def types(self) -> list[str]:
        return [m["type"] for m in self.received if m["type"] != "input_audio_buffer.append"]

    def emit(self, type: str, **body: Any) -> None:
        if self.open:
            self.back.send(json.dumps({"type": type, "event_id": "event", **body}).encode())

    def _arrived(self, payload: bytes) -> None:
        if not self.open:
            return
        message = json.loads(payload)
        self.received.append(message)
        match message["type"]:
            case "session.update":
                self.emit("session.updated", session=message["session"])
            case "input_audio_buffer.append":
                self._hear(base64.b64decode(message["audio"]))
            case "response.create":
                self._respond(message)
            case "response.cancel":
                if self.active is None:
                    # One that crossed `response.done` on its way is nobody's fault.
                    if self.world.now - self._done_ms > 2 * self.back.delay:
                        self.violations.append("cancel without a response")
                else:
                    self._done("cancelled")
            case "conversation.item.truncate":
                self._truncate(message)
            case "conversation.item.delete":
                if self.items.pop(message["item_id"], None) is None:
                    self.violations.append("delete of an unknown item")
                self.emit("conversation.item.deleted", item_id=message["item_id"])

    def _truncate(self, message: dict[str, Any]) -> None:
        item = self.items.get(message["item_id"])
        if item is None or not 0 < message["audio_end_ms"] <= len(item) / 8:
            self.violations.append(f"bad truncate {message}")
        self.emit("conversation.item.truncated", item_id=message["item_id"], audio_end_ms=message["audio_end_ms"])

    def turn_taken(self) -> None:
        """The caller said something, and wants an answer."""
        self.count += 1
        self.emit("input_audio_buffer.speech_started", item_id=f"user_{self.count}", audio_start_ms=self.audio_ms)
        self._turn_ended(f"user_{self.count}")

    def _hear(self, audio: bytes) -> None:
        if self.deaf:
            self.audio_ms += len(audio) // BYTES_PER_MS
            return
        for at in range(0, len(audio), 160):
            self.audio_ms += 20
            loud = audio[at] != 0xFF
            self.loud = self.loud + 1 if loud else 0
            self.quiet = 0 if loud else self.quiet + 1
            if self.turn is None and self.loud == 3:
                self.count += 1
                self.turn = f"user_{self.count}"
                self.emit("input_audio_buffer.speech_started", item_id=self.turn, audio_start_ms=self.audio_ms - 60)
            elif self.turn is not None and self.quiet == 15:
                id, self.turn = self.turn, None
                self._turn_ended(id, 300)

    def _turn_ended(self, id: str, quiet_ms: int = 0) -> None:
        self.emit("input_audio_buffer.speech_stopped", item_id=id, audio_end_ms=self.audio_ms - quiet_ms)
        self.emit("input_audio_buffer.committed", item_id=id, previous_item_id=None)
        self.emit("conversation.item.added", item={"id": id, "type": "message", "role": "user"})
        self.world.at(self.world.now + self.transcribe_ms, partial(self._transcribed, id))

    def _transcribed(self, id: str) -> None:
        name = "conversation.item.input_audio_transcription.completed"
        self.emit(name, item_id=id, content_index=0, transcript=f"text of {id}", usage={})

    def _respond(self, message: dict[str, Any]) -> None:
        if self.active is not None:
            self.violations.append("response.create while one is active")
            self.emit("error", error={"type": "invalid_request_error", "message": "", "event_id": message["event_id"]})
            return
        self.count += 1
        response, item = f"resp_{self.count}", f"item_{self.count}"
        self.active = response
        self.emit("response.created", response={"id": response, "status": "in_progress"})
        if self.script:
            self.world.at(self.world.now + 50, lambda: self._call(response, item, self.script.pop(0)))
        else:
            self.world.at(self.world.now + 200, lambda: self._speak(response, item))

    def _call(self, response: str, item: str, name: str) -> None:
        body = {"id": item, "type": "function_call", "name": name, "call_id": f"call_{item}", "arguments": ""}
        self.emit("response.output_item.added", response_id=response, output_index=0, item=body)
        self.emit(
            "response.function_call_arguments.done",
            response_id=response,
            item_id=item,
            call_id=f"call_{item}",
            name=name,
            arguments="{}",
        )
        self.emit("response.output_item.done", response_id=response, output_index=0, item=body)
        self._done("completed")

    def _speak(self, response: str, item: str) -> None:
        self.items[item] = b""
        body: dict[str, Any] = {"id": item, "type": "message", "role": "assistant", "content": []}
        self.emit("response.output_item.added", response_id=response, output_index=0, item=body)
        for n in range(self.answer_ms // 100):
            self.world.at(self.world.now + 50 * n, partial(self._delta, response, item, n))
        self.world.at(self.world.now + self.answer_ms / 2, lambda: self._spoken(response, body))

    def _delta(self, response: str, item: str, n: int) -> None:
        if self.active != response:
            return
        if self.says is None:
            audio = self.random.randbytes(800)
        else:
            at = n * 800 % len(self.says)
            audio = (self.says[at : at + 800] + self.says)[:800]
        self.items[item] += audio
        ids = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
        self.emit("response.output_audio_transcript.delta", **ids, delta=f"word{n} ")
        self.emit("response.output_audio.delta", **ids, delta=base64.b64encode(audio).decode())

    def _spoken(self, response: str, body: dict[str, Any]) -> None:
        if self.active == response:
            self.emit("response.output_audio.done", response_id=response, item_id=body["id"])
            self.emit("response.output_item.done", response_id=response, output_index=0, item=body)
            self._done("completed")

    def _done(self, status: str) -> None:
        response, self.active = self.active, None
        self._done_ms = self.world.now
        self.emit("response.done", response={"id": response, "status": status, "output": []})


def voice(ms: int, seed: int = 3, peak: int = 9_000) -> list[bytes]:
    """Something that both detectors take for speech, in 20 ms frames."""
    random = Random(seed)
    pcm = b"".join(int(random.gauss(0, peak / 2)).to_bytes(4, "little", signed=True)[:2] for _ in range(ms * 8))
    ulaw = from_linear(pcm).replace(b"\xff", b"\xfe")
    return [ulaw[at : at + 160] for at in range(0, len(ulaw), 160)]


class Phone:
    """A whole call in virtual time: carrier, conversation, model; `reports` and `actions` keep what came out."""

    def __init__(
        self,
        world: World,
        plan: CallPlan,
        delay: float = 40.0,
        jitter: float = 0.0,
        seed: int = 0,
        confirm: Confirm | None = None,
        **model: Any,
    ) -> None:
        self.world = world
        self.carrier = Carrier(world, self._from_carrier, delay, jitter, seed)
        self.model = Model(world, self._from_model, **model)
        self.talk = Conversation(plan, confirm)
        self.encoder = twilio.Encoder(Carrier.SID)
        self.actions: list[tuple[float, Action]] = []
        self.reports: list[Event] = []
        self.frames: list[bytes] = []
        self.dials = True
        self.hung_up: HangUp | None = None
        self.carrier.start(token="t")
        world.every(20, self._frame, world.now + 5)
        world.every(20, lambda: self.carry(self.talk.tick(world.now)), world.now + 9)

    def _frame(self) -> None:
        self.carrier.frame(self.frames.pop(0) if self.frames else b"\xff" * 160)

    def _from_carrier(self, payload: bytes) -> None:
        event = twilio.decode(payload)
        if event is not None:
            self.carry(self.talk.from_leg(event, self.world.now))

    def _from_model(self, payload: bytes) -> None:
        self.carry(self.talk.from_model(payload, self.world.now))

    def carry(self, actions: list[Action]) -> None:
        for action in actions:
            self.actions.append((self.world.now, action))
            match action:
                case Play() | Mark() | Clear():
                    for payload in self.encoder.encode([action]):
                        self.carrier.out.send(payload)
                case ToModel(payload):
                    self.model.out.send(payload)
                case Stamp(moment):
                    self.talk.written(moment, self.world.now)
                case DialModel():
                    self.world.at(self.world.now + 300, self._dialled)
                case Report(event):
                    self.reports.append(event)
                case Leave(outcome):
                    self.hung_up = outcome
        for item in self.talk._voice._playout.line:  # noqa: SLF001 - the ledger's invariant, watched from within
            assert 0 <= item.heard <= item.sent <= item.generated

    def _dialled(self) -> None:
        if self.dials:
            self.model.open = True
            self.model.active = self.model.turn = None
            self.model.audio_ms = 0
            self.carry(self.talk.model_ready(self.world.now))
        else:
            self.carry(self.talk.model_lost(self.world.now, "refused"))

    def after(self, ms: float) -> None:
        self.world.run(self.world.now + ms)

    def speak(self, ms: int, seed: int = 3) -> None:
        self.frames += voice(ms, seed)

    def told(self, kind: type[Told]) -> list[Told]:
        return [each for each in self.reports if isinstance(each, kind)]
