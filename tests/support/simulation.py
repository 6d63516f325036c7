"""A call in virtual time: the sandbox's carrier and model without their sockets, and a whole conversation between them.

Tests and benchmarks share it; nothing here waits.  Carrier and model are the sandbox's own code; the links between
them, the records that tests inspect and a voice that costs no time are implemented here.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from random import Random
from typing import Any, Literal, TypeVar

from media.core.audio import BYTES_PER_MS, from_linear
from media.core.conversation import Conversation
from media.core.legmessages import Clear, HangUp, Leave, Mark, MoveOn, Play
from media.core.onsetdetector import Confirm
from media.core.plans import CallPlan
from media.core.types import Action, DialModel, Event, Report, Stamp, ToModel, TurnEnded
from media.legs import twiliowire
from media.models.wires import wire_of
from realtime import conversation
from realtime.codec import Codec
from realtime.ids import counted
from realtime.mind import Voiced
from realtime.record import SessionRecord
from realtime.vad import SpeechStarted, SpeechStopped
from sandbox.audio import FRAME_MS, lay
from sandbox.clock import Agenda, Do
from sandbox.openai import script
from sandbox.openai.script import Script, Turn
from sandbox.openai.scriptedsession import ScriptedSession
from sandbox.openai.settings import Faults, Settings
from sandbox.openai.stage import StandInStage
from sandbox.openai.tones import Tones, recital
from sandbox.twilio.mediastream import Effect, MediaStream
from sandbox.twilio.playout import Echo

Told = TypeVar("Told")
Deliver = Callable[[bytes], None]
#: The outcome of a dial: it succeeds, is refused, hangs; there is no session; the socket closes at once; or after
#: `Phone.dies_after` deltas, in each session.
Fate = Literal["", "refused", "hangs", "mute", "closes", "dies"]
DIAL_MS, HANGS_MS = 300, 3_000


class World(Agenda):
    """Virtual time in ms: actions run when they are due, and nothing waits."""

    def __init__(self) -> None:
        super().__init__(1_000.0)

    def every(self, ms: float, do: Do, start: float | None = None) -> None:
        def again() -> None:
            do()
            self.at(self.now + ms, again)

        self.at(self.now if start is None else start, again)

    def run(self, until: float) -> None:
        self.advance(until)


class Seconds:
    """The world's time in seconds, which the sandbox uses."""

    def __init__(self, world: World) -> None:
        self._world = world

    @property
    def now(self) -> float:
        return self._world.now / 1000

    def at(self, when: float, do: Do) -> None:
        self._world.at(when * 1000, do)


class Link:
    """One direction of a socket: in order, late by delay and jitter; messages sent at one instant arrive together."""

    def __init__(self, world: World, deliver: Deliver, delay: float, jitter: float, random: Random) -> None:
        self.world, self.deliver, self.delay, self.jitter, self.random = world, deliver, delay, jitter, random
        self._last = self._sent = 0.0
        self.blocked_until = 0.0  # the end of a stall

    def send(self, payload: bytes) -> None:
        if self.world.now != self._sent:
            self._sent = self.world.now
            late = self.delay + self.random.uniform(0, self.jitter)
            self._last = max(self._last, self._sent + late, self.blocked_until)
        self.world.at(self._last, lambda: self.deliver(payload))


class FarEnd(ABC):
    """The other end of a socket, behind two links: `back` leads to our end, `out` to this one."""

    def __init__(self, world: World, deliver: Deliver, delay: float, jitter: float, random: Random) -> None:
        self.world = world
        self.back = Link(world, deliver, delay, jitter, random)
        self.out = Link(world, self._arrived, delay, jitter, random)

    @abstractmethod
    def _arrived(self, payload: bytes) -> None:
        """Take a message that came over `out`."""


