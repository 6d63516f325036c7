"""Questions with the passages that answer them.

The corpus is this project's documentation as it was when the questions were written, the Apache License, and a shop's handbook.
Each question names a document and words of it: the passages with these words answer it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from control.knowledge.passages import Passage

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
    """Return the documents, by name."""
    return {path.name: path.read_bytes() for path in sorted((FOLDER / "corpus").iterdir())}


def questions() -> list[Question]:
    return [Question(*fields) for fields in json.loads((FOLDER / "questions.json").read_text())]


def unanswerable(passages: Mapping[str, Sequence[Passage]]) -> list[str]:
    """Return the questions whose words are in no passage: the set is wrong, or a cut goes through the words."""
    return [
        question.text
        for question in questions()
        if not any(question.is_answered_by(question.document, passage.text) for passage in passages[question.document])
    ]
