"""A Live session in virtual time: what is said when, what is told of it, and what is refused."""

from typing import Any

import pytest

from sandbox.openai import Faults, Rule, Turn
from sandbox.openai.live import commands
from sandbox.openai.settings import LiveFaults
from tests.sandbox.openai.live.room import QUIET, SESSION, Room, looks_up, speech

SENTENCE = "Good morning, this is the clinic."


def test_the_input_is_the_clock() -> None:
    room = Room(Turn(say=SENTENCE)).start()
    room.pass_by(5_000)
    assert room.sent == [], "nothing comes without input"
    room.silence(500)
    assert room.types() == ["session.output_audio.delta"] * 5
    assert room.output() == QUIET * 4_000
    room.append(QUIET * 8 * 99)
    assert len(room.sent) == 5
    room.append(QUIET * 8)
    assert len(room.sent) == 6


def test_an_answer_and_its_words_and_the_callers() -> None:
    room = Room(Turn(say=SENTENCE), heard=("Hello there.",)).start()
    room.line(speech(1_000))
    room.silence(4_000)
    # The turn is over 500 ms after its end at 1,000 ms, and the answer begins 200 ms after that.
    assert room.sounding()[0] == 1_700
    assert room.words("output") == f" {SENTENCE}" and room.truth.spoken() == SENTENCE
    first = room.of("session.output_transcript.delta")[0]
    assert (first["start_ms"], first["end_ms"]) == (1_400, 1_600), "on frames of 200 ms, one frame early"
    assert room.words("input") == " Hello there."
    (late,) = [
        at for at, event in room.sent if event["type"] == "session.input_transcript.delta" and "Hello" in event["delta"]
    ]
    assert late == 2_000
    (sentence,) = room.truth.live.sentences
    assert room.output()[sentence.began_ms * 8 :].startswith(sentence.voiced.payload)


def test_the_model_falls_silent_for_a_caller_and_believes_that_all_it_sent_was_heard() -> None:
    room = Room(Turn(say=SENTENCE * 3), Turn(say="Yes?"), heard=("Hello.", "Wait.")).start()
    room.line(speech(500))
    room.silence(1_500)
    room.line(speech(1_200))
    room.silence(1_500)
    cut, answer = room.truth.live.sentences
    # Speech over it counts after 500 ms, and 400 ms later it is silent.
    assert cut.was_cut and cut.sent_bytes == (2_900 - cut.began_ms) * 8
    assert 0 < len(cut.sent_text) < len(cut.text) and cut.text.startswith(cut.sent_text)
    assert answer.text == "Yes?"
    told = {"response.done", "input_audio_buffer.speech_started", "conversation.item.truncated"}
    assert not told & set(room.types()), "nobody is told"


def test_a_nod_stops_nothing_and_is_not_answered() -> None:
    room = Room(Turn(say=SENTENCE * 3), Turn(say="Yes?"), heard=("Hello.", "Mhm.")).start()
    room.line(speech(500))
    room.silence(1_500)
    room.line(speech(300))
    room.silence(9_000)
    (sentence,) = room.truth.live.sentences
    assert sentence.sent_text == sentence.text and room.words("input") == " Hello. Mhm."


def test_texts_are_placed_and_a_commentary_is_said() -> None:
    room = Room(paraphrase="Well, ").start()
    for kind in ("instructions", "thinking", "commentary"):
        room.tell(f"session.{kind}.append", delegation_id=None, content="We close at six.", event_id=kind)
    assert room.types() == [f"session.{kind}.appended" for kind in ("instructions", "thinking", "commentary")]
    assert [event["client_event_id"] for _, event in room.sent] == ["instructions", "thinking", "commentary"]
    room.silence(3_000)
    assert room.truth.spoken() == "Well, We close at six." and room.sounding()[0] == 900
    room.tell("session.commentary.append", delegation_id=None, content="Say exactly: Goodbye.")
    room.silence(3_000)
    assert room.truth.spoken() == "Well, We close at six. Goodbye."


