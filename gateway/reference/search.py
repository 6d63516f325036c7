"""Search over the pages: every word of the query must be in an entry, and where it is decides the order."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

MOST_CHARS: Final = 100
MOST_WORDS: Final = 8
MOST_RESULTS: Final = 40
EXCERPT_CHARS: Final = 160


@dataclass(frozen=True, slots=True)
class Entry:
    """A place on a page.  `kind` says what it is; `keys` are other names that people look for; `text` is searched last."""

    title: str
    kind: str
    href: str
    keys: str
    text: str


class Index:
    """All entries, folded to lower case once."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = [(each, each.title.lower(), each.keys.lower(), each.text.lower()) for each in entries]

    def find(self, query: str) -> list[Entry]:
        """The entries that have every word of the query, the best first."""
        words = re.findall(r"\S+", query[:MOST_CHARS].lower())[:MOST_WORDS]
        found = [
            (sum(_score(word, title, keys) for word in words), entry)
            for entry, title, keys, text in self._entries
            if words and all(word in title or word in keys or word in text for word in words)
        ]
        return [entry for _, entry in sorted(found, key=lambda each: -each[0])[:MOST_RESULTS]]


def _score(word: str, title: str, keys: str) -> int:
    """How good a place a word is in: the beginning of a word of the title is the best."""
    if re.search(rf"\b{re.escape(word)}", title):
        return 8
    if word in title or re.search(rf"(?<![a-z0-9]){re.escape(word)}", keys):
        return 4
    return 2 if word in keys else 1


def excerpt(text: str) -> str:
    """The beginning of a text, to the end of a word."""
    plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", " ".join(text.split()))
    return plain if len(plain) <= EXCERPT_CHARS else plain[:EXCERPT_CHARS].rpartition(" ")[0] + " …"
