"""The client events of a Live session, and what is refused in them.  Pure.

An unknown field is refused at any depth, as the service does.
Source: openai.types.live, and developers.openai.com/api/docs/guides/live-conversations.
"""

from typing import Any, Literal

import msgspec

from realtime.errors import Refusal, missing, unknown_parameter, wrong_value

VOICES = (
    *("alloy", "ash", "ballad", "beacon", "bossa", "cedar", "cinder", "coral", "delta", "echo", "gleam", "marin"),
    *("meridian", "quartz", "ripple", "sage", "shida", "shimmer", "stone", "tempo", "verse", "vesper", "willow"),
)
MODELS = ("gpt-live-1", "gpt-live-1.1")
MAX_MESSAGES = 128
MAX_HISTORY_TOKENS, MAX_INSTRUCTION_TOKENS, MAX_APPEND_TOKENS = 8_192, 16_384, 500
#: Of the client's events those that the stand-in does not offer.
NOT_OFFERED = (
    *("session.output_audio.fixture.play", "response.item.create", "response.create"),
    *("decision.create", "decision.item.create", "decision.item.delete"),
)


class _Strict(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A part of an event."""


class TextPart(_Strict):
    text: str
    type: Literal["input_text", "output_text", "text"] | None = None


class HistoryMessage(_Strict, kw_only=True):
    role: Literal["developer", "user", "assistant"]
    content: list[TextPart]
    id: str | None = None
    status: Literal["incomplete", "completed"] | None = None
    type: Literal["message"] | None = None


class Format(_Strict):
    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"]
    rate: int


class Output(_Strict):
    voice: str | None = None


class AudioConfig(_Strict):
    format: Format | None = None
    output: Output | None = None


class Delegation(_Strict):
    type: Literal["client", "responses", "decisions"]
    acknowledgement_delay_ms: int | None = None
    responses: dict[str, Any] | None = None
    decisions: dict[str, Any] | None = None


class SessionConfig(_Strict, kw_only=True):
    model: str
    instructions: str | None = None
    input: list[HistoryMessage] = []
    audio: AudioConfig | None = None
    delegation: Delegation | None = None
    triggers: list[dict[str, Any]] | None = None
    safety_identifier: str | None = None
    store: bool | None = None


class SessionChanges(_Strict):
    delegation: Delegation | None = None
    triggers: list[dict[str, Any]] | None = None


class _Command(_Strict, tag_field="type"):
    """A client event."""

    event_id: str | None = None


class StartSession(_Command, kw_only=True, tag="session.start"):
    session: SessionConfig


class Update(_Command, kw_only=True, tag="session.update"):
    session: SessionChanges


class AppendAudio(_Command, kw_only=True, tag="session.input_audio.append"):
    audio: bytes  # decoded


class Mute(_Command, kw_only=True, tag="session.input_audio.mute"):
    pass


class Unmute(_Command, kw_only=True, tag="session.input_audio.unmute"):
    pass


class _Append(_Command, kw_only=True):
    """Text for the model; its delegation, or an explicit null."""

    content: str
    delegation_id: str | None


class AppendInstructions(_Append, tag="session.instructions.append"):
    pass


class AppendThinking(_Append, tag="session.thinking.append"):
    pass


class AppendCommentary(_Append, tag="session.commentary.append"):
    pass


class Close(_Command, kw_only=True, tag="session.close"):
    pass


Append = AppendInstructions | AppendThinking | AppendCommentary
Command = StartSession | Update | AppendAudio | Mute | Unmute | Append | Close
_decode = msgspec.json.Decoder(Command).decode
_KNOWN = tuple(kind.__struct_config__.tag for kind in Command.__args__)


def tokens(text: str) -> int:
    """Return about how many tokens a text has."""
    return -(-len(text) // 4)


def command(message: str | bytes) -> Command:
    """Return the client event.  Raises Refusal."""
    try:
        event = msgspec.json.decode(message)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refusal(f"The event is not valid JSON: {error}", code="invalid_json") from error
    if not isinstance(event, dict):
        raise Refusal("The event is not a JSON object.", code="invalid_event")
    if "type" not in event:
        raise missing("type")
    if event["type"] in NOT_OFFERED:
        raise Refusal(f"This session can't take {event['type']}.", code="unsupported_event", param="type")
    if event["type"] not in _KNOWN:
        raise wrong_value("type", event["type"], (*_KNOWN, *NOT_OFFERED))
    try:
        decoded: Command = _decode(message)
    except msgspec.ValidationError as error:
        raise _refusal(str(error)) from error
    return decoded


def check_start(session: SessionConfig) -> None:
    """Check what the types don't say of a session's beginning.  Raises Refusal."""
    if session.model not in MODELS:
        raise Refusal(f"The model '{session.model}' does not exist.", code="model_not_found", param="session.model")
    if tokens(session.instructions or "") > MAX_INSTRUCTION_TOKENS:
        raise _too_long("session.instructions", MAX_INSTRUCTION_TOKENS)
    if len(session.input) > MAX_MESSAGES:
        raise Refusal(
            f"Invalid 'session.input': at most {MAX_MESSAGES} messages.",
            code="array_above_max_length",
            param="session.input",
        )
    for number, message in enumerate(session.input):
        if len(message.content) != 1:
            raise Refusal(
                "A message has exactly one text part.", code="invalid_value", param=f"session.input[{number}].content"
            )
    if sum(tokens(message.content[0].text) for message in session.input) > MAX_HISTORY_TOKENS:
        raise _too_long("session.input", MAX_HISTORY_TOKENS)
    _check_audio(session.audio)
    if session.delegation is not None and session.delegation.type != "client":
        raise Refusal(
            "This session delegates to its client alone.", code="unsupported_value", param="session.delegation.type"
        )


def check_append(append: Append) -> None:
    """Check an appended text's length.  Raises Refusal."""
    if tokens(append.content) > MAX_APPEND_TOKENS:
        raise _too_long("content", MAX_APPEND_TOKENS)


def _check_audio(audio: AudioConfig | None) -> None:
    if audio is None:
        return
    rates = {"audio/pcm": (16_000, 24_000), "audio/pcmu": (8_000,), "audio/pcma": (8_000,)}
    if audio.format is not None and audio.format.rate not in rates[audio.format.type]:
        choices = tuple(map(str, rates[audio.format.type]))
        raise wrong_value("session.audio.format.rate", audio.format.rate, choices)
    voice = audio.output.voice if audio.output is not None else None
    if voice is not None and voice not in VOICES:
        raise Refusal(f"The voice '{voice}' can't be used.", code="forbidden", param="session.audio.output.voice")


def _too_long(param: str, most: int) -> Refusal:
    return Refusal(f"Invalid '{param}': more than {most} tokens.", code="string_above_max_length", param=param)


def _refusal(error: str) -> Refusal:
    """Return the API's refusal for a message of msgspec, such as "Object missing required field `x` - at `$.session`"."""
    problem, _, place = error.partition(" - at ")
    prefix = place.strip("`").removeprefix("$").removeprefix(".")
    field = problem.partition("`")[2].rstrip("`")
    param = ".".join(part for part in (prefix, field) if part)
    if problem.startswith("Object missing required field"):
        return missing(param)
    if problem.startswith("Object contains unknown field"):
        return unknown_parameter(param)
    return Refusal(f"Invalid value for '{prefix}': {problem}.", code="invalid_value", param=prefix or None)
