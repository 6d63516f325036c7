"""Keywords: the words by which a contact opts out, opts in, or asks for help.  Pure.

A keyword is the whole message: "please stop by at five" is none.  Sentences that mean the same are left to `revocation` and the
agent.
"""

import unicodedata
from collections.abc import Mapping
from enum import Enum


class Keyword(Enum):
    STOP = "STOP"
    START = "START"
    HELP = "HELP"


#: The contract's keywords, and those of 47 CFR 64.1200(a)(10).
WORDS: Mapping[str, Keyword] = {
    **dict.fromkeys(
        (
            "stop",
            "stopall",
            "stop all",
            "unsubscribe",
            "cancel",
            "end",
            "quit",
            "revoke",
            "optout",
            "opt out",
            "opt-out",
        ),
        Keyword.STOP,
    ),
    **dict.fromkeys(("start", "yes", "unstop"), Keyword.START),
    **dict.fromkeys(("help", "info"), Keyword.HELP),
}
#: A longer message is no keyword.
MOST_CHARS = 64
#: Unicode categories stripped around a keyword: punctuation, symbols, separators, control characters, marks (an emoji's).
_AROUND = ("P", "S", "Z", "C", "M")


def recognize(body: str, carrier_type: str = "") -> Keyword | None:
    """Return the keyword that a message is, or None.  `carrier_type`: the carrier's reading (`STOP`, `START`, `HELP`), if any.

    STOP by either reading wins: an opt-out can be undone, an unwanted text can't.
    """
    own = WORDS.get(_bare(body)) if len(body) <= MOST_CHARS else None
    carriers = Keyword(carrier_type) if carrier_type in Keyword.__members__ else None
    return Keyword.STOP if Keyword.STOP in {own, carriers} else own or carriers


def _bare(body: str) -> str:
    """Normalize a message: casefold, NFKC, and strip the characters around its words."""
    text = unicodedata.normalize("NFKC", body).casefold()
    begin, end = 0, len(text)
    while begin < end and _is_around(text[begin]):
        begin += 1
    while end > begin and _is_around(text[end - 1]):
        end -= 1
    return " ".join(text[begin:end].split())


def _is_around(char: str) -> bool:
    return unicodedata.category(char).startswith(_AROUND)
