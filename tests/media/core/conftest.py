"""A carrier in virtual time that knows what was truly heard: delay, jitter, playout, marks played and flushed."""

import base64
import heapq
import itertools
import json
from collections.abc import Callable
from functools import partial
from random import Random

import pytest

from media.core.audio import from_linear
from media.core.conversation import Conversation
from media.core.types import DialModel, HangUp, Report, ToCaller, ToModel

BYTES_PER_MS = 8


class World:
    """Virtual time in ms: things happen when they are due, and nothing waits."""

    def __init__(self):
        self.now = 1_000.0
        self._due = []
        self._count = itertools.count()

    def at(self, when: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._due, (when, next(self._count), do))

    def every(self, ms: float, do: Callable[[], None], start: float | None = None) -> None:
        def again():
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

    def __init__(self, world, deliver, delay, jitter, random):
        self.world, self.deliver, self.delay, self.jitter, self.random = world, deliver, delay, jitter, random
        self._last = self._sent = 0.0

    def send(self, payload):
        if self.world.now != self._sent:
            self._sent = self.world.now
            late = self.delay + self.random.uniform(0, self.jitter)
            self._last = max(self._last, self._sent + late)
        self.world.at(self._last, lambda: self.deliver(payload))


class Carrier:
    """Twilio's side of a stream.  `played` is the truth: (from, audio) in order, cut short by clears."""

    SID = "MZ" + "0" * 32

    def __init__(self, world, deliver, delay=0.0, jitter=0.0, seed=0):
        random = Random(seed)
        self.world = world
        self.back = Link(world, deliver, delay, jitter, random)
        self.out = Link(world, self._arrived, delay, jitter, random)
        self.played = []
        self.ends = 0.0
        self.pending = {}
        self.flushed = []
        self.log = []
        self.frames = 0

    def start(self, **parameters):
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

    def frame(self, ulaw=b"\xff" * 160):
        body = {
            "track": "inbound",
            "chunk": str(self.frames + 1),
            "timestamp": str(self.frames * 20),
            "payload": base64.b64encode(ulaw).decode(),
        }
        self.frames += 1
        self._emit({"event": "media", "sequenceNumber": str(self.frames + 1), "streamSid": self.SID, "media": body})

    def dtmf(self, digit):
        self._emit({"event": "dtmf", "streamSid": self.SID, "dtmf": {"track": "inbound_track", "digit": digit}})

    def stop(self):
        self._emit({"event": "stop", "streamSid": self.SID, "stop": {}})

    def heard_bytes(self, when):
        return len(self.heard(when))

    def heard(self, when):
        return b"".join(a[: max(0, round((when - begun) * BYTES_PER_MS))] for begun, a in self.played if begun < when)

    def _emit(self, message):
        self.back.send(json.dumps(message).encode())

    def _arrived(self, payload):
        message = json.loads(payload)
        now = self.world.now
        self.log.append((now, message["event"]))
        match message["event"]:
            case "media":
                audio = base64.b64decode(message["media"]["payload"])
                begun = max(now, self.ends)
                self.played.append((begun, audio))
                self.ends = begun + len(audio) / BYTES_PER_MS
            case "mark":
                name = message["mark"]["name"]
                self.pending[name] = True
                self.world.at(max(now, self.ends), lambda: self._mark_due(name))
            case "clear":
                self.played = [(b, a[: max(0, round((now - b) * BYTES_PER_MS))]) for b, a in self.played if b < now]
                self.ends = now
                for name in list(self.pending):
                    self.flushed.append(name)
                    self._mark_due(name)

    def _mark_due(self, name):
        if self.pending.pop(name, None):
            self._emit({"event": "mark", "streamSid": self.SID, "mark": {"name": name}})


@pytest.fixture
def world():
    return World()


@pytest.fixture
def make_world():
    return World


@pytest.fixture
def make_carrier():
    return Carrier


