"""The wire format of OpenAI's Live API: server events are decoded into types, client events encoded as bytes.

Source: openai.types.live, and developers.openai.com/api/docs/guides/live-conversations.  Audio is `audio/pcmu` both ways, base64 in
JSON.  Only what a call needs is typed, and must therefore be well-formed; other event types decode as LiveUnknown.
"""

import binascii
from collections.abc import Sequence
from typing import Annotated, Final, Literal

import msgspec

from media.core.modelmessages import Author, DuplexModel

MAX_ID = 200
_Ms = Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]
_Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e6)]


class _LiveEvent(msgspec.Struct, frozen=True, tag_field="type"):
    pass


class LiveStarted(_LiveEvent, frozen=True, tag="session.started"):
    pass


class LiveAudio(_LiveEvent, frozen=True, tag="session.output_audio.delta"):
    delta: bytes  # mu-law; msgspec reads base64 here


class LiveAgentWords(_LiveEvent, frozen=True, tag="session.output_transcript.delta"):
    delta: str
    start_ms: _Ms
    end_ms: _Ms


class LiveCallerWords(_LiveEvent, frozen=True, tag="session.input_transcript.delta"):
    delta: str
    start_ms: _Ms
    end_ms: _Ms


class LiveDelegation(msgspec.Struct, frozen=True):
    id: Annotated[str, msgspec.Meta(max_length=MAX_ID)]  # is sent to control and stored


class LiveTask(_LiveEvent, frozen=True, tag="session.delegation.created"):
    offset_ms: _Ms
    delegation: LiveDelegation


class LiveUsage(msgspec.Struct, frozen=True):
    seconds: _Seconds


class LiveUsageUpdated(_LiveEvent, frozen=True, tag="session.usage.updated"):
    usage: LiveUsage


class LiveClosed(_LiveEvent, frozen=True, tag="session.closed"):
    reason: str = ""
    usage: LiveUsage | None = None


class LiveErrorBody(msgspec.Struct, frozen=True):
    type: str = ""
    code: str | None = None
    message: str | None = None
    client_event_id: str | None = None  # of the client event that caused it


class LiveError(_LiveEvent, frozen=True, tag="error"):
    error: LiveErrorBody


class LiveUnknown(msgspec.Struct, frozen=True):
    type: str


Rarer = LiveStarted | LiveAgentWords | LiveCallerWords | LiveTask | LiveUsageUpdated | LiveClosed | LiveError
Known = LiveAudio | Rarer

_decode = msgspec.json.Decoder[Known](Known).decode
_decode_type = msgspec.json.Decoder(LiveUnknown).decode
_KNOWN_TYPES = frozenset(event.__struct_config__.tag for event in Known.__args__)
_encode = msgspec.json.encode
_base64: Final = binascii.b2a_base64
_APPEND: Final = b'{"type":"session.input_audio.append","audio":"'

#: The event id of the one that begins a session.
START: Final = "start"
Append = Literal["instructions", "thinking", "commentary"]
_ROLES: Final[dict[Author, tuple[str, str]]] = {
    "caller": ("user", "input_text"),
    "agent": ("assistant", "output_text"),
    "system": ("developer", "input_text"),
}


class LiveWireError(Exception):
    """The model sent something that is not an event, or a malformed event of a type that the core needs."""


def decode(payload: bytes) -> Known | LiveUnknown:
    """Decode one text frame from the model.  Raises LiveWireError if it is no event, or is a malformed known one."""
    try:
        event: Known = _decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _unknown(payload, str(error))
    return event


def _unknown(payload: bytes, reason: str) -> LiveUnknown:
    try:
        event = _decode_type(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise LiveWireError(reason) from None
    if event.type in _KNOWN_TYPES:
        raise LiveWireError(f"{event.type}: {reason}")
    return event


def session_start(model: DuplexModel, instructions: str, history: Sequence[tuple[Author, str]]) -> bytes:
    """Encode the whole session, which stores nothing; its tasks are left to us."""
    session = {
        "model": model.name,
        "instructions": instructions,
        "input": [_message(author, text) for author, text in history],
        "audio": {"format": {"type": "audio/pcmu", "rate": 8000}, "output": {"voice": model.voice}},
        "delegation": {"type": "client"},
        "store": False,
    }
    return _encode({"type": "session.start", "event_id": START, "session": session})


def _message(author: Author, text: str) -> dict[str, object]:
    role, part = _ROLES[author]
    return {"type": "message", "role": role, "content": [{"type": part, "text": text}]}


def audio_append(ulaw: bytes) -> bytes:
    """Encode a piece of the caller's audio."""
    return _APPEND + _base64(ulaw, newline=False) + b'"}'


def text_append(how: Append, text: str, delegation_id: str | None) -> bytes:
    """Encode a text for the model; the delegation that it answers must be named, or null."""
    return _encode({"type": f"session.{how}.append", "content": text, "delegation_id": delegation_id})


def session_close() -> bytes:
    return b'{"type":"session.close"}'
