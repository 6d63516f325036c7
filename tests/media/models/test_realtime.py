import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from media.core.modelmessages import (
    AddMessage,
    AgentAudio,
    AgentText,
    AgentWords,
    BeginSession,
    CallerAudio,
    CallerBegan,
    CallerPaused,
    CallerText,
    CallerWords,
    CancelResponse,
    CommandRefused,
    FunctionCalled,
    FunctionNamed,
    FunctionResult,
    ItemBegan,
    ItemEnded,
    ItemHeard,
    MalformedEvent,
    ModelCommand,
    ModelEvent,
    ModelUsed,
    ReplaceInstructions,
    RequestResponse,
    ResponseBegan,
    ResponseEnded,
    ResponseGoesOn,
    SessionBegun,
    SessionRejected,
    Tool,
    TurnCommitted,
    TurnModel,
    Unused,
)
from media.models import realtimewire as rt
from media.models.wires import wire_of

MODEL = TurnModel("gpt-realtime", "marin", "gpt-4o-transcribe", language="en")

WIRE = wire_of(MODEL)


def wire(type: str, **body: Any) -> bytes:
    return json.dumps({"event_id": "e", "type": type, **body}).encode()


@pytest.mark.parametrize(
    ("payload", "event"),
    [
        (wire("session.created", session={}), rt.SessionCreated()),
        (wire("response.created", response={"id": "r", "status": "in_progress"}), rt.ResponseCreated(rt.Response("r", "in_progress"))),
        (wire("response.output_audio.delta", response_id="r", item_id="i", delta="//8="), rt.AudioDelta("r", "i", b"\xff\xff")),
        (wire("response.output_audio_transcript.delta", item_id="i", delta="hi"), rt.TranscriptDelta("i", "hi")),
        (wire("input_audio_buffer.speech_started", item_id="u", audio_start_ms=5), rt.SpeechStarted("u", 5)),
        (wire("input_audio_buffer.committed", item_id="u", previous_item_id=None), rt.Committed("u")),
        (wire("conversation.item.input_audio_transcription.completed", item_id="u", transcript="x"), rt.InputTranscriptCompleted("u", "x")),
        (wire("response.function_call_arguments.done", response_id="r", item_id="i", call_id="c", arguments="{}"), rt.FunctionArgumentsDone("r", "i", "c", "{}")),
        (wire("error", error={"message": "m", "type": "t", "code": None, "event_id": "create_1"}), rt.Error(rt.ErrorBody("create_1", "m"))),
        (wire("response.content_part.added", part={}), rt.Unknown("response.content_part.added")),
    ],
)  # fmt: skip
def test_what_the_model_says(payload: bytes, event: Any) -> None:
    assert rt.decode(payload) == event


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        wire("response.done"),
        wire("response.output_audio.delta", item_id=1),
        wire("response.function_call_arguments.done", response_id="r", item_id="i", call_id="c" * 201, arguments="{}"),
        b'{"type":"response.done","response":{"a":' + b"[" * 30_000,
        b'{"type":"unknown","a":' + b"[" * 30_000,
    ],
)
def test_what_it_must_not_say(payload: bytes) -> None:
    with pytest.raises(rt.WireError):
        rt.decode(payload)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_event_or_a_wire_error(payload: bytes) -> None:
    try:
        rt.decode(payload)
    except rt.WireError as error:
        assert str(error)


def test_every_type_we_know_is_one_that_the_published_api_has() -> None:
    from openai.types.realtime import realtime_server_event  # takes a second

    published = {
        each.model_fields["type"].annotation.__args__[0]
        for each in vars(realtime_server_event).values()
        if isinstance(each, type) and hasattr(each, "model_fields") and "type" in each.model_fields
    }
    assert rt._KNOWN_TYPES - published == {"response.stage_used"}, "but that of `hum voice`"


@pytest.mark.parametrize(
    "payload",
    [
        rt.session_update(MODEL, "Be kind.", (Tool("f", "What it does.", '{"type":"object"}', 1_000),)),
        rt.append(b"\xff\x00"),
        rt.response_create("create_1"),
        rt.response_create("create_2", "Say hello."),
        rt.response_cancel(None),
        rt.response_cancel("r"),
        rt.item_truncate("i", 120),
        rt.item_delete("i"),
        rt.message_create("agent", "hello"),
        rt.message_create("agent", "hello", "item_1"),
        rt.message_create("caller", "hello"),
        rt.message_create("system", "hello"),
        rt.function_output("c", "{}"),
    ],
)
def test_what_we_say_is_what_the_published_api_takes(payload: bytes) -> None:
    from openai.types.realtime.realtime_client_event import RealtimeClientEvent

    sent = json.loads(payload)
    assert TypeAdapter(RealtimeClientEvent).validate_python(sent).type == sent["type"]


def test_the_session_never_answers_by_itself() -> None:
    session = json.loads(rt.session_update(MODEL, "Be kind.", ()))["session"]
    turns = session["audio"]["input"]["turn_detection"]
    assert turns == {"type": "semantic_vad", "eagerness": "high", "create_response": False, "interrupt_response": False}
    assert session["instructions"] == "Be kind."
    assert session["audio"]["input"]["transcription"] == {"model": "gpt-4o-transcribe", "language": "en"}
    assert session["audio"]["input"]["format"] == session["audio"]["output"]["format"] == {"type": "audio/pcmu"}


