"""Revocations of consent in a contact's own words.  Pure.

Any reasonable means counts (47 CFR 64.1200(a)(10)).  This rule hears the unambiguous wordings without a model, in six languages;
the agent judges the rest (`control.textagent.stopping`).  A message is read in sentences, and a sentence as words without case,
accents and punctuation:

- A sentence that fits one of `PATTERNS` as a whole, apart from openings and ends, is a revocation: "don't text me after nine" and
  "I never said stop texting me" are none.
- A bare "stop" is one if the rest of the message says nothing else: "Wrong number, stop. Thanks", but not "Stop. You crack me up".
- The words of `LONE` are one as the whole message: "BAJA", but not "talla baja".

The input is hostile: each word is read a bounded number of times, and patterns are matched without backtracking.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from control.texts import revocationphrases as phrases

#: A longer message is left to the agent; the carrier's texts have at most so many characters.
MOST_CHARS = 1600
#: A message of more sentences is left to the agent.
MOST_SENTENCES = 50
#: The limits of a sentence of revocation: words, and phrases before and after them.  A longer one is left to the agent.
MOST_WORDS, MOST_PHRASES = 16, 8
#: The limit of a sentence that is kept as evidence.
EVIDENCE_CHARS = 200

_WORD = re.compile(r"[\w']+")
_SENTENCE_ENDS = re.compile(r"[.!?;\u00a1\u00bf]+")
_APOSTROPHES = str.maketrans(dict.fromkeys("\u2018\u2019\u02bc\u00b4`", "'"))


def revokes(body: str) -> str | None:
    """Return the sentence of a message that revokes consent, in its own words, or None."""
    if len(body) > MOST_CHARS:
        return None
    own, signature = _parts(body)
    if not 0 < len(own) + len(signature) <= MOST_SENTENCES:
        return None
    sentences = [
        *(sentence for sentence in (*own, *signature) if _is_revocation(sentence.words)),
        *_alone(own, _is_bare, _ASIDES),
        *_alone(own, _is_lone, _BESIDE_LONE),
    ]
    return sentences[0].text[:EVIDENCE_CHARS] if sentences else None


@dataclass(frozen=True, slots=True)
class _Sentence:
    text: str
    words: tuple[str, ...]


def _alone(
    sentences: Sequence[_Sentence], means_it: Callable[[Sequence[str]], bool], beside: "_PhraseIndex"
) -> Sequence[_Sentence]:
    """Return the sentences that mean it, if the others say nothing."""
    found = [sentence for sentence in sentences if means_it(sentence.words)]
    others = (sentence for sentence in sentences if sentence not in found)
    return [] if any(_core(sentence.words, beside) for sentence in others) else found


def _parts(body: str) -> tuple[Sequence[_Sentence], Sequence[_Sentence]]:
    """Return the sentences of a message that have words, and those of a signature below it."""
    # Some characters become many.
    lines = unicodedata.normalize("NFKC", body).translate(_APOSTROPHES)[:MOST_CHARS].splitlines()
    end = next((index for index, line in enumerate(lines) if index > 0 and _is_signature(line)), len(lines))
    return _sentences(lines[:end]), _sentences(lines[end:])


def _is_signature(line: str) -> bool:
    plain = " ".join(_letters(line).split())
    return plain in {"--", "\u2014"} or f"{plain} ".startswith(phrases.SIGNATURES)


def _sentences(lines: Iterable[str]) -> Sequence[_Sentence]:
    sentences = (_Sentence(text.strip(), _words(text)) for line in lines for text in _SENTENCE_ENDS.split(line))
    return [sentence for sentence in sentences if sentence.words]


def _letters(text: str) -> str:
    """Normalize letters: without case, accents, and characters that are not seen."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in decomposed if unicodedata.category(char) not in {"Mn", "Cf"})


def _words(text: str) -> tuple[str, ...]:
    """Return the words of a sentence, without those that are only polite."""
    words = list[str]()
    for word in _WORD.findall(_letters(text)):
        bare = word.strip("'_")
        if bare and bare not in phrases.PLEASE:
            words += phrases.EXPANSIONS.get(bare, (bare,))
    return tuple(words)


# --- sentences ----------------------------------------------------------------------------------------------------


def _is_revocation(words: Sequence[str]) -> bool:
    if words[-1] in phrases.NOWS and not phrases.NEGATIONS.isdisjoint(words):
        return False
    begins, ends = _OPENINGS.begins(words), frozenset(_ENDS.ends(words))
    return any(_fits(words, begin, ends) for begin in begins)


def _is_bare(words: Sequence[str]) -> bool:
    core = frozenset(_core(words, _ASIDES))
    return bool(core & phrases.CLEAR) and core <= phrases.CLEAR | phrases.BESIDE_CLEAR


def _is_lone(words: Sequence[str]) -> bool:
    core = _core(words, _BESIDE_LONE)
    return bool(core) and phrases.LONE.issuperset(core)


