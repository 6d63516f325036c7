"""Formats of documents, splitting into passages, and the fusion of rankings: pure."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from control.base.job import Job

CONVERT = Job("convert_knowledge", concurrency=4, per_organization=2, timeout_seconds=900.0)
EMBED = Job("embed_knowledge", concurrency=4, per_organization=1, timeout_seconds=900.0)

#: The size of a passage: a few paragraphs to answer from; five are little enough for a model on the phone to read.
PASSAGE_CHARS = 1000
MOST_HEADING_CHARS = 200
SEPARATOR = " › "
#: The constant of reciprocal rank fusion (Cormack, Clarke and Büttcher, 2009).
FUSION = 60
#: Passages that each ranking contributes.
CANDIDATES = 50

#: PostgreSQL's text search configurations by language (ISO 639-1).
CONFIGS = {
    "ar": "arabic",
    "ca": "catalan",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "es": "spanish",
    "eu": "basque",
    "fi": "finnish",
    "fr": "french",
    "ga": "irish",
    "hi": "hindi",
    "hu": "hungarian",
    "hy": "armenian",
    "id": "indonesian",
    "it": "italian",
    "lt": "lithuanian",
    "nb": "norwegian",
    "ne": "nepali",
    "nl": "dutch",
    "nn": "norwegian",
    "no": "norwegian",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sr": "serbian",
    "sv": "swedish",
    "ta": "tamil",
    "tr": "turkish",
    "yi": "yiddish",
}
DEFAULT_LANGUAGE = "en"

_ENDINGS = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".htm": "html",
    ".html": "html",
    ".pdf": "pdf",
    ".docx": "docx",
    ".csv": "csv",
    ".txt": "text",
}
_MEDIA_TYPES = {
    "text/plain": "text",
    "text/markdown": "markdown",
    "text/html": "html",
    "application/xhtml+xml": "html",
    "application/pdf": "pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "text/csv": "csv",
}
#: Possessive quantifiers: a file of many comments without a page must not cause catastrophic backtracking.
_HTML = re.compile(rb"\s*+(?:<!--(?:(?!-->).)*+-->\s*+)*+<(!doctype html|html)\b", re.IGNORECASE | re.DOTALL)
_SENTENCE = re.compile(r"(?<=[.!?。！？])\s+|\n")
_PlaceT = TypeVar("_PlaceT")


@dataclass(frozen=True, slots=True)
class Block:
    """A heading, with its level from 1, or a paragraph, with level 0."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Passage:
    heading: str
    text: str


def config(language: str) -> str:
    """Return PostgreSQL's text search configuration for a language tag; `simple` for an unknown one."""
    return CONFIGS.get(language.partition("-")[0].lower(), "simple")


def format_of(body: bytes, name: str, media_type: str = "") -> str:
    """Detect a document's format by its first bytes, its media type and its name."""
    head = body[:1024].lstrip(b"\xef\xbb\xbf")
    if head.lstrip().startswith(b"%PDF-"):
        return "pdf"
    if head.startswith(b"PK\x03\x04"):
        return "docx"
    by_name = next((format for ending, format in _ENDINGS.items() if name.lower().endswith(ending)), None)
    by_type = _MEDIA_TYPES.get(media_type.partition(";")[0].strip().lower())
    if by_type and (by_type != "text" or by_name is None):
        return by_type
    return by_name or ("html" if _HTML.match(head) else "text")


def passages(blocks: Iterable[Block], most_chars: int = PASSAGE_CHARS) -> list[Passage]:
    """Split a document along its headings: each passage belongs to one section and has at most `most_chars` characters.

    A heading without text becomes a passage itself, for it may say all there is.
    """
    result, path, texts = list[Passage](), list[tuple[int, str]](), list[str]()
    is_bare = False

    def end() -> None:
        if texts:
            heading = _heading([text for _, text in path])
            result.extend(Passage(heading, text) for text in _packed(texts, most_chars))
            texts.clear()

    for block in blocks:
        text = _clean(block.text)
        if not text:
            continue
        if not block.level:
            texts.append(text)
            is_bare = False
            continue
        end()
        if is_bare and block.level <= path[-1][0]:
            result.append(Passage(_heading([title for _, title in path]), path[-1][1][:most_chars]))
        while path and path[-1][0] >= block.level:
            path.pop()
        path.append((block.level, text.replace("\n", " ")))
        is_bare = True
    end()
    if is_bare:
        result.append(Passage(_heading([title for _, title in path]), path[-1][1][:most_chars]))
    return result


def fused(orders: Sequence[Sequence[_PlaceT]]) -> list[_PlaceT]:
    """Fuse rankings by reciprocal rank: places that rank high in several come first."""
    scores = dict[_PlaceT, float]()
    for order in orders:
        for rank, place in enumerate(order, 1):
            scores[place] = scores.get(place, 0.0) + 1 / (FUSION + rank)
    return sorted(scores, key=lambda place: -scores[place])


def _clean(text: str) -> str:
    lines = (re.sub(r"[^\S\n]+", " ", line).strip() for line in text.replace("\0", "\ufffd").splitlines())
    return "\n".join(line for line in lines if line)


def _heading(path: list[str]) -> str:
    """Join the headings above a passage; drop outer ones if they are too long together."""
    headings = path
    while len(headings) > 1 and len(SEPARATOR.join(headings)) > MOST_HEADING_CHARS:
        headings = headings[1:]
    return SEPARATOR.join(headings)[:MOST_HEADING_CHARS]


def _packed(texts: list[str], most_chars: int) -> Iterator[str]:
    """Pack paragraphs together, as many as fit."""
    buffer = ""
    for text in texts:
        for part in _parts(text, most_chars):
            if buffer and len(buffer) + 1 + len(part) > most_chars:
                yield buffer
                buffer = part
            else:
                buffer = f"{buffer}\n{part}" if buffer else part
    if buffer:
        yield buffer


def _parts(text: str, most_chars: int) -> Iterator[str]:
    """Split a paragraph that is too long: between sentences, else between words, else anywhere."""
    if len(text) <= most_chars:
        yield text
        return
    buffer = ""
    for sentence in _SENTENCE.split(text):
        for piece in _pieces(sentence, most_chars):
            if buffer and len(buffer) + 1 + len(piece) > most_chars:
                yield buffer
                buffer = piece
            else:
                buffer = f"{buffer} {piece}" if buffer else piece
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