@pytest.mark.parametrize(
    "body",
    [
        {"type": "rate_limits.updated", "rate_limits": [{"name": "tokens"}]},
        {"type": "response.done", "response": {"id": "r", "status": "completed"}},
        {"type": "response.done"},
        {"type": 'a"b'},
        {"type": "response.created\u0000", "response": {"id": "r"}},
        {"type": 5},
    ],
)
def test_an_event_is_the_same_wherever_its_type_stands(body: dict[str, Any]) -> None:
    def decoded(payload: bytes) -> type[rt.WireError] | tuple[Any, ...]:
        try:
            return type(rt.decode(payload)), rt.decode(payload)
        except rt.WireError:
            return rt.WireError

    first = json.dumps(body, separators=(",", ":")).encode()
    later = json.dumps({"event_id": "e"} | body).encode()
    assert first.startswith(b'{"type":')
    found, other = decoded(first), decoded(later)
    assert found == other or (
        isinstance(found, tuple) and isinstance(other, tuple) and found[0] is other[0] is rt.ResponseDone
    )


@pytest.mark.parametrize(
    "payload", [b'{"type":"unused"', b'{"type":"', b'{"type":"unused","x":}', b'{"type":"unused"}x']
)
def test_what_is_no_json_is_no_event_though_its_type_is_unused(payload: bytes) -> None:
    with pytest.raises(rt.WireError):
        rt.decode(payload)


# The adapter: the same in the terms of the core.


@pytest.mark.parametrize(
    ("payload", "event"),
    [
        (wire("session.created", session={}), SessionBegun()),
        (wire("session.updated", session={}), SessionBegun()),
        (wire("input_audio_buffer.speech_started", item_id="u", audio_start_ms=5), CallerBegan("u", 5)),
        (wire("input_audio_buffer.speech_stopped", item_id="u", audio_end_ms=9), CallerPaused("u", 9)),
        (wire("input_audio_buffer.committed", item_id="u"), TurnCommitted("u")),
        (wire("conversation.item.input_audio_transcription.delta", item_id="u", delta="x"), CallerWords("u", "x")),
        (wire("conversation.item.input_audio_transcription.completed", item_id="u", transcript="x", usage={"type": "duration", "seconds": 2}), CallerText("u", "x", ModelUsed("gpt-4o-transcribe", transcribed_ms=2_000))),
        (wire("conversation.item.input_audio_transcription.failed", item_id="u"), CallerText("u", failed=True)),
        (wire("response.created", response={"id": "r"}), ResponseBegan("r")),
        (wire("response.output_item.added", response_id="r", item={"id": "i", "type": "message"}), ItemBegan("r", "i")),
        (wire("response.output_item.added", response_id="r", item={"id": "i", "type": "function_call", "name": "f"}), FunctionNamed("i", "f")),
        (wire("response.output_item.added", response_id="r", item={"id": "i", "type": "reasoning"}), ResponseGoesOn()),
        (wire("response.output_item.done", item={"id": "i"}), ItemEnded("i")),
        (wire("response.output_audio.delta", response_id="r", item_id="i", delta="//8="), AgentAudio("r", "i", b"\xff\xff")),
        (wire("response.output_audio_transcript.delta", item_id="i", delta="hi"), AgentWords("i", "hi")),
        (wire("response.output_audio_transcript.done", item_id="i", transcript="hi you"), AgentText("i", "hi you")),
        (wire("response.function_call_arguments.done", response_id="r", item_id="i", call_id="c", arguments="{}"), FunctionCalled("r", "i", "c", "{}")),
        (wire("response.done", response={"id": "r", "status": "completed", "usage": {"output_token_details": {"audio_tokens": 7}}}), ResponseEnded("r", "complete", ModelUsed("gpt-realtime", audio_out=7))),
        (wire("response.done", response={"id": "r", "status": "failed"}), ResponseEnded("r", "failed")),
        (wire("response.done", response={"id": "r", "status": "cancelled"}), ResponseEnded("r", "broken")),
        (wire("response.done", response={"id": "r", "status": "of a later release"}), ResponseEnded("r", "broken")),
        (wire("error", error={"message": "no such voice", "event_id": "session_update"}), SessionRejected("no such voice")),
        (wire("error", error={"message": "m", "event_id": "create_1"}), CommandRefused("create_1")),
        (wire("error", error={"message": "m"}), CommandRefused(None)),
        (wire("response.content_part.added", part={}), ResponseGoesOn()),
        (wire("rate_limits.updated"), Unused()),
        (wire("response.done"), MalformedEvent()),
        (b"\xff", MalformedEvent()),
    ],
)  # fmt: skip
def test_each_event_has_its_meaning(payload: bytes, event: ModelEvent) -> None:
    assert WIRE.decode(payload) == event


@pytest.mark.parametrize(
    "command",
    [
        BeginSession("Be kind.", (Tool("f", "What it does.", '{"type":"object"}', 1_000),)),
        ReplaceInstructions("Be brief."),
        CallerAudio(b"\xff\x00"),
        AddMessage("system", "They are back."),
        AddMessage("agent", "hello", "item_1"),
        RequestResponse("create_1"),
        CancelResponse(None),
        ItemHeard("i", 120),
        ItemHeard("i", 0),
        FunctionResult("c", "{}"),
    ],
    ids=lambda command: type(command).__name__,
)
def test_each_command_is_what_the_published_api_takes(command: ModelCommand) -> None:
    from openai.types.realtime.realtime_client_event import RealtimeClientEvent

    sent = json.loads(WIRE.encode(command))
    assert TypeAdapter(RealtimeClientEvent).validate_python(sent).type == sent["type"]


def test_what_was_heard_is_kept_and_the_rest_is_forgotten() -> None:
    some, none = json.loads(WIRE.encode(ItemHeard("i", 120))), json.loads(WIRE.encode(ItemHeard("i", 0)))
    assert (some["type"], some["audio_end_ms"]) == ("conversation.item.truncate", 120)
    assert (none["type"], none["item_id"]) == ("conversation.item.delete", "i")
