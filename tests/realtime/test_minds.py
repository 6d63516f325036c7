"""A mind that gives its answer piece by piece, in virtual time."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest

from realtime.codec import Codec
from realtime.conversation import RealtimeConversation
from realtime.ids import counted
from realtime.mind import AnswerSituation, CallPart, SpokenPart, Take, Voiced, WaitPart
from realtime.record import SessionRecord
from realtime.session import RealtimeSession
from realtime.sound import Word, split_words
from realtime.stage import Stage
from sandbox.clock import Agenda
from sandbox.openai.settings import Settings

WORD_MS = 100


def sound_of(text: str) -> Voiced:
    """One word each 100 ms, and the bytes of each its number."""
    words = [Word(word, at * WORD_MS, (at + 1) * WORD_MS) for at, word in enumerate(split_words(text))]
    return Voiced(b"".join(bytes([1 + at % 200]) * (8 * WORD_MS) for at in range(len(words))), words)


@dataclass
class Mind:
    """A mind that answers when the test says so."""

    asked: list[AnswerSituation] = field(default_factory=list)
    takes: list[Take] = field(default_factory=list)
    stopped: int = 0

    def answer(self, situation: AnswerSituation, take: Take) -> Callable[[], None]:
        self.asked.append(situation)
        self.takes.append(take)

        def stop() -> None:
            self.stopped += 1

        return stop

    def say(self, *texts: str, ends: bool = True) -> None:
        for text in texts:
            self.takes[-1](SpokenPart(text))
        if ends:
            self.takes[-1](None)


@dataclass
class Mouth:
    """Speech that takes `seconds` to make."""

    agenda: Agenda
    seconds: float = 0.0
    busy: int = 0
    most_busy: int = 0
    fails: str = ""

    def utter(self, text: str, voice: str, codec: Codec, then: Callable[[Voiced | Exception], None]) -> None:
        self.busy += 1
        self.most_busy = max(self.most_busy, self.busy)

        def made() -> None:
            self.busy -= 1
            then(ValueError("no voice") if text == self.fails else sound_of(text))

        self.agenda.at(self.agenda.now + self.seconds, made)

    def hear(self, codec: Codec, audio: bytes, then: Callable[[str | Exception], None]) -> None:
        then("Hello.")


class Room:
    """A session with a mind and a mouth of the test's."""

    def __init__(self, mouth_seconds: float = 0.0) -> None:
        self.agenda, self.mind = Agenda(), Mind()
        self.mouth = Mouth(self.agenda, mouth_seconds)
        self.sent: list[dict[str, Any]] = []
        self.conversation = RealtimeConversation()
        stage = Stage(
            send=self.sent.append,
            conversation=self.conversation,
            truth=SessionRecord("sess_1", "m"),
            mind=self.mind,
            senses=self.mouth,
            rules=Settings(word_lead_ms=0),
            clock=self.agenda,
            new_id=counted(),
        )
        self.session = RealtimeSession(stage, 0)
        pcmu = {"format": {"type": "audio/pcmu"}}
        self.tell("session.update", session={"type": "realtime", "audio": {"input": pcmu, "output": pcmu}})
        self.sent.clear()

    def tell(self, type: str, **fields: Any) -> None:
        self.session.handle(json.dumps({"type": type, **fields}))

    def after(self, seconds: float) -> None:
        self.agenda.advance(self.agenda.now + seconds)

    def of(self, type: str) -> list[dict[str, Any]]:
        return [event for event in self.sent if event["type"] == type]

    def audio(self) -> bytes:
        return b"".join(base64.b64decode(event["delta"]) for event in self.of("response.output_audio.delta"))

    def words(self) -> str:
        return "".join(event["delta"] for event in self.of("response.output_audio_transcript.delta"))

    @property
    def status(self) -> str:
        (done,) = self.of("response.done")
        return str(done["response"]["status"])


def test_the_pieces_of_an_answer_are_one_item_without_a_gap() -> None:
    room = Room()
    room.tell("response.create")
    room.after(0.1)
    room.mind.say("We open at nine.", "Do you want to come?")
    room.after(5)
    assert room.words() == "We open at nine. Do you want to come?"
    assert room.audio() == sound_of("We open at nine.").payload + sound_of("Do you want to come?").payload
    (item,) = room.conversation.items
    assert [(word.start_ms, word.end_ms) for word in item.words] == [(n * 100, n * 100 + 100) for n in range(9)]
    assert room.status == "completed"
    assert len(room.of("response.output_item.done")) == 1