def test_a_task_is_delegated_without_its_text_and_waits_for_its_answer() -> None:
    room = Room(rules=(Rule(when="open", call=looks_up().call),), heard=("Are you open?",)).start()
    room.line(speech(800))
    room.silence(60_000)
    (created,) = room.of("session.delegation.created")
    assert created["delegation"] == {"id": "deleg_1", "target": "client", "type": "delegation"}
    assert created["offset_ms"] == 1_500
    assert room.truth.spoken() == "One moment.", "and nothing else, however long it takes"
    room.tell("session.commentary.append", delegation_id="deleg_1", content="Until six.")
    room.silence(2_000)
    assert room.truth.spoken() == "One moment. Until six."
    (delegated,) = room.truth.live.delegations.values()
    assert [answer.content for answer in delegated.answers] == ["Until six."]


def test_a_muted_session_goes_on_and_hears_nothing() -> None:
    room = Room(Turn(say=SENTENCE)).start()
    room.tell("session.input_audio.mute")
    room.line(speech(1_000))
    room.silence(1_000)
    room.tell("session.input_audio.unmute")
    assert room.types().count("session.output_audio.delta") == 20 and room.truth.spoken() == ""
    assert [each for each in room.types() if "mute" in each] == [
        "session.input_audio.muted",
        "session.input_audio.unmuted",
    ]


def test_a_long_append_stalls_the_output() -> None:
    room = Room().start()
    room.append(QUIET * 8 * 2_000)
    assert room.sent == []
    room.pass_by(499)
    assert room.sent == []
    room.pass_by(1)
    assert len(room.sent) == 20


def test_usage_is_reported_each_minute_and_at_the_end() -> None:
    room = Room().start()
    room.pass_by(125_000)
    assert [event["usage"]["seconds"] for event in room.of("session.usage.updated")] == [60, 120]
    room.tell("session.close", event_id="bye")
    closed = room.sent[-1][1]
    assert (closed["type"], closed["reason"], closed["usage"]["seconds"]) == ("session.closed", "close_requested", 125)
    assert closed["client_event_id"] == "bye" and room.hung_up == [1000]
    count = len(room.sent)
    room.pass_by(125_000)
    assert len(room.sent) == count and room.truth.live.seconds == 125


@pytest.mark.parametrize(
    ("faults", "reason"),
    [(LiveFaults(), "expired"), (LiveFaults(content_after_ms=300), "content"), (LiveFaults(no_closed=True), None)],
)
def test_a_session_ends_for_other_reasons(faults: LiveFaults, reason: str | None) -> None:
    room = Room(faults=Faults(live=faults)).start()
    room.silence(300)
    room.session.expire()
    assert [event["reason"] for event in room.of("session.closed")] == ([reason] if reason else [])
    assert room.hung_up == [1000]


def test_faults_of_a_session() -> None:
    mute = Room(faults=Faults(live=LiveFaults(never_starts=True)))
    mute.tell("session.start", session=SESSION)
    assert mute.sent == [] and mute.hung_up == []
    dumb = Room(Turn(say=SENTENCE), faults=Faults(live=LiveFaults(no_words=True, no_usage=True, noise=True))).start()
    dumb.line(speech(500))
    dumb.silence(70_000)
    assert set(dumb.types()) == {"session.output_audio.delta"}
    assert dumb.output().strip(QUIET) and dumb.truth.spoken() == SENTENCE


