"""Search over the pages: every word of the query must be in an entry, and where it is decides the order."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

MOST_CHARS: Final = 100
MOST_WORDS: Final = 8
MOST_RESULTS: Final = 40
EXCERPT_CHARS: Final = 160
LONG_CHARS: Final = 4
MARK: Final = "\0"


@dataclass(frozen=True, slots=True)
class Entry:
    """A place on a page.  `kind` says what it is; `keys` are other names that people look for; `text` is searched last."""

    title: str
    kind: str
    href: str
    keys: str
    text: str


class Index:
    """All entries, folded once."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = [(each, _Folded(each)) for each in entries]

    def find(self, query: str) -> list[Entry]:
        """The entries that have every word of the query, the best first."""
        words = [_marked(word) for word in query[:MOST_CHARS].split()[:MOST_WORDS]]
        found = list[tuple[int, Entry]]()
        for entry, folded in self._entries:
            scores = [folded.score(word) for word in words]
            if scores and all(scores):
                found.append((sum(scores), entry))
        return [entry for _, entry in sorted(found, key=lambda each: -each[0])[:MOST_RESULTS]]


class _Folded:
    """An entry in lower case, in which the beginnings of words are marked: finding one is finding a substring."""

    def __init__(self, entry: Entry) -> None:
        self._title, self._keys, self._text = _marked(entry.title), _marked(entry.keys), _marked(entry.text)
        self._names = f"{entry.title} {entry.keys}".lower()

    def score(self, word: str) -> int:
        """How good the place is where a word of a query is found; 0 when it isn't.

        It is found where a word begins with it; in names also within one, unless it is short.
        """
        if word in self._title:
            return 8
        if word in self._keys:
            return 4
        plain = word.replace(MARK, "")
        return 2 if len(plain) >= LONG_CHARS and plain in self._names else int(word in self._text)


def _marked(text: str) -> str:
    return re.sub(r"(?<![a-z0-9])(?=\S)", MARK, text.lower())


def excerpt(text: str) -> str:
    """The beginning of a text, to the end of a word."""
    beginning = " ".join(text[: 3 * EXCERPT_CHARS].split())  # a guide is long, and is found often
    plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", beginning)
    return plain if len(plain) <= EXCERPT_CHARS else plain[:EXCERPT_CHARS].rpartition(" ")[0] + " …"