class Carrier(FarEnd):
    """The sandbox's end of a Media Stream behind two links; its clock runs `drift_ppm` fast."""

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
        super().__init__(world, deliver, delay, jitter, Random(seed))
        self.log: list[tuple[float, str]] = []
        self.frames = 0
        self.echoes_marks = True
        self._pace = 1 + drift_ppm / 1e6  # the carrier's ms per ms of ours
        self._stream = MediaStream(self.SID, call_sid="CA" + "1" * 32, account_sid="AC" + "2" * 32)
        self._playout = self._stream.playout

    def start(self, **parameters: str) -> None:
        for message in self._stream.opening(parameters):
            self.back.send(message.encode())

    def frame(self, ulaw: bytes = b"\xff" * 160) -> None:
        self.back.send(self._stream.writer.media(self.frames * FRAME_MS, ulaw).encode())
        self.frames += 1

    def dtmf(self, digit: str) -> None:
        self.back.send(self._stream.writer.dtmf(digit).encode())

    def stop(self) -> None:
        self.back.send(self._stream.writer.stop().encode())

    @property
    def played(self) -> list[tuple[float, bytes]]:
        """(start, audio) of each stretch that was heard without a break, in order."""
        return [(segment.start_ms / self._pace, bytes(segment.payload)) for segment in self._playout.segments]

    @property
    def flushed(self) -> list[str]:
        """Marks that a `clear` sent back."""
        return [echo.name for echo in self._playout.echoes if echo.reason == "cleared"]

    def heard_bytes(self, when: float) -> int:
        """Return how many bytes of agent audio were heard by then, to the nearest sample."""
        self._advance()
        total, queued = 0, self._playout.queued_bytes
        for segment in reversed(self._playout.segments):
            due = max(0.0, when * self._pace - segment.start_ms) * BYTES_PER_MS
            total, queued = total + min(round(due), len(segment.payload) + queued), 0
        return total

    def heard(self, when: float) -> bytes:
        self._advance()
        return self._playout.heard_between(0, when * self._pace)

    def heard_between(self, begin: float, end: float) -> bytes:
        """Return the audio at the earpiece between these instants, with silence between sounds."""
        self._advance()
        pieces = []
        begin, end = begin * self._pace, end * self._pace
        for segment in reversed(self._playout.segments):
            if segment.end_ms <= begin:
                break
            before = round(max(0.0, begin - segment.start_ms) * BYTES_PER_MS)
            pieces.append((max(0.0, segment.start_ms - begin), bytes(segment.payload[before:])))
        return lay(pieces, end - begin)

    def _arrived(self, payload: bytes) -> None:
        text = payload.decode()
        self.log.append((self.world.now, json.loads(text)["event"]))
        self._send_echoes(self._stream.receive(self.world.now * self._pace, text))

    def _advance(self) -> None:
        self._send_echoes(self._playout.advance(self.world.now * self._pace))

    def _send_echoes(self, effects: list[Effect] | list[Echo]) -> None:
        for effect in effects:
            if isinstance(effect, Echo) and self.echoes_marks:
                self.back.send(self._stream.writer.mark(effect.name).encode())
        due_ms = self._playout.next_mark_ms()
        if due_ms is not None:
            self.world.at(due_ms / self._pace, self._advance)


