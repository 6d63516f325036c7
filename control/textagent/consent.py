"""The check of what an agent says that somebody said: its quote must be in the transcript, or in the text.  Pure."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

_WORD = re.compile(r"\w+")
#: The share of words that must match: the agent and the transcription hear the caller independently.
ENOUGH = 0.6


def is_found(quote: str, turns: Iterable[str]) -> bool:
    """Return whether one of the caller's turns has enough of the quote's words."""
    quoted = _words(quote)
    return bool(quoted) and any((quoted & _words(turn)).total() >= ENOUGH * quoted.total() for turn in turns)


def in_text(quote: str, body: str) -> str | None:
    """Return the part of a text that is the quote, as the text has it, or None.  Case and punctuation may differ, no word may."""
    places = [(match.start(), match.end()) for match in _WORD.finditer(body)]
    words, quoted = [_plain(body[begin:end]) for begin, end in places], [_plain(word) for word in _WORD.findall(quote)]
    if not quoted:
        sign = quote.strip()  # an emoji
        return sign if sign and sign in body else None
    for index in range(len(words) - len(quoted) + 1):
        if words[index : index + len(quoted)] == quoted:
            return body[places[index][0] : places[index + len(quoted) - 1][1]]
    return None


def _words(text: str) -> Counter[str]:
    return Counter(_WORD.findall(_plain(text)))


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