LONG = "word " * 500


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"speed": 2}, ("unknown_parameter", "session.speed")),
        ({"audio": {"output": {"voice": "marin", "speed": 2}}}, ("unknown_parameter", "session.audio.output.speed")),
        ({"audio": {"input": {}}}, ("unknown_parameter", "session.audio.input")),
        ({"audio": {"format": {"type": "audio/pcmu"}}}, ("missing_required_parameter", "session.audio.format.rate")),
        ({"audio": {"format": {"type": "audio/pcmu", "rate": 16000}}}, ("invalid_value", "session.audio.format.rate")),
        (
            {"audio": {"format": {"type": "audio/pcma", "rate": 8000}}},
            ("unsupported_value", "session.audio.format.type"),
        ),
        ({"audio": {"output": {"voice": "nova"}}}, ("forbidden", "session.audio.output.voice")),
        ({"model": "gpt-realtime"}, ("model_not_found", "session.model")),
        ({"instructions": LONG * 30}, ("string_above_max_length", "session.instructions")),
        ({"input": [{"role": "user", "content": [{"text": "a"}]}] * 129}, ("array_above_max_length", "session.input")),
        ({"input": [{"role": "user", "content": [{"text": LONG}]}] * 15}, ("string_above_max_length", "session.input")),
        ({"input": [{"role": "user", "content": []}]}, ("invalid_value", "session.input[0].content")),
        ({"input": [{"role": "system", "content": [{"text": "a"}]}]}, ("invalid_value", "session.input[0].role")),
        ({"delegation": {"type": "responses", "responses": {}}}, ("unsupported_value", "session.delegation.type")),
    ],
)
def test_a_start_that_is_refused_ends_the_session(changes: dict[str, Any], refused: tuple[str, str]) -> None:
    room = Room()
    assert room.refusal({"type": "session.start", "session": SESSION | changes}) == refused
    assert room.hung_up == [1000]


@pytest.mark.parametrize(
    ("event", "refused"),
    [
        ({"type": "session.start", "session": SESSION}, ("session_already_started", "type")),
        ({"type": "session.commentary.append", "content": "Hi."}, ("missing_required_parameter", "delegation_id")),
        (
            {"type": "session.commentary.append", "content": "Hi.", "delegation_id": "deleg_9"},
            ("invalid_value", "delegation_id"),
        ),
        (
            {"type": "session.thinking.append", "content": LONG, "delegation_id": None},
            ("string_above_max_length", "content"),
        ),
        ({"type": "session.input_audio.append", "audio": "%%%"}, ("invalid_value", "audio")),
        ({"type": "session.update", "session": {"instructions": "x"}}, ("unknown_parameter", "session.instructions")),
        (
            {"type": "session.update", "session": {"delegation": {"type": "responses"}}},
            ("invalid_value", "session.delegation.type"),
        ),
        ({"type": "session.nothing"}, ("invalid_value", "type")),
        ({"content": "Hi."}, ("missing_required_parameter", "type")),
        (["session.close"], ("invalid_event", None)),
        *(({"type": type}, ("unsupported_event", "type")) for type in commands.NOT_OFFERED),
    ],
)
def test_what_is_refused_later_changes_nothing(event: Any, refused: tuple[str, str | None]) -> None:
    room = Room().start()
    assert room.refusal(event) == refused
    assert room.hung_up == [] and room.truth.live.appended == []
    room.sent.clear()
    room.silence(100)
    assert room.types() == ["session.output_audio.delta"]


def test_an_errors_event_is_named_and_what_comes_before_the_start_is_refused() -> None:
    room = Room()
    room.tell("session.close", event_id="early")
    ((_, error),) = room.sent
    assert (error["error"]["code"], error["error"]["client_event_id"]) == ("session_not_started", "early")
    assert room.hung_up == [1000]


def test_history_is_what_the_model_goes_on_from() -> None:
    history = [
        {"role": "user", "content": [{"text": "Hi."}]},
        {"role": "assistant", "content": [{"type": "output_text", "text": "Good morning,"}]},
    ]
    room = Room(Turn(say=SENTENCE), heard=("Hm?",)).start(input=history)
    room.line(speech(600))
    room.silence(4_000)
    assert room.truth.spoken() == SENTENCE
