"""The splitting of documents into passages, along their headings.  Pure."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hum import visibletext

#: The size of a passage: a few paragraphs to answer from; five are little enough for a model on the phone to read.
PASSAGE_CHARS = 1000
MOST_HEADING_CHARS = 200
SEPARATOR = " › "
_SENTENCE = re.compile(r"(?<=[.!?。！？])\s+|\n")


@dataclass(frozen=True, slots=True)
class Block:
    """A heading, with its level from 1, or a paragraph, with level 0."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Passage:
    heading: str
    text: str


def split(blocks: Iterable[Block], most_chars: int = PASSAGE_CHARS) -> list[Passage]:
    """Split a document along its headings: each passage belongs to one section and has at most `most_chars` characters.

    A heading without text becomes a passage itself, for it may say all there is.
    """
    result, path, texts = list[Passage](), list[tuple[int, str]](), list[str]()

    def end(next_level: int) -> None:
        """End a section before a heading of this level, or with 0 at the document's end."""
        heading = _heading([text for _, text in path])
        if texts:
            result.extend(Passage(heading, text) for text in _packed(texts, most_chars))
            texts.clear()
        elif path and next_level <= path[-1][0]:
            result.append(Passage(heading, path[-1][1][:most_chars]))

    for block in blocks:
        text = _clean(block.text)
        if not text:
            continue
        if not block.level:
            texts.append(text)
            continue
        end(block.level)
        while path and path[-1][0] >= block.level:
            path.pop()
        path.append((block.level, text.replace("\n", " ")))
    end(0)
    return result


def _clean(text: str) -> str:
    lines = (visibletext.line(line) for line in text.replace("\0", "\ufffd").splitlines())
    return "\n".join(line for line in lines if line)


def _heading(path: list[str]) -> str:
    """Join the headings above a passage; drop outer ones if they are too long together."""
    headings = path
    while len(headings) > 1 and len(SEPARATOR.join(headings)) > MOST_HEADING_CHARS:
        headings = headings[1:]
    return SEPARATOR.join(headings)[:MOST_HEADING_CHARS]


def _packed(texts: list[str], most_chars: int) -> Iterator[str]:
    """Pack paragraphs together, as many as fit."""
    return _joined((part for text in texts for part in _parts(text, most_chars)), "\n", most_chars)


def _parts(text: str, most_chars: int) -> Iterable[str]:
    """Split a paragraph that is too long: between sentences, else between words, else anywhere."""
    if len(text) <= most_chars:
        return [text]
    pieces = (piece for sentence in _SENTENCE.split(text) for piece in _pieces(sentence, most_chars))
    return _joined(pieces, " ", most_chars)


def _joined(parts: Iterable[str], separator: str, most_chars: int) -> Iterator[str]:
    """Join parts that follow each other, as many as fit; none is longer than that alone."""
    buffer = ""
    for part in parts:
        if buffer and len(buffer) + len(separator) + len(part) > most_chars:
            yield buffer
            buffer = part
        else:
            buffer = f"{buffer}{separator}{part}" if buffer else part
    if buffer:
        yield buffer


def _pieces(sentence: str, most_chars: int) -> Iterator[str]:
    while len(sentence) > most_chars:
        at = sentence.rfind(" ", 1, most_chars + 1)
        at = at if at > most_chars // 2 else most_chars
        yield sentence[:at]
        sentence = sentence[at:].lstrip()
    if sentence:
        yield sentence
