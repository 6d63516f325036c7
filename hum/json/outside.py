"""The counting of JSON and event streams from outside, before a library of others reads them.

A byte of JSON can cost a library a thousand bytes: `{},` is an object, and for a validator an object that is wrong in every branch of
a union.  So a text's members and levels are counted first, without making objects of them.  Pure.
"""

import re
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

#: The last quote is optional: a string without an end would otherwise be looked for at each of its quotes.
_STRINGS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_LEVELS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
#: The end of an event: empty lines.  A line's end is matched whole, so that `\r\n` is one.
_EVENT_END = re.compile(rb"(?:(?>\r\n|\r|\n)){2,}")
_DATA = re.compile(rb"(?:\A|[\r\n])data(?::[ ]?|(?=[\r\n]|\Z))([^\r\n]*)")


class TooMuch(Exception):  # noqa: N818 - about a value, not an error in the code
    """A text is more than its reader takes; the message says of what, after the text's name."""


def require_few(raw: bytes, members: int, levels: int) -> None:
    """Raise TooMuch if a JSON text has more members, at all depths, or more levels.  It need not be valid."""
    # Each member has a name and a value that may be strings.  What follows more of them is not looked at.
    most_strings = 2 * members + 2
    structure, strings = _STRINGS.subn(b"", raw, most_strings)
    if strings == most_strings or sum(map(structure.count, (b",", b"[", b"{"))) > members:
        raise TooMuch(f"has more than {members} members")
    if max(accumulate(map(_LEVELS.__getitem__, structure.translate(None, _NO_BRACKETS))), default=0) > levels:
        raise TooMuch(f"is nested deeper than {levels} levels")


def count(value: Any, most: int, besides: frozenset[str] = frozenset()) -> int:
    """Return how many members a decoded value has, at all depths and up to `most` + 1, besides those of some names."""
    total, parts = 0, [value]
    while parts and total <= most:
        part = parts.pop()
        if isinstance(part, dict):
            total += len(part)
            parts += [
                member for name, member in part.items() if name not in besides and isinstance(member, dict | list)
            ]
        elif isinstance(part, list):
            total += len(part)
            parts += [member for member in part if isinstance(member, dict | list)]
    return total


class Events:
    """The events of a stream (`text/event-stream`), each whole."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def read(self, part: bytes) -> Iterator[bytes]:
        """Yield the events that this part of the stream completes, each with the empty line after it."""
        # What is unread is not read again with each part: a long event of small parts costs no more than its bytes.
        seam = (self._parts[-1][-1:] if self._parts else b"") + part
        if _EVENT_END.search(seam) is None:
            self._parts.append(part)
            return
        unread = b"".join([*self._parts, part])
        begin = 0
        for end in _EVENT_END.finditer(unread):
            yield unread[begin : end.end()]
            begin = end.end()
        self._parts = [unread[begin:]] if begin < len(unread) else []

    def rest(self) -> bytes:
        """Return what no empty line has followed."""
        return b"".join(self._parts)


def data(event: bytes) -> bytes:
    """Return the data of an event; empty for one that is not dispatched, such as a comment."""
    return b"\n".join(_DATA.findall(event))
