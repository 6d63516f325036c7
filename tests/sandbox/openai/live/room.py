"""A Live session in virtual time, every event of which is held against the published types."""

import base64
import json
from collections.abc import Iterator
from typing import Any

from openai.types.live import ClientEvent, ServerEvent
from pydantic import BaseModel, TypeAdapter

from realtime.conversation import RealtimeConversation
from realtime.ids import counted
from sandbox.clock import Agenda
from sandbox.openai import Faults, FunctionCall, Rule, Script, Settings, Turn
from sandbox.openai.live.session import LiveSession
from sandbox.openai.live.truth import LiveTruth
from sandbox.openai.script import ScriptPlayer
from sandbox.openai.settings import LiveSettings
from sandbox.openai.stage import StandInStage
from sandbox.openai.tones import Tones
from sandbox.speech import sound

Event = dict[str, Any]
QUIET, PIECE_MS = b"\xff", 100
SERVER: TypeAdapter[Any] = TypeAdapter(ServerEvent)
CLIENT: TypeAdapter[Any] = TypeAdapter(ClientEvent)
SESSION: Event = {
    "model": "gpt-live-1.1",
    "instructions": "Be kind.",
    "audio": {"format": {"type": "audio/pcmu", "rate": 8000}, "output": {"voice": "marin"}},
    "delegation": {"type": "client"},
}


def extras(value: Any, place: str = "") -> Iterator[str]:
    """The fields that the published types don't know, at any depth; the SDK itself keeps them without a word."""
    if isinstance(value, BaseModel):
        yield from (f"{place}.{name}" for name in value.model_extra or ())
        for name in type(value).model_fields:
            yield from extras(getattr(value, name), f"{place}.{name}")
    elif isinstance(value, list):
        for each in value:
            yield from extras(each, f"{place}[]")


def conforms(event: Event, types: TypeAdapter[Any]) -> bool:
    """Whether the published types know an event, and each field in it."""
    return not list(extras(types.validate_python(event)))


def speech(ms: int) -> bytes:
    """A loud sound, as mu-law."""
    return sound.encode(sound.sine(300, ms, 8_000))


class Room:
    """A session; `sent` is (when in ms, event)."""

    def __init__(
        self,
        *turns: Turn,
        heard: tuple[str, ...] = ("Hello.",),
        rules: tuple[Rule, ...] = (),
        faults: Faults | None = None,
        **settings: Any,
    ) -> None:
        self.agenda = Agenda(100.0)
        self.sent: list[tuple[int, Event]] = []
        self.hung_up: list[int] = []
        player = ScriptPlayer(Script(turns=list(turns), heard=list(heard), rules=list(rules)))
        self.truth = LiveTruth("live_1", "")
        chosen = Settings(live=LiveSettings(**settings))
        stage = StandInStage.of(
            self._send,
            RealtimeConversation(),
            self.truth,
            player,
            Tones(player),
            chosen,
            faults or Faults(),
            self.agenda,
            counted(),
        )
        self.session = LiveSession(stage, self.truth.live, 9, self.hung_up.append)
        self.session.begin()

    def _send(self, event: Event) -> None:
        assert conforms(event, SERVER), event
        self.sent.append((self.now_ms, event))

    @property
    def now_ms(self) -> int:
        return round((self.agenda.now - 100) * 1000)

    def start(self, **changes: Any) -> "Room":
        self.tell("session.start", session=SESSION | changes)
        assert self.types() == ["session.started"]
        self.sent.clear()
        return self

    def tell(self, type: str, **fields: Any) -> None:
        event = {"type": type, **fields}
        assert conforms(event, CLIENT), event
        self.send_raw(event)

    def send_raw(self, event: Any) -> None:
        self.session.handle(json.dumps(event))

    def append(self, audio: bytes) -> None:
        self.tell("session.input_audio.append", audio=base64.b64encode(audio).decode())

    def pass_by(self, ms: int) -> None:
        """Let time go by without input."""
        self.agenda.advance(self.agenda.now + ms / 1000)

    def line(self, *audio: bytes) -> None:
        """Send audio in real time, in pieces of 100 ms."""
        for each in audio:
            for at in range(0, len(each), PIECE_MS * 8):
                self.append(each[at : at + PIECE_MS * 8])
                self.pass_by(PIECE_MS)

    def silence(self, ms: int) -> None:
        self.line(QUIET * 8 * ms)

    def types(self) -> list[str]:
        return [event["type"] for _, event in self.sent]

    def of(self, type: str) -> list[Event]:
        return [event for _, event in self.sent if event["type"] == type]

    def output(self) -> bytes:
        return b"".join(base64.b64decode(event["delta"]) for event in self.of("session.output_audio.delta"))

    def sounding(self) -> list[int]:
        """When pieces with a sound came."""
        deltas = [(at, event) for at, event in self.sent if event["type"] == "session.output_audio.delta"]
        return [at for at, event in deltas if base64.b64decode(event["delta"]).strip(QUIET)]

    def words(self, side: str) -> str:
        return "".join(event["delta"] for event in self.of(f"session.{side}_transcript.delta"))

    def refusal(self, event: Any) -> tuple[str, str | None]:
        """Send an event; return the code and the parameter of its refusal."""
        before = len(self.sent)
        self.send_raw(event)
        ((_, error),) = self.sent[before:]
        assert error["type"] == "error"
        return error["error"]["code"], error["error"].get("param")


def looks_up(say: str | None = None) -> Turn:
    """A turn that delegates a task."""
    return Turn(say=say, call=FunctionCall("look_up", {}))
