"""Usage as the model reports it, in its own units.  Unreadable reports are ignored: they never disturb the call."""

from typing import Annotated

import msgspec

from media.core.modelmessages import ModelUsed
from media.models.realtimewire import MOST_TOKENS, StageRequest

MOST_SECONDS = 1e6

_Tokens = Annotated[int, msgspec.Meta(ge=0, le=MOST_TOKENS)]


class _Cached(msgspec.Struct, frozen=True):
    text_tokens: _Tokens = 0
    audio_tokens: _Tokens = 0


class _Input(msgspec.Struct, frozen=True):
    text_tokens: _Tokens = 0
    audio_tokens: _Tokens = 0
    cached_tokens: _Tokens = 0
    cached_tokens_details: _Cached | None = None


class _Output(msgspec.Struct, frozen=True):
    text_tokens: _Tokens = 0
    audio_tokens: _Tokens = 0


class _Response(msgspec.Struct, frozen=True):
    input_token_details: _Input | None = None
    output_token_details: _Output | None = None


class _Transcription(msgspec.Struct, frozen=True):
    """By tokens, or by the duration of what was transcribed, as the model counts."""

    type: str = ""
    seconds: Annotated[float, msgspec.Meta(ge=0, le=MOST_SECONDS)] = 0.0
    input_token_details: _Input | None = None
    input_tokens: _Tokens = 0
    output_tokens: _Tokens = 0


_response = msgspec.json.Decoder[_Response | None](_Response | None).decode
_transcription = msgspec.json.Decoder[_Transcription | None](_Transcription | None).decode


def of_response(model: str, usage: msgspec.Raw) -> ModelUsed | None:
    """Return what a response used; None if it does not say."""
    try:
        counted = _response(usage)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if counted is None:
        return None
    read, written = counted.input_token_details or _Input(), counted.output_token_details or _Output()
    cached_text, cached_audio = _cached(read)
    used = ModelUsed(
        model,
        audio_in=read.audio_tokens - cached_audio,
        text_in=read.text_tokens - cached_text,
        cached_audio_in=cached_audio,
        cached_text_in=cached_text,
        audio_out=written.audio_tokens,
        text_out=written.text_tokens,
    )
    return used if used.is_something else None


def _cached(read: _Input) -> tuple[int, int]:
    """Return how many of the text and audio tokens came from the cache.

    Tokens without a kind count as text first: what is cached is the beginning, which is the instructions.
    """
    if read.cached_tokens_details is not None:
        text, audio = read.cached_tokens_details.text_tokens, read.cached_tokens_details.audio_tokens
    else:
        text = min(read.cached_tokens, read.text_tokens)
        audio = read.cached_tokens - text
    return min(text, read.text_tokens), min(audio, read.audio_tokens)


def of_transcription(model: str, usage: msgspec.Raw) -> ModelUsed | None:
    """Return what the transcription of a caller's turn used; None if it does not say."""
    try:
        counted = _transcription(usage)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if counted is None:
        return None
    if counted.type == "duration":
        used = ModelUsed(model, transcribed_ms=round(counted.seconds * 1000))
    else:
        read = counted.input_token_details or _Input(audio_tokens=counted.input_tokens)
        used = ModelUsed(model, audio_in=read.audio_tokens, text_in=read.text_tokens, text_out=counted.output_tokens)
    return used if used.is_something else None


def of_stage(request: StageRequest) -> ModelUsed:
    """Return what a request for a stage used."""
    return ModelUsed(
        request.model,
        text_in=request.tokens_in,
        cached_text_in=request.cached_tokens_in,
        text_out=request.tokens_out,
        transcribed_ms=request.heard_ms,
        spoken_ms=request.spoken_ms,
    )
