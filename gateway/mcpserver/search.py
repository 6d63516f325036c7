"""Finds operations for a goal in plain words.  Pure.

BM25 over an operation's words, those of its name and summary counting more than those of its description (BM25F).  A word of the goal
stands for itself and, a little less, for the contract's words that mean the same (`words`).  What kind of thing the goal wants (to
look, make, change, remove) then favours the operations that do that.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import snowballstemmer

from gateway.mcpserver import words

MOST_CHARS: Final = 500
MOST_WORDS: Final = 40
#: BM25's own constants, as usual.
K1, B = 1.2, 0.6
#: How much of a word's weight its synonyms have, and how much a word that is neither in an operation's name nor a synonym.
SYNONYM, ASIDE = 0.8, 0.3
#: How much better an operation is that does the kind of thing that the goal wants: by its first word, or by another.
RIGHT_KIND, ALSO_RIGHT = 1.6, 1.2
_STEMMER = snowballstemmer.stemmer("english")
_WORD: Final = re.compile(r"[a-z0-9]+")
_CAMEL: Final = re.compile(r"\b[a-z]+(?:[A-Z][a-z0-9]*)+\b")  # as ids are written; a name such as HubSpot is one word
_CAPITAL: Final = re.compile(r"(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Document:
    """What there is to find: texts with how much their words weigh, and the kind of thing that it does."""

    id: str
    kind: str
    texts: Sequence[tuple[float, str]]


class Index:
    """All documents, taken apart once."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self._kinds = {each.id: each.kind for each in documents}
        self._ids = {" ".join(_words(each.id)): each.id for each in documents}
        self._telling = {stem for each in documents for stem in _stems(each.id)}.union(*_SYNONYMS.values())
        self._telling -= set(_stems(" ".join(words.COMMON)))
        self._weights: dict[str, dict[str, float]] = defaultdict(dict)  # by stem, then by document
        averages = _average_lengths(documents)
        for each in documents:
            for stem, weight in _weigh(each, averages).items():
                self._weights[stem][each.id] = weight
        self._rarity = {
            stem: math.log(1 + (len(documents) - len(found) + 0.5) / (len(found) + 0.5))
            for stem, found in self._weights.items()
        }

    def find(self, goal: str, most: int) -> list[str]:
        """The ids of up to so many documents, the best first.  An id finds itself first, also as words."""
        goal = goal[:MOST_CHARS]
        exact = self._ids.get(" ".join(_words(goal)))
        scores = defaultdict[str, float](float)
        for meanings in _meanings(goal):
            best: dict[str, float] = {}
            for stem, factor in meanings.items():
                worth = factor * (1.0 if stem in self._telling else ASIDE) * self._rarity.get(stem, 0.0)
                for id, weight in self._weights.get(stem, {}).items():
                    score = worth * weight * (K1 + 1) / (weight + K1)
                    best[id] = max(best.get(id, 0.0), score)
            for id, score in best.items():
                scores[id] += score
        kinds = _kinds(goal)
        ranked = sorted((-score * kinds.get(self._kinds[id], 1.0), id) for id, score in scores.items())
        return [*([exact] if exact else []), *(id for _, id in ranked if id != exact)][:most]


def _average_lengths(documents: Sequence[Document]) -> Mapping[float, float]:
    """How many words the texts of each weight have on average."""
    lengths: dict[float, list[int]] = defaultdict(list)
    for each in documents:
        for weight, text in each.texts:
            lengths[weight].append(len(_stems(text)))
    return {weight: max(1.0, sum(each) / len(each)) for weight, each in lengths.items()}


def _weigh(document: Document, averages: Mapping[float, float]) -> Mapping[str, float]:
    """How much a document is about each stem: BM25F's combined frequency."""
    combined = defaultdict[str, float](float)
    for weight, text in document.texts:
        stems = _stems(text)
        scale = 1 - B + B * len(stems) / averages[weight]
        for stem, count in Counter(stems).items():
            combined[stem] += weight * count / scale
    return combined


def _words(text: str) -> list[str]:
    split = _CAMEL.sub(lambda found: _CAPITAL.sub(" ", found[0]), text)
    return _WORD.findall(split.lower().replace("'", ""))


def _stems(text: str) -> list[str]:
    return [stem(word) for word in _words(text) if word not in words.EMPTY]


@lru_cache(maxsize=10_000)
def stem(word: str) -> str:
    """What a word has in common with its other forms."""
    found: str = _STEMMER.stemWord(word)
    return found


def _meanings(goal: str) -> list[Mapping[str, float]]:
    """For each word or phrase of the goal, the stems that it may stand for, with their factors."""
    rest, found = _words(goal)[:MOST_WORDS], list[Mapping[str, float]]()
    while rest:
        length = next((n for n in range(min(words.LONGEST, len(rest)), 1, -1) if _key(rest[:n]) in _SYNONYMS), 1)
        phrase, rest = rest[:length], rest[length:]
        meant = dict.fromkeys(_SYNONYMS.get(_key(phrase), ()), SYNONYM)
        if length == 1 and phrase[0] in words.EMPTY:
            continue
        own = dict.fromkeys((stem(each) for each in phrase if each not in words.EMPTY), 1.0 if length == 1 else SYNONYM)
        found.append({**meant, **own})
    return found


def _kinds(goal: str) -> Mapping[str, float]:
    """The kinds of thing that the goal may want, by its verbs, and how much better that makes an operation."""
    text = f" {' '.join(stem(each) for each in _words(goal))} "
    found = dict[str, float]()
    for kind, phrases in _KINDS.items():
        if any(text.startswith(f" {phrase} ") for phrase in phrases):
            found[kind] = RIGHT_KIND
        elif any(f" {phrase} " in text for phrase in phrases):
            found[kind] = ALSO_RIGHT
    return found


def _key(phrase: Iterable[str]) -> tuple[str, ...]:
    return tuple(stem(each) for each in phrase)


def _synonyms() -> Mapping[tuple[str, ...], Sequence[str]]:
    found: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for phrases, meant in words.SYNONYMS:
        for phrase in phrases:
            found[_key(phrase.split())] += [stem(each) for each in meant.split()]
    return found


_SYNONYMS: Final = _synonyms()
_KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    kind: tuple(" ".join(_key(phrase.split())) for phrase in phrases) for kind, phrases in words.KINDS.items()
}