def test_a_piece_that_comes_late_follows_when_it_has_come() -> None:
    room = Room()
    room.tell("response.create")
    room.after(0)
    room.mind.say("We open at nine.", ends=False)
    room.after(3)
    assert room.of("response.done") == []
    room.mind.say("Goodbye.")
    room.after(1)
    assert room.words() == "We open at nine. Goodbye."
    assert room.status == "completed"


def test_at_most_two_pieces_are_made_ahead() -> None:
    room = Room(mouth_seconds=0.05)
    room.tell("response.create")
    room.after(0)
    room.mind.say(*[f"Piece {n} of many words it is." for n in range(12)])
    room.after(30)
    assert room.mouth.most_busy <= 3
    assert len(room.words().split()) == 12 * 7


@pytest.mark.parametrize("seed", range(20))
def test_a_cancel_at_any_moment_stops_mind_and_mouth_and_nothing_comes_after_it(seed: int) -> None:
    random = Random(seed)
    room = Room(mouth_seconds=random.choice([0, 0.04, 0.3]))
    room.tell("response.create")
    room.after(0)
    room.mind.say("One two three.", "Four five six.", "Seven eight.", ends=random.random() < 0.5)
    room.after(random.uniform(0, 0.35))
    room.tell("response.cancel")
    assert room.status == "cancelled"
    assert room.mind.stopped == 1
    count = len(room.sent)
    room.mind.takes[-1](SpokenPart("Late."))
    room.after(5)
    assert len(room.sent) == count


@pytest.mark.parametrize("heard_ms", [50, 100, 350, 400, 620])
def test_what_a_truncation_leaves_is_what_the_next_answer_is_told(heard_ms: int) -> None:
    room = Room()
    room.tell("response.create")
    room.after(0)
    room.mind.say("One two three four.", "Five six seven.")
    room.after(2)
    (item,) = room.conversation.items
    room.tell("conversation.item.truncate", item_id=item.id, content_index=0, audio_end_ms=heard_ms)
    room.tell("response.create")
    room.after(0)
    heard = ["One", "two", "three", "four.", "Five", "six", "seven."][: heard_ms // WORD_MS]
    assert room.mind.asked[-1].dialogue == [("assistant", " ".join(heard))]


def test_a_call_between_two_pieces_is_an_item_of_its_own() -> None:
    room = Room()
    room.tell("response.create")
    room.after(0)
    take = room.mind.takes[-1]
    for part in (SpokenPart("One moment."), CallPart("book", '{"day": 1}'), SpokenPart("And?"), None):
        take(part)
    room.after(3)
    assert [event["item"]["type"] for event in room.of("response.output_item.done")] == [
        "message",
        "function_call",
        "message",
    ]
    assert room.of("response.function_call_arguments.done")[0]["arguments"] == '{"day": 1}'


def test_a_mind_or_a_mouth_that_fails_fails_the_answer_after_what_was_said() -> None:
    room = Room()
    room.tell("response.create")
    room.after(0)
    room.mind.say("One.", ends=False)
    room.after(1)
    room.mind.takes[-1](RuntimeError("the mind is gone"))
    assert room.status == "failed"
    assert room.words() == "One."
    silent = Room()
    silent.mouth.fails = "Two."
    silent.tell("response.create")
    silent.after(0)
    silent.mind.say("One.", "Two.", "Three.")
    silent.after(2)
    assert silent.status == "failed"
    assert silent.words() == "One."
    assert silent.mind.stopped == 1


def test_words_to_be_said_exactly_and_asides_are_told_to_the_mind() -> None:
    room = Room()
    room.tell("response.create", response={"instructions": "Say exactly: Good morning.", "conversation": "none"})
    room.after(0)
    (situation,) = room.mind.asked
    assert (situation.exact, situation.in_band) == ("Good morning.", False)


def test_an_answer_in_text_needs_no_mouth() -> None:
    room = Room()
    room.tell("response.create", response={"output_modalities": ["text"]})
    room.after(0)
    room.mind.takes[-1](WaitPart(300))
    room.mind.say("One two.", "Three.")
    room.after(0.2)
    assert room.of("response.output_text.delta") == []
    room.after(0.2)
    assert room.of("response.output_text.done")[0]["text"] == "One two. Three."
    assert room.mouth.most_busy == 0
