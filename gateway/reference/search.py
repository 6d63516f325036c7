"""The search over the pages: an entry matches if it has every word of the query, and their positions decide the order."""

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
    """A place on a page.  `kind` says what it is; `keys` are other names of it; `text` counts least."""

    title: str
    kind: str
    href: str
    keys: str
    text: str


class Index:
    """All entries, folded for the search."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = [(entry, _Folded(entry)) for entry in entries]

    def find(self, query: str) -> list[Entry]:
        """Return the entries that have every word of the query, the best first."""
        words = [_marked(word) for word in query[:MOST_CHARS].split()[:MOST_WORDS]]
        scored = list[tuple[int, Entry]]()
        for entry, folded in self._entries:
            scores = [folded.score(word) for word in words]
            if scores and all(scores):
                scored.append((sum(scores), entry))
        return [entry for _, entry in sorted(scored, key=lambda scored_entry: -scored_entry[0])[:MOST_RESULTS]]


class _Folded:
    """An entry in lower case with marks before words: the beginning of a word can be found as a substring."""

    def __init__(self, entry: Entry) -> None:
        self._title, self._keys, self._text = _marked(entry.title), _marked(entry.keys), _marked(entry.text)
        self._names = f"{entry.title} {entry.keys}".lower()

    def score(self, word: str) -> int:
        """Return the score of a word of a query by where the entry has it; 0 if nowhere.

        It matches at the beginning of a word; in names also within a word, unless it is short.
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
    """Return the beginning of a text, cut at the end of a word."""
    # Cut first: a guide is long, and in many results.
    beginning = " ".join(text[: 3 * EXCERPT_CHARS].split())
    plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", beginning)
    return plain if len(plain) <= EXCERPT_CHARS else plain[:EXCERPT_CHARS].rpartition(" ")[0] + " …"
