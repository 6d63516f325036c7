"""The words by which a contact ends texts, wants them again, or asks who writes.  Pure.

A keyword is the whole message: "please stop by at five" is none.  A longer sentence that means the same is for whoever reads
what is meant.
"""

import unicodedata
from collections.abc import Mapping
from enum import Enum


class Keyword(Enum):
    STOP = "STOP"
    START = "START"
    HELP = "HELP"


#: The contract's words, and those that 47 CFR 64.1200(a)(10) names.
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
#: No keyword is longer, whatever is around it: the rest of a long message is not looked at.
MOST_CHARS = 64
#: Besides white space and punctuation: symbols, marks (an emoji's), and what is not seen at all.
_AROUND = ("P", "S", "Z", "C", "M")


def read(body: str, carrier_type: str = "") -> Keyword | None:
    """The keyword that a message is; `carrier_type`: `STOP`, `START` or `HELP`, if the carrier has taken it for one.

    Who says STOP by either is out: that can be undone, and a text that was not wanted can't.
    """
    own = WORDS.get(_bare(body)) if len(body) <= MOST_CHARS else None
    carriers = Keyword(carrier_type) if carrier_type in Keyword.__members__ else None
    return Keyword.STOP if Keyword.STOP in {own, carriers} else own or carriers


def _bare(body: str) -> str:
    """The message without case, look-alike forms, and all that is around its words."""
    text = unicodedata.normalize("NFKC", body).casefold()
    begin, end = 0, len(text)
    while begin < end and _is_around(text[begin]):
        begin += 1
    while end > begin and _is_around(text[end - 1]):
        end -= 1
    return " ".join(text[begin:end].split())


def _is_around(char: str) -> bool:
    return unicodedata.category(char).startswith(_AROUND)
