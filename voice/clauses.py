"""A language model's text, cut into pieces that can be spoken.  Pure.

The first piece is a clause, so that its sound comes early; later ones are sentences.  Example: "Certainly, we are open. Do you"
gives "Certainly, we are open." and keeps "Do you" until more comes.
"""

import re
from dataclasses import dataclass, field

_SENTENCE_END = re.compile(r"[.!?…。！？]+[\"')\]]*(?=\s)|\n+")
_CLAUSE_END = re.compile(r"[.!?…。！？,;:]+[\"')\]]*(?=\s)|\n+")
LEAST_WORDS = 3
#: A text without an end of a sentence is cut at a space here.
LONGEST_CHARS = 400
#: What one answer may say: about five minutes.
MOST_CHARS = 4_000
#: So many equal sentences in a row are a loop.
MOST_EQUAL = 3
_THOUGHT = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|$)", re.DOTALL | re.IGNORECASE)
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_URL = re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE)
_MARKS = re.compile(r"[*_`#~|>]+|^\s*[-•]\s+", re.MULTILINE)
_EMOJI = re.compile("[\U0001f000-\U0001faff\u2600-\u27bf\ufe0f\u200d]")
_OPENING = "<think"


def speakable(text: str) -> str:
    """Return a piece without what is written and not spoken: markdown, emoji, URLs; empty if nothing is left."""
    text = _URL.sub("", _LINK.sub(r"\1", text))
    text = " ".join(_EMOJI.sub("", _MARKS.sub("", text)).split())
    return text if any(character.isalnum() for character in text) else ""


@dataclass(slots=True)
class Clauses:
    """The pieces of one answer.  `spoken` is what was given out; `is_loop`: the model repeats itself, and nothing more is given."""

    spoken: list[str] = field(default_factory=list)
    is_loop: bool = False
    _text: str = ""

    def add(self, text: str) -> list[str]:
        """Take more text; return the pieces that are complete."""
        self._text = _without_thoughts(self._text + text)
        pieces: list[str] = []
        while (end := self._end()) is not None:
            piece, self._text = self._text[:end], self._text[end:]
            pieces += self._give(piece)
        return pieces

    def rest(self) -> list[str]:
        """Return what is left at the end of the text."""
        piece, self._text = _THOUGHT.sub("", self._text), ""
        return [] if looks_like_a_call(piece) else self._give(piece)

    def drop(self) -> None:
        """Forget a piece that is not complete."""
        self._text = ""

    @property
    def pending(self) -> str:
        """The text that is not given out."""
        return self._text.strip()

    def _end(self) -> int | None:
        """Return where the next piece ends."""
        if _thought_begins(self._text):
            return None
        if looks_like_a_call(self._text):
            return None
        pattern = _SENTENCE_END if self.spoken else _CLAUSE_END
        for match in pattern.finditer(self._text):
            if len(self._text[: match.end()].split()) >= LEAST_WORDS or match.end() > LONGEST_CHARS:
                return match.end()
        if len(self._text) > LONGEST_CHARS:
            return self._text.rfind(" ", 1, LONGEST_CHARS) if " " in self._text[1:LONGEST_CHARS] else LONGEST_CHARS
        return None

    def _give(self, piece: str) -> list[str]:
        words = speakable(piece)
        if not words or self.is_loop:
            return []
        if self.spoken[1 - MOST_EQUAL :] == [words] * (MOST_EQUAL - 1) or sum(map(len, self.spoken)) > MOST_CHARS:
            self.is_loop = True
            return []
        self.spoken.append(words)
        return [words]


def cut(text: str) -> list[str]:
    """Return the pieces of a whole text."""
    clauses = Clauses()
    return clauses.add(text) + clauses.rest()


def looks_like_a_call(text: str) -> bool:
    """Tell whether a text is the JSON of a function call, which some models write instead of making it."""
    return text.lstrip().startswith(("{", "<tool_call", "[{", "```json"))


def _without_thoughts(text: str) -> str:
    """Remove complete thoughts; the beginning of one stays, as its end is still to come."""
    return re.sub(r"<think(?:ing)?>.*?</think(?:ing)?>", "", text, flags=re.DOTALL | re.IGNORECASE)


def _thought_begins(text: str) -> bool:
    """Tell whether a thought has begun and not ended, or may begin with what comes next."""
    text = text.lower()
    at = text.rfind("<")
    return _OPENING in text or (at >= 0 and _OPENING.startswith(text[at:]))
