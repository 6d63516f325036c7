"""Usage of a realtime session, as OpenAI charges it.  Pure.

A response reads the whole conversation again: the instructions and tools, and every item; caller audio is 10 tokens a second, model
audio 20, text about four characters a token.  The prefix that is unchanged since the previous response comes from the cache.
Source: platform.openai.com/docs/guides/realtime-costs.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from realtime.conversation import RealtimeItem

HEARD_TOKENS_PER_S, SPOKEN_TOKENS_PER_S = 10, 20
CHARS_PER_TOKEN = 4
#: Models that charge by the duration of the audio, not by tokens.
BY_DURATION = ("whisper-1", "gpt-realtime-whisper")

#: A part of the conversation: its identity, its text tokens and its audio tokens.
Piece = tuple[str, int, int]


def text_tokens(text: str) -> int:
    return -(-len(text) // CHARS_PER_TOKEN)


def spoken_tokens(ms: float) -> int:
    return round(ms * SPOKEN_TOKENS_PER_S / 1000)


def heard_tokens(ms: float) -> int:
    return round(ms * HEARD_TOKENS_PER_S / 1000)


def piece(item: RealtimeItem) -> Piece:
    """Return the part that an item is of a later response's input."""
    audio = spoken_tokens(item.audio_ms) if item.audio else heard_tokens(item.heard_ms)
    # The model reads the caller's sound, not its transcript.
    words = "" if item.heard_ms else item.text()
    return item.id, text_tokens(words + item.wire.get("arguments", "") + item.wire.get("output", "")), audio


@dataclass(slots=True)
class Meter:
    """Usage of the responses of one session."""

    _previous: list[Piece] = field(default_factory=list)

    def response(
        self,
        config: dict[str, Any],
        options: dict[str, Any],
        input_items: Sequence[RealtimeItem],
        output_items: Sequence[RealtimeItem],
    ) -> dict[str, Any]:
        """Return the usage of a response with these input and output items."""
        instructions = options.get("instructions") or config["instructions"]
        tools = options.get("tools", config["tools"])
        pieces = [(f"session {instructions}", text_tokens(instructions + (json.dumps(tools) if tools else "")), 0)]
        pieces += [piece(item) for item in input_items]
        cached = 0
        while cached < min(len(pieces), len(self._previous)) and pieces[cached] == self._previous[cached]:
            cached += 1
        self._previous = pieces
        text, audio = sum(part[1] for part in pieces), sum(part[2] for part in pieces)
        cached_text, cached_audio = sum(part[1] for part in pieces[:cached]), sum(part[2] for part in pieces[:cached])
        text_out = sum(text_tokens(item.text() + item.wire.get("arguments", "")) for item in output_items)
        audio_out = sum(spoken_tokens(item.codec.ms(len(item.audio))) for item in output_items)
        return {
            "total_tokens": text + audio + text_out + audio_out,
            "input_tokens": text + audio,
            "output_tokens": text_out + audio_out,
            "input_token_details": {
                "text_tokens": text,
                "audio_tokens": audio,
                "image_tokens": 0,
                "cached_tokens": cached_text + cached_audio,
                "cached_tokens_details": {"text_tokens": cached_text, "audio_tokens": cached_audio, "image_tokens": 0},
            },
            "output_token_details": {"text_tokens": text_out, "audio_tokens": audio_out},
        }


def transcription(model: str, ms: float, text: str) -> dict[str, Any]:
    """Return the usage of a transcription."""
    if model in BY_DURATION:
        return {"type": "duration", "seconds": ms / 1000}
    tokens_in, tokens_out = heard_tokens(ms), text_tokens(text)
    return {
        "type": "tokens",
        "total_tokens": tokens_in + tokens_out,
        "input_tokens": tokens_in,
        "input_token_details": {"text_tokens": 0, "audio_tokens": tokens_in},
        "output_tokens": tokens_out,
    }
