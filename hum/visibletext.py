"""Characters that people see.  Pure.

A name or a message may carry characters that a screen does not show and a model reads: tags, zero-width and private
characters, or those that turn the order of what follows them. What is allowed is known: Unicode's letters, marks,
numbers, punctuation, symbols and spaces, and single joiners, which emoji and some scripts need.
"""

import re
import unicodedata
from collections.abc import Iterator

#: Letters and marks without a glyph, among them the variation selectors.
_BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
#: Joiners of emoji and some scripts: allowed one at a time, after a visible character.
_JOINING = frozenset("\u200c\u200d\ufe0f")
#: The two in a row that emoji have: shown as a picture, and joined with the next.
_EMOJI_JOINED = "\ufe0f\u200d"
#: Pictographs, also those that Unicode assigns after the version that this Python knows (`Extended_Pictographic`).
_PICTOGRAPHS = range(0x1F000, 0x1FB00)


def is_visible(text: str) -> bool:
    """Return whether people see each character of a line: none is a control, invisible, or ends the line."""
    return text.isprintable() if text.isascii() else len(text) == sum(1 for _ in _seen(text))


def visible(text: str) -> str:
    """Return a line without its invisible characters."""
    return text if text.isascii() and text.isprintable() else "".join(_seen(text))


def line(text: str) -> str:
    """Return a text as one visible line: runs of spaces and line ends become a space."""
    return " ".join(visible(" ".join(text.split())).split())


def paragraphs(text: str) -> str:
    """Return a text of several lines without its invisible characters."""
    return text if text.isascii() and text.isprintable() else "\n".join(map(visible, text.splitlines()))


def _seen(text: str) -> Iterator[str]:
    """Yield the visible characters, and the joiners between them."""
    before = ""
    for char in text:
        if not _is_invisible(char) or (char in _JOINING and _joins(before, char)):
            yield char
            before = char
        else:
            before = ""


def _joins(before: str, joiner: str) -> bool:
    """Return whether a joiner may follow this character; empty: an invisible one, or none."""
    return before + joiner == _EMOJI_JOINED or (before not in _JOINING and not before.isspace() and before != "")


def _is_invisible(char: str) -> bool:
    """Return whether a character is blank, ends a line, or is of the categories "other": control, format, private, unassigned."""
    if char.isascii():
        return not char.isprintable()
    category = unicodedata.category(char)
    if category == "Cn":
        return ord(char) not in _PICTOGRAPHS
    return category[0] == "C" or category in {"Zl", "Zp"} or bool(_BLANK.match(char))