class Model:
    """A Realtime server by its rules: hears turns, transcribes late, answers at twice real time, refuses nonsense."""

    def __init__(self, world, deliver, delay=5.0, answer_ms=3_000, transcribe_ms=700, seed=9):
        random = Random(seed)
        self.world, self.answer_ms, self.transcribe_ms, self.random = world, answer_ms, transcribe_ms, random
        self.back = Link(world, deliver, delay, 0, random)
        self.out = Link(world, self._arrived, delay, 0, random)
        self.received = []
        self.violations = []
        self.items = {}
        self.active = None
        self.script = []  # what responses do instead of speaking: function names
        self.count = 0
        self.audio_ms = 0
        self.loud = self.quiet = 0
        self.turn = None
        self.open = True

    def types(self):
        return [m["type"] for m in self.received if m["type"] != "input_audio_buffer.append"]

    def emit(self, type, **body):
        if self.open:
            self.back.send(json.dumps({"type": type, "event_id": "event", **body}).encode())

    def _arrived(self, payload):
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
                    self.violations.append("cancel without a response")
                else:
                    self._done("cancelled")
            case "conversation.item.truncate":
                self._truncate(message)
            case "conversation.item.delete":
                if self.items.pop(message["item_id"], None) is None:
                    self.violations.append("delete of an unknown item")
                self.emit("conversation.item.deleted", item_id=message["item_id"])

    def _truncate(self, message):
        item = self.items.get(message["item_id"])
        if item is None or not 0 < message["audio_end_ms"] <= len(item) / 8:
            self.violations.append(f"bad truncate {message}")
        self.emit("conversation.item.truncated", item_id=message["item_id"], audio_end_ms=message["audio_end_ms"])

    def _hear(self, audio):
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
                self.emit("input_audio_buffer.speech_stopped", item_id=id, audio_end_ms=self.audio_ms - 300)
                self.emit("input_audio_buffer.committed", item_id=id, previous_item_id=None)
                self.emit("conversation.item.added", item={"id": id, "type": "message", "role": "user"})
                self.world.at(self.world.now + self.transcribe_ms, partial(self._transcribed, id))

    def _transcribed(self, id):
        name = "conversation.item.input_audio_transcription.completed"
        self.emit(name, item_id=id, content_index=0, transcript=f"text of {id}", usage={})

    def _respond(self, message):
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

    def _call(self, response, item, name):
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

    def _speak(self, response, item):
        self.items[item] = b""
        body = {"id": item, "type": "message", "role": "assistant", "content": []}
        self.emit("response.output_item.added", response_id=response, output_index=0, item=body)
        for n in range(self.answer_ms // 100):
            self.world.at(self.world.now + 50 * n, lambda n=n: self._delta(response, item, n))
        self.world.at(self.world.now + self.answer_ms / 2, lambda: self._spoken(response, body))

    def _delta(self, response, item, n):
        if self.active != response:
            return
        audio = self.random.randbytes(800)
        self.items[item] += audio
        ids = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
        self.emit("response.output_audio_transcript.delta", **ids, delta=f"word{n} ")
        self.emit("response.output_audio.delta", **ids, delta=base64.b64encode(audio).decode())

    def _spoken(self, response, body):
        if self.active == response:
            self.emit("response.output_audio.done", response_id=response, item_id=body["id"])
            self.emit("response.output_item.done", response_id=response, output_index=0, item=body)
            self._done("completed")

    def _done(self, status):
        response, self.active = self.active, None
        self.emit("response.done", response={"id": response, "status": status, "output": []})


def voice(ms, seed=3, peak=9_000):
    """Something that both detectors take for speech, in 20 ms frames."""
    random = Random(seed)
    pcm = b"".join(int(random.gauss(0, peak / 2)).to_bytes(4, "little", signed=True)[:2] for _ in range(ms * 8))
    ulaw = from_linear(pcm).replace(b"\xff", b"\xfe")
    return [ulaw[at : at + 160] for at in range(0, len(ulaw), 160)]


class Phone:
    """A whole call in virtual time: carrier, conversation, model; `reports` and `actions` keep what came out."""

    def __init__(self, world, plan, delay=40.0, jitter=0.0, seed=0, **model):
        self.world = world
        self.carrier = Carrier(world, self._from_carrier, delay, jitter, seed)
        self.model = Model(world, self._from_model, **model)
        self.talk = Conversation(plan)
        self.actions, self.reports, self.frames = [], [], []
        self.dials = True
        self.hung_up = None
        self.carrier.start(token="t")
        world.every(20, self._frame, world.now + 5)
        world.every(20, lambda: self.carry(self.talk.tick(world.now)), world.now + 9)

    def _frame(self):
        self.carrier.frame(self.frames.pop(0) if self.frames else b"\xff" * 160)

    def _from_carrier(self, payload):
        self.carry(self.talk.from_caller(payload, self.world.now))

    def _from_model(self, payload):
        self.carry(self.talk.from_model(payload, self.world.now))

    def carry(self, actions):
        for action in actions:
            self.actions.append((self.world.now, action))
            match action:
                case ToCaller(payload):
                    self.carrier.out.send(payload)
                case ToModel(payload):
                    self.model.out.send(payload)
                case DialModel():
                    self.world.at(self.world.now + 300, self._dialled)
                case Report(event):
                    self.reports.append(event)
                case HangUp():
                    self.hung_up = action
        if self.talk._voice is not None:
            for item in self.talk._voice.playout.line:
                assert 0 <= item.heard <= item.sent <= item.generated

    def _dialled(self):
        if self.dials:
            self.model.open = True
            self.model.active = self.model.turn = None
            self.model.audio_ms = 0
            self.carry(self.talk.model_ready(self.world.now))
        else:
            self.carry(self.talk.model_lost(self.world.now, "refused"))

    def after(self, ms):
        self.world.run(self.world.now + ms)

    def speak(self, ms, seed=3):
        self.frames += voice(ms, seed)

    def told(self, kind):
        return [each for each in self.reports if isinstance(each, kind)]


@pytest.fixture
def make_phone(world):
    return partial(Phone, world)


@pytest.fixture
def make_voice():
    return voice
