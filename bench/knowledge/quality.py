"""Questions with the passages that answer them, and how often these are among those that are found.

The corpus is this project's documentation as it was when the questions were written, the Apache License, and a handbook of a shop
that somebody might call.  Each question names a document and words of it: the passages that have them answer it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from control.knowledge.rules import Passage

FOLDER = Path(__file__).parent
FOUND = 5


@dataclass(frozen=True, slots=True)
class Question:
    document: str
    words: str
    text: str

    def is_answered_by(self, document: str, text: str) -> bool:
        return document == self.document and self.words in " ".join(text.split())


def corpus() -> dict[str, bytes]:
    """The documents, by name."""
    return {path.name: path.read_bytes() for path in sorted((FOLDER / "corpus").iterdir())}


def questions() -> list[Question]:
    return [Question(*each) for each in json.loads((FOLDER / "questions.json").read_text())]


def unanswerable(passages: Mapping[str, Sequence[Passage]]) -> list[str]:
    """Questions whose words are in no passage: the set is wrong, or the cutting tore them apart."""
    return [
        each.text
        for each in questions()
        if not any(each.is_answered_by(each.document, passage.text) for passage in passages[each.document])
    ]
