"""A whole session without a socket or a clock: the same events in every run, each at its own instant."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from realtime.codec import Codec
from realtime.conversation import RealtimeConversation
from realtime.ids import counted
from realtime.record import SessionRecord
from realtime.vad import SpeechStarted, SpeechStopped
from sandbox.clock import Agenda
from sandbox.openai import Faults, FunctionCall, Script, Settings, Turn
from sandbox.openai.script import ScriptPlayer
from sandbox.openai.scriptedsession import ScriptedSession
from sandbox.openai.stage import StandInStage
from sandbox.openai.tones import Tones, recital

AUDIO = bytes(range(1, 101)) * 40  # half a second
ANSWER = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    *["response.output_audio_transcript.delta", "response.output_audio.delta"] * 5,
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "response.output_item.done",
    "conversation.item.done",
    "response.done",
]
CALL = [
    "response.output_item.added",
    "conversation.item.added",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.output_item.done",
    "conversation.item.done",
]


class Voice(Tones):
    def utter(self, text: str, voice: str, codec: Codec, then: Callable[..., Any]) -> None:
        then(recital(AUDIO, codec))


class Late(Voice):
    """Transcribes when the test says so."""

    def hear(self, codec: Codec, audio: bytes, then: Callable[..., Any]) -> None:
        self.then = then


class Room:
    """A session in virtual time; `sent` is (when, event)."""

    def __init__(self, *turns: Turn, faults: Faults | None = None, voice: type[Voice] = Voice) -> None:
        self.agenda = Agenda(100.0)
        self.sent: list[tuple[float, dict[str, Any]]] = []
        player = ScriptPlayer(Script(turns=list(turns), heard=["Hello."]))
        self.voice = voice(player)
        self.record = SessionRecord("sess_1", "m")
        settings = Settings(word_lead_ms=0, padded_turns=False)
        stage = StandInStage.of(
            self._send,
            RealtimeConversation(),
            self.record,
            player,
            self.voice,
            settings,
            faults or Faults(),
            self.agenda,
            counted(),
        )
        self.session = ScriptedSession(stage, 0)
        self.session.begin()
        pcmu = {"format": {"type": "audio/pcmu"}}
        listening = pcmu | {"transcription": {"model": "w"}, "turn_detection": {"type": "semantic_vad"}}
        self.tell("session.update", session={"type": "realtime", "audio": {"input": listening, "output": pcmu}})
        self.sent.clear()

    def _send(self, event: dict[str, Any]) -> None:
        self.sent.append((round(self.agenda.now - 100, 6), event))

    def tell(self, type: str, **fields: Any) -> None:
        self.session.handle(json.dumps({"type": type, **fields}))

    def after(self, s: float) -> None:
        self.agenda.advance(self.agenda.now + s)

    def types(self) -> list[str]:
        return [event["type"] for _, event in self.sent]

    def when(self, type: str) -> list[float]:
        return [at for at, event in self.sent if event["type"] == type]


def test_an_answer_has_the_apis_order_and_comes_at_twice_real_time() -> None:
    room = Room(Turn(say="anything"))
    room.tell("response.create")
    room.after(2)
    assert room.types() == ANSWER
    assert room.when("response.created") == [0]
    assert room.when("response.output_audio.delta") == [0.2, 0.25, 0.3, 0.35, 0.4]
    deltas = [event["delta"] for _, event in room.sent if event["type"] == "response.output_audio.delta"]
    assert b"".join(map(base64.b64decode, deltas)) == AUDIO
    (item,) = room.record.items.values()
    assert item.transcript() == "word0 word1 word2 word3 word4"


def test_two_runs_are_the_same_to_the_byte() -> None:
    def run() -> str:
        room = Room(Turn(say="anything", call=FunctionCall("look_up")))
        room.tell("response.create")
        room.after(0.3)
        room.tell("response.cancel")
        room.tell("response.create", response={"instructions": "Say exactly: Good morning."})
        room.after(9)
        return json.dumps(room.sent)

    assert run() == run()


def test_a_cancelled_answer_says_no_more() -> None:
    room = Room(Turn(say="anything"))
    room.tell("response.create")
    room.after(0.26)
    room.tell("response.cancel")
    room.after(5)
    assert room.types().count("response.output_audio.delta") == 2
    assert room.sent[-1][1]["response"]["status"] == "cancelled"
    assert [(act.id, round(act.at_monotonic, 6)) for act in room.record.cancels] == [("resp_1", 100.26)]


def test_a_closed_session_is_silent() -> None:
    room = Room(Turn(say="anything"))
    room.tell("response.create")
    room.after(0.26)
    before = room.types()
    room.session.close()
    room.after(5)
    assert room.types() == before


def test_several_functions_in_one_answer_and_before_its_words() -> None:
    room = Room(
        Turn(call=FunctionCall("a"), more_calls=[FunctionCall("b")]),
        Turn(say="words", call=FunctionCall("c"), calls_first=True),
    )
    room.tell("response.create")
    room.after(1)
    assert room.types() == ["response.created", *CALL, *CALL, "response.done"]
    room.sent.clear()
    room.tell("response.create")
    room.after(1)
    assert room.types() == ["response.created", *CALL, *ANSWER[1:]]


@pytest.mark.parametrize(("chunks", "ats"), [(0, [1.2, 1.25, 1.3, 1.35, 1.4]), (3, [0.2, 0.25, 0.3, 1.35, 1.4])])
def test_an_answer_that_stalls(chunks: int, ats: list[float]) -> None:
    room = Room(Turn(say="anything"), faults=Faults(stall_after_chunks=chunks, stall_ms=1_000))
    room.tell("response.create")
    room.after(3)
    assert room.when("response.output_item.added") == [0.2]
    assert room.when("response.output_audio.delta") == ats


def test_a_model_that_never_responds_takes_the_request() -> None:
    room = Room(faults=Faults(never_respond=True))
    room.tell("response.create")
    room.after(60)
    assert room.sent == []


def test_a_turn_that_somebody_else_heard_is_the_sessions_own() -> None:
    room = Room()
    room.session.speech_started(SpeechStarted("item_x", 40))
    room.session.speech_stopped(SpeechStopped("item_x", 400, b""))
    room.after(0.3)  # its answer is interrupted by the next turn
    room.session.speech_started(SpeechStarted("item_y", 500))
    room.after(5)
    assert room.types()[:5] == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
    ]
    assert room.record.understood == {"item_x": "Hello."}
    assert room.when("conversation.item.input_audio_transcription.completed") == [0.3]
    (done,) = (event["response"] for _, event in room.sent if event["type"] == "response.done")
    assert done["status_details"] == {"type": "cancelled", "reason": "turn_detected"}


def test_an_answer_waits_until_the_turn_is_understood() -> None:
    room = Room(Turn(say="anything"), voice=Late)
    room.session.speech_started(SpeechStarted("item_x", 40))
    room.session.speech_stopped(SpeechStopped("item_x", 400, b""))
    room.after(2)
    assert room.types()[-1] == "response.created"
    assert isinstance(room.voice, Late)
    room.voice.then("So late.")
    room.after(2)
    assert room.record.understood == {"item_x": "So late."}
    assert room.when("response.output_audio.delta")[0] == 2
    assert room.when("conversation.item.input_audio_transcription.completed") == [2.3]
    assert room.types().count("response.done") == 1


def test_ears_that_fail_fail_the_answer() -> None:
    room = Room(voice=Late)
    room.session.speech_started(SpeechStarted("item_x", 40))
    room.session.speech_stopped(SpeechStopped("item_x", 400, b""))
    assert isinstance(room.voice, Late)
    room.voice.then(ValueError("no ears"))
    room.after(2)
    response = room.sent[-1][1]["response"]
    assert response["status"] == "failed"
    assert "no ears" in response["status_details"]["error"]["message"]
