"""The wire format of OpenAI's Realtime API (GA): server events are decoded into types, client events encoded as bytes.

Source: platform.openai.com/docs/api-reference/realtime-server-events and -client-events.  Audio is `audio/pcmu` both
ways, base64 in JSON.  Only what a call needs is typed, and must therefore be well-formed: event types that it does
not use decode as Unknown, and fields that it does not read are ignored.
"""

import binascii
from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal

import msgspec

from media.core.modelmessages import Author, Tool, TurnModel

MAX_CALL_ID = 200
#: No request takes, hears or says so long, or reads or writes so many tokens.
MOST_MS, MOST_TOKENS = 86_400_000, 1 << 40


class WireError(Exception):
    """The model sent something that is not an event, or a malformed event of a type that the core needs."""


class _Event(msgspec.Struct, frozen=True, tag_field="type"):
    pass


class SessionCreated(_Event, frozen=True, tag="session.created"):
    pass


class SessionUpdated(_Event, frozen=True, tag="session.updated"):
    pass


class Response(msgspec.Struct, frozen=True):
    id: str
    # One of in_progress, completed, cancelled, failed, incomplete.
    status: str = ""
    usage: msgspec.Raw = msgspec.Raw(b"null")


class ResponseCreated(_Event, frozen=True, tag="response.created"):
    response: Response


class ResponseDone(_Event, frozen=True, tag="response.done"):
    response: Response


class ConversationItem(msgspec.Struct, frozen=True):
    id: str = ""
    # One of message, function_call, or a type that is not used here.
    type: str = ""
    name: str = ""  # of a function call


class OutputItemAdded(_Event, frozen=True, tag="response.output_item.added"):
    response_id: str
    item: ConversationItem


class OutputItemDone(_Event, frozen=True, tag="response.output_item.done"):
    item: ConversationItem


class AudioDelta(_Event, frozen=True, tag="response.output_audio.delta"):
    response_id: str
    item_id: str
    delta: bytes  # mu-law; msgspec reads base64 here


class TranscriptDelta(_Event, frozen=True, tag="response.output_audio_transcript.delta"):
    item_id: str
    delta: str


class TranscriptDone(_Event, frozen=True, tag="response.output_audio_transcript.done"):
    item_id: str
    transcript: str


class SpeechStarted(_Event, frozen=True, tag="input_audio_buffer.speech_started"):
    item_id: str
    audio_start_ms: int  # of the audio appended in this session


class SpeechStopped(_Event, frozen=True, tag="input_audio_buffer.speech_stopped"):
    item_id: str
    audio_end_ms: int


class Committed(_Event, frozen=True, tag="input_audio_buffer.committed"):
    item_id: str


class InputTranscriptDelta(_Event, frozen=True, tag="conversation.item.input_audio_transcription.delta"):
    item_id: str
    delta: str = ""


class InputTranscriptCompleted(_Event, frozen=True, tag="conversation.item.input_audio_transcription.completed"):
    item_id: str
    transcript: str
    usage: msgspec.Raw = msgspec.Raw(b"null")


class InputTranscriptFailed(_Event, frozen=True, tag="conversation.item.input_audio_transcription.failed"):
    item_id: str


class FunctionArgumentsDone(_Event, frozen=True, tag="response.function_call_arguments.done"):
    response_id: str
    item_id: str
    call_id: Annotated[str, msgspec.Meta(max_length=MAX_CALL_ID)]  # is sent to control and stored
    arguments: str
    name: str = ""  # some servers: only in the output item


class StageRequest(_Event, frozen=True, tag="response.stage_used"):
    """A request that `hum voice` sent for a stage; OpenAI's API has no such event."""

    stage: Literal["ears", "mind", "mouth"]
    model: Annotated[str, msgspec.Meta(max_length=200)]
    took_ms: Annotated[int, msgspec.Meta(ge=0, le=MOST_MS)]
    tokens_in: Annotated[int, msgspec.Meta(ge=0, le=MOST_TOKENS)] = 0
    cached_tokens_in: Annotated[int, msgspec.Meta(ge=0, le=MOST_TOKENS)] = 0
    tokens_out: Annotated[int, msgspec.Meta(ge=0, le=MOST_TOKENS)] = 0
    heard_ms: Annotated[int, msgspec.Meta(ge=0, le=MOST_MS)] = 0
    spoken_ms: Annotated[int, msgspec.Meta(ge=0, le=MOST_MS)] = 0
    error: Annotated[str, msgspec.Meta(max_length=300)] = ""


class ErrorBody(msgspec.Struct, frozen=True):
    event_id: str | None = None  # of the client event that caused it
    message: str | None = None


class Error(_Event, frozen=True, tag="error"):
    error: ErrorBody


class Unknown(msgspec.Struct, frozen=True):
    type: str


