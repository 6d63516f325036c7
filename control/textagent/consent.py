"""Whether a caller has said what the agent says they agreed with.  Pure."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

_WORD = re.compile(r"\w+")
#: The agent hears the caller, the transcript is another one's hearing: so many of the words must be in both.
ENOUGH = 0.6


def is_found(quote: str, turns: Iterable[str]) -> bool:
    """Whether these words are, as nearly as two hearings agree, in one of the caller's turns."""
    quoted = _words(quote)
    return bool(quoted) and any((quoted & _words(turn)).total() >= ENOUGH * quoted.total() for turn in turns)


def _words(text: str) -> Counter[str]:
    return Counter(_WORD.findall(unicodedata.normalize("NFKC", text).casefold()))