class _PhraseIndex:
    """Phrases that are cut from a sentence, by their first and by their last word."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._first, self._last = dict[str, list[tuple[str, ...]]](), dict[str, list[tuple[str, ...]]]()
        # The longest first.
        for phrase in sorted({tuple(text.split()) for text in texts}, key=len, reverse=True):
            self._first.setdefault(phrase[0], []).append(phrase)
            self._last.setdefault(phrase[-1], []).append(phrase)

    def begins(self, words: Sequence[str], most: int = MOST_PHRASES) -> Sequence[int]:
        """Return the places at which a sentence may begin: 0, and behind each of its first phrases."""
        places = [0]
        while len(places) <= most and (count := self._count(words, places[-1])):
            places.append(places[-1] + count)
        return places

    def ends(self, words: Sequence[str], most: int = MOST_PHRASES) -> Sequence[int]:
        """Return the places at which a sentence may end: behind its last word, and before each of its last phrases."""
        places = [len(words)]
        while len(places) <= most and (count := self._count_back(words, places[-1])):
            places.append(places[-1] - count)
        return places

    def _count(self, words: Sequence[str], begin: int) -> int:
        known = self._first.get(words[begin], ()) if begin < len(words) else ()
        return next((len(each) for each in known if tuple(words[begin : begin + len(each)]) == each), 0)

    def _count_back(self, words: Sequence[str], end: int) -> int:
        known = self._last.get(words[end - 1], ()) if end > 0 else ()
        return next((len(each) for each in known if tuple(words[max(end - len(each), 0) : end]) == each), 0)


def _core(words: Sequence[str], beside: _PhraseIndex) -> Sequence[str]:
    """Return a sentence without the phrases at its begin and at its end."""
    rest = words[beside.begins(words, len(words))[-1] :]
    return rest[: beside.ends(rest, len(rest))[-1]]


# --- patterns -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A pattern as a set of places, one bit each: a place is before the slot of its number, and the last behind all."""

    #: By word: the slots that may have it.
    slots: Mapping[str, int]
    may_skip: int
    repeats: int
    last: int

    def begin(self) -> int:
        return self._skipped(1)

    def step(self, places: int, word: str) -> int:
        """Return the places after a word more."""
        reached = places & self.slots.get(word, 0)
        return self._skipped(reached << 1 | reached & self.repeats)

    def _skipped(self, places: int) -> int:
        while (more := places | (places & self.may_skip) << 1) != places:
            places = more
        return places


def _compile(text: str) -> _Pattern:
    slots, may_skip, repeats, place = dict[str, int](), 0, 0, 1
    for slot in text.split():
        count = slot[-1] if slot[-1] in "?*+" else ""
        names = slot.removesuffix(count).split("|")
        words = [word for name in names for word in (phrases.CLASSES[name[1:-1]].split() if name[0] == "<" else [name])]
        # At least one is one, and then any number.
        for kind in ("", "*") if count == "+" else (count,):
            for word in words:
                slots[word] = slots.get(word, 0) | place
            may_skip |= place if kind else 0
            repeats |= place if kind == "*" else 0
            place <<= 1
    return _Pattern(slots, may_skip, repeats, place)


def _fits(words: Sequence[str], begin: int, ends: frozenset[int]) -> bool:
    """Return whether a pattern matches the words from `begin` to one of `ends`."""
    if begin >= len(words):
        return False
    return any(_matches(pattern, words, begin, ends) for pattern in _BY_FIRST.get(words[begin], ()))


def _matches(pattern: _Pattern, words: Sequence[str], begin: int, ends: frozenset[int]) -> bool:
    """Follow all places that the words so far may lead to, at once."""
    places = pattern.begin()
    for index in range(begin, min(len(words), begin + MOST_WORDS)):
        places = pattern.step(places, words[index])
        if not places:
            return False
        if places & pattern.last and index + 1 in ends:
            return True
    return False


def _by_first() -> dict[str, list[_Pattern]]:
    by_first = dict[str, list[_Pattern]]()
    for line in filter(None, map(str.strip, phrases.PATTERNS.splitlines())):
        pattern = _compile(line)
        for word in pattern.slots:
            if pattern.step(pattern.begin(), word):
                by_first.setdefault(word, []).append(pattern)
    return by_first


def _split(*texts: str) -> Iterator[str]:
    return (" ".join(phrase.split()) for text in texts for phrase in re.split(r"[;\n]", text) if phrase.strip())


_BY_FIRST = _by_first()
_BESIDE_LONE = _PhraseIndex(_split(phrases.WRONG_NUMBERS, *phrases.PLEASES))
_ASIDES = _PhraseIndex(_split(phrases.ASIDES, phrases.WRONG_NUMBERS, *phrases.PLEASES))
_OPENINGS = _PhraseIndex(_split(phrases.OPENINGS, phrases.ASIDES, phrases.WRONG_NUMBERS, *phrases.PLEASES))
_ENDS = _PhraseIndex(_split(phrases.ENDS, phrases.ASIDES, phrases.WRONG_NUMBERS, *phrases.PLEASES))