Known = (
    SessionCreated
    | SessionUpdated
    | ResponseCreated
    | ResponseDone
    | OutputItemAdded
    | OutputItemDone
    | AudioDelta
    | TranscriptDelta
    | TranscriptDone
    | SpeechStarted
    | SpeechStopped
    | Committed
    | InputTranscriptDelta
    | InputTranscriptCompleted
    | InputTranscriptFailed
    | FunctionArgumentsDone
    | StageRequest
    | Error
)
ServerEvent = Known | Unknown

_decode = msgspec.json.Decoder[Known](Known).decode
_decode_type = msgspec.json.Decoder(Unknown).decode
_KNOWN_TYPES = frozenset(event.__struct_config__.tag for event in Known.__args__)
_KNOWN_BYTES = frozenset(tag.encode() for tag in _KNOWN_TYPES)
_TYPE_FIRST = b'{"type":"'  # how the API begins every event
_encode = msgspec.json.encode


def decode(payload: bytes) -> ServerEvent:
    """Decode one text frame from the model.  Raises WireError if it is not an event, or is a malformed known one."""
    try:
        # A third of the events are unused: finding that out by an error costs more.
        if payload.startswith(_TYPE_FIRST):
            begin = len(_TYPE_FIRST)
            if payload[begin : payload.find(b'"', begin)] not in _KNOWN_BYTES:
                unused = _decode_type(payload)
                if unused.type not in _KNOWN_TYPES:
                    return unused
        event: Known = _decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _unknown(payload, str(error))
    return event


def _unknown(payload: bytes, reason: str) -> Unknown:
    try:
        event = _decode_type(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise WireError(reason) from None
    if event.type in _KNOWN_TYPES:
        raise WireError(f"{event.type}: {reason}")
    return event


#: The event id of the one that configures a session: without it, a server has formats, turns and tools of its own.
SESSION_UPDATE: Final = "session_update"
_APPEND: Final = b'{"type":"input_audio_buffer.append","audio":"'
_base64: Final = binascii.b2a_base64


def session_update(model: TurnModel, instructions: str, tools: Sequence[Tool]) -> bytes:
    """Encode the whole session: only we create and interrupt responses; the server only detects the ends of turns."""
    transcription = {"model": model.transcription}
    if model.language:
        transcription["language"] = model.language
    pcmu = {"type": "audio/pcmu"}
    audio = {
        "input": {
            "format": pcmu,
            "transcription": transcription,
            "turn_detection": {
                "type": "semantic_vad",
                "eagerness": model.eagerness,
                "create_response": False,
                "interrupt_response": False,
            },
        },
        "output": {"format": pcmu, "voice": model.voice},
    }
    session = {
        "type": "realtime",
        "output_modalities": ["audio"],
        "instructions": instructions,
        "audio": audio,
        "tools": [
            {
                "type": "function",
                "name": tool.name,
                "description": tool.description,
                "parameters": msgspec.Raw(tool.parameters_json.encode()),
            }
            for tool in tools
        ],
    }
    return _encode({"type": "session.update", "event_id": SESSION_UPDATE, "session": session})


def instructions_update(instructions: str) -> bytes:
    """Encode new instructions for an open session.  Nothing else is sent again: a voice that has spoken can't be set."""
    return _encode({"type": "session.update", "session": {"type": "realtime", "instructions": instructions}})


def append(ulaw: bytes) -> bytes:
    """Encode a piece of the caller's audio."""
    return _APPEND + _base64(ulaw, newline=False) + b'"}'


def response_create(event_id: str, instructions: str | None = None) -> bytes:
    event: dict[str, object] = {"type": "response.create", "event_id": event_id}
    if instructions is not None:
        event["response"] = {"instructions": instructions}
    return _encode(event)


def response_cancel(response_id: str | None) -> bytes:
    event = {"type": "response.cancel"}
    if response_id is not None:
        event["response_id"] = response_id
    return _encode(event)


def item_truncate(item_id: str, audio_end_ms: int) -> bytes:
    """Encode that an item was heard up to `audio_end_ms`, which must be above 0 and within the item's audio."""
    return _encode(
        {"type": "conversation.item.truncate", "item_id": item_id, "content_index": 0, "audio_end_ms": audio_end_ms}
    )


def item_delete(item_id: str) -> bytes:
    return _encode({"type": "conversation.item.delete", "item_id": item_id})


def message_create(role: Author, text: str, after: str | None = None) -> bytes:
    """Encode a text item: what the agent said without the model, what the caller typed, what an earlier session heard.

    It is inserted after the item `after`, or at the end.
    """
    part = {"type": "output_text" if role == "agent" else "input_text", "text": text}
    wire_role = {"agent": "assistant", "caller": "user", "system": "system"}[role]
    return _item_create({"type": "message", "role": wire_role, "content": [part]}, after)


def function_output(call_id: str, output_json: str) -> bytes:
    return _item_create({"type": "function_call_output", "call_id": call_id, "output": output_json})


def _item_create(item: Mapping[str, str | Sequence[Mapping[str, str]]], after: str | None = None) -> bytes:
    place = {} if after is None else {"previous_item_id": after}
    return _encode({"type": "conversation.item.create", "item": item, **place})
