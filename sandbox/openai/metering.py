"""What a realtime session charges for, as OpenAI counts it.  Pure.

A response reads the whole conversation anew: the instructions and tools, every item, sound at 10 tokens a second of the caller's and 20
of the model's, text at about four characters a token.  What stands at the beginning as it did for the response before comes from the
cache.  Source: platform.openai.com/docs/guides/realtime-costs.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.openai.conversation import Item

HEARD_TOKENS_PER_S, SPOKEN_TOKENS_PER_S = 10, 20
CHARS_PER_TOKEN = 4
#: Models that charge for the time they listen to, and not for tokens.
BY_DURATION = ("whisper-1", "gpt-realtime-whisper")

#: Of the conversation: what it is, its text tokens and its audio tokens.
Piece = tuple[str, int, int]


def text_tokens(text: str) -> int:
    return -(-len(text) // CHARS_PER_TOKEN)


def spoken_tokens(ms: float) -> int:
    return round(ms * SPOKEN_TOKENS_PER_S / 1000)


def heard_tokens(ms: float) -> int:
    return round(ms * HEARD_TOKENS_PER_S / 1000)


def piece(item: Item) -> Piece:
    """An item, as a later response reads it."""
    audio = spoken_tokens(item.audio_ms) if item.audio else heard_tokens(item.heard_ms)
    words = "" if item.heard_ms else item.text()  # of what the caller said the model reads the sound
    return item.id, text_tokens(words + item.wire.get("arguments", "") + item.wire.get("output", "")), audio


@dataclass(slots=True)
class Meter:
    """Of one session."""

    _read: list[Piece] = field(default_factory=list)

    def response(
        self, config: dict[str, Any], wish: dict[str, Any], read: Sequence[Item], written: Sequence[Item]
    ) -> dict[str, Any]:
        """The usage of a response that has read and written these items."""
        instructions = wish.get("instructions") or config["instructions"]
        tools = wish.get("tools", config["tools"])
        pieces = [(f"session {instructions}", text_tokens(instructions + (json.dumps(tools) if tools else "")), 0)]
        pieces += [piece(each) for each in read]
        same = 0
        while same < min(len(pieces), len(self._read)) and pieces[same] == self._read[same]:
            same += 1
        self._read = pieces
        text, audio = sum(each[1] for each in pieces), sum(each[2] for each in pieces)
        cached_text, cached_audio = sum(each[1] for each in pieces[:same]), sum(each[2] for each in pieces[:same])
        text_out = sum(text_tokens(each.text() + each.wire.get("arguments", "")) for each in written)
        audio_out = sum(spoken_tokens(each.codec.ms(len(each.audio))) for each in written)
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
    """The usage of a transcription."""
    if model in BY_DURATION:
        return {"type": "duration", "seconds": ms / 1000}
    heard, written = heard_tokens(ms), text_tokens(text)
    return {
        "type": "tokens",
        "total_tokens": heard + written,
        "input_tokens": heard,
        "input_token_details": {"text_tokens": 0, "audio_tokens": heard},
        "output_tokens": written,
    }