class Voice(Tones):
    """A voice that says one word every 100 ms regardless of the text, and ignores the audio that it hears."""

    def __init__(self, player: script.ScriptPlayer, random: Random) -> None:
        super().__init__(player)
        self._random = random
        self.answer_ms = 3_000
        self.says: bytes | None = None
        self._turns = 0

    def utter(self, text: str, voice: str, codec: Codec, then: Callable[[Voiced | Exception], None]) -> None:
        size = self.answer_ms * BYTES_PER_MS
        audio = self._random.randbytes(size) if self.says is None else (self.says * (size // len(self.says) + 1))[:size]
        then(recital(audio, codec))

    def hear(self, codec: Codec, audio: bytes, then: Callable[[str | Exception], None]) -> None:
        self._turns += 1
        then(f"text of user_{self._turns}")


class Player(script.ScriptPlayer):
    """A queue of answers; when it is empty, the answer is words."""

    def __init__(self) -> None:
        super().__init__(Script())
        self.turns: list[Turn] = []

    def next_turn(self) -> Turn:
        return self.turns.pop(0) if self.turns else Turn(say="words")


def calls(name: str, latency_ms: float = 50) -> Turn:
    """Return an answer that is only a function call."""
    return Turn(call=script.FunctionCall(name), latency_ms=latency_ms)


class Model(FarEnd):
    """The sandbox's sessions behind two links, one after another, with a synthetic voice."""

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
        """Prepare sessions without opening one.

        `says` is mu-law that is repeated in answers, which are random without it; the turns of a `deaf` model begin
        and end only by `turn_taken`.
        """
        random = Random(seed)
        super().__init__(world, deliver, delay, 0, random)
        self.player = Player()
        self.voice = Voice(self.player, random)
        self.voice.answer_ms, self.voice.says = answer_ms, says
        self.faults = Faults()
        self.settings = Settings(
            transcription_delay_ms=transcribe_ms,
            eagerness_ms=dict.fromkeys(("low", "medium", "high", "auto"), 300),
            speech_dbfs=float("inf") if deaf else -80,
            word_lead_ms=0,
            padded_turns=False,
        )
        self.received: list[dict[str, Any]] = []
        self.violations: list[str] = []
        self.open = False
        self._new_id = counted()
        self._spoken: list[conversation.RealtimeConversation] = []
        self._records: list[SessionRecord] = []
        self._done_ms = 0.0
        self._stage: StandInStage
        self._session: ScriptedSession

    def connect(self) -> None:
        """Open a new session without the items of earlier ones."""
        if self._spoken:
            self._session.close()
        self._spoken.append(conversation.RealtimeConversation())
        self._records.append(SessionRecord(self._new_id("sess"), "gpt-realtime"))
        self._stage = StandInStage.of(
            self._send,
            self._spoken[-1],
            self._records[-1],
            self.player,
            self.voice,
            self.settings,
            self.faults,
            Seconds(self.world),
            self._new_id,
        )
        self._session = ScriptedSession(self._stage, 3_600)
        self.open = True
        self._session.begin()

    def types(self) -> list[str]:
        return [m["type"] for m in self.received if m["type"] != "input_audio_buffer.append"]

    @property
    def items(self) -> dict[str, bytes]:
        """The audio of the model's items that were not deleted."""
        return {item.id: bytes(item.audio) for spoken in self._spoken for item in spoken.items if item.audio}

    @property
    def charged(self) -> list[tuple[str, dict[str, Any]]]:
        """Model and usage of everything charged, in all sessions."""
        return [charge for record in self._records for charge in record.charged]

    def emit(self, type: str, **fields: Any) -> None:
        """Send an unsolicited event."""
        self._stage.emit(type, fields)

    def turn_taken(self) -> None:
        """Begin and end a turn of the caller that needs an answer."""
        item_id = self._new_id("item")
        self._session.speech_started(SpeechStarted(item_id, 0))
        self._session.speech_stopped(SpeechStopped(item_id, 0, b""))

    def _send(self, event: dict[str, Any]) -> None:
        if not self.open:
            return
        if event["type"] == "response.done":
            self._done_ms = self.world.now
        elif event["type"] == "error":
            # A cancel that crossed `response.done` in flight is not a violation.
            crossed = self.world.now - self._done_ms <= 2 * self.back.delay
            if not (event["error"]["code"] == "response_cancel_not_active" and crossed):
                self.violations.append(event["error"]["message"])
        self.back.send(json.dumps(event).encode())

    def _arrived(self, payload: bytes) -> None:
        if self.open:
            self.received.append(json.loads(payload))
            self._session.handle(payload)


def voice(ms: int, seed: int = 3, peak: int = 9_000) -> list[bytes]:
    """Return a sound that both detectors classify as speech, in 20 ms frames."""
    random = Random(seed)
    pcm = b"".join(int(random.gauss(0, peak / 2)).to_bytes(4, "little", signed=True)[:2] for _ in range(ms * 8))
    ulaw = from_linear(pcm).replace(b"\xff", b"\xfe")
    return [ulaw[at : at + 160] for at in range(0, len(ulaw), 160)]


class Phone:
    """A whole call in virtual time: carrier, conversation, model; `reports` and `actions` record the output."""

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
        self.wire = wire_of(plan.agent.model)
        self.encoder = twiliowire.MessageEncoder(Carrier.SID)
        self.actions: list[tuple[float, Action]] = []
        self.reports: list[Event] = []
        self.frames: list[bytes] = []
        self.fate: Fate = ""
        self.dies_after = self._deltas = 0
        self._mute = False
        self.hung_up: HangUp | MoveOn | None = None
        self.carrier.start(token="t")
        world.every(20, self._frame, world.now + 5)
        world.every(20, lambda: self.carry(self.talk.tick(world.now)), world.now + 9)

    def _frame(self) -> None:
        self.carrier.frame(self.frames.pop(0) if self.frames else b"\xff" * 160)

    def _from_carrier(self, payload: bytes) -> None:
        event = twiliowire.decode(payload)
        if event is not None:
            self.carry(self.talk.from_leg(event, self.world.now))

    def _from_model(self, payload: bytes) -> None:
        if self._mute:
            return
        if self.fate == "dies" and b'"response.output_audio.delta"' in payload:
            if self._deltas == self.dies_after:
                self.lose()
                return
            self._deltas += 1
        self.from_server(payload)

    def from_server(self, payload: bytes) -> None:
        """Give the conversation a message of the model's."""
        self.carry(self.talk.from_model(self.wire.decode(payload), self.world.now))

    def lose(self, reason: str = "disconnected") -> None:
        """Break the model's socket."""
        if self.model.open:
            self.model.open = False
            self.carry(self.talk.model_lost(self.world.now, reason))

    def carry(self, actions: list[Action]) -> None:
        for action in actions:
            self.actions.append((self.world.now, action))
            match action:
                case Play() | Mark() | Clear():
                    for payload in self.encoder.encode([action]):
                        self.carrier.out.send(payload)
                case ToModel(command):
                    self.model.out.send(self.wire.encode(command))
                case Stamp(moment):
                    self.talk.written(moment, self.world.now)
                case DialModel(wait_ms):
                    self.model.open = False
                    takes_ms = HANGS_MS if self.fate == "hangs" else DIAL_MS
                    self.world.at(self.world.now + wait_ms + takes_ms, self._dialled)
                case Report(event):
                    self.reports.append(event)
                case Leave(outcome):
                    self.hung_up = outcome
        # Check the ledger's invariant from within.
        for item in self.talk._voice.playout.line:
            assert 0 <= item.heard <= item.sent <= item.generated

    def _dialled(self) -> None:
        if self.fate in ("refused", "hangs"):
            self.carry(self.talk.model_lost(self.world.now, self.fate))
            return
        self._deltas, self._mute = 0, self.fate == "mute"
        self.model.connect()
        self.wire = wire_of(self.talk.model)
        self.carry(self.talk.model_ready(self.world.now))
        if self.fate == "closes":
            self.world.at(self.world.now, lambda: self.lose("closed 1000"))

    def after(self, ms: float) -> None:
        self.world.run(self.world.now + ms)

    def speak(self, ms: int, seed: int = 3) -> None:
        self.frames += voice(ms, seed)

    def told(self, kind: type[Told]) -> list[Told]:
        return [report for report in self.reports if isinstance(report, kind)]

    def heard_texts(self) -> list[tuple[str, str]]:
        """Return what was heard of each turn, and who said it."""
        return [(turn.role, turn.heard_text) for turn in self.told(TurnEnded)]
