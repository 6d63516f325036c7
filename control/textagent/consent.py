"""The check of a caller's consent: the agent's quote must be in the transcript.  Pure."""

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


def _words(text: str) -> Counter[str]:
    return Counter(_WORD.findall(unicodedata.normalize("NFKC", text).casefold()))
