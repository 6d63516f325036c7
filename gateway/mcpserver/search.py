"""The search for operations by a goal in plain words.  Pure.

BM25F over an operation's words: those of its name and summary weigh more than those of its description.  A word of the
goal stands for itself and, with a little less weight, for its synonyms in the contract (`words`).  The kind of thing
that the goal wants (to look, make, change, remove) then favours operations of that kind.
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

MAX_CHARS: Final = 500
MAX_WORDS: Final = 40
#: BM25's constants, with usual values.
K1, B = 1.2, 0.6
#: Factors for the weight of a synonym, and of a word that is neither in an operation's name nor a synonym.
SYNONYM, ASIDE = 0.8, 0.3
#: Factors for an operation of the kind that the goal wants: by its first word, or by another.
RIGHT_KIND, ALSO_RIGHT = 1.6, 1.2
_STEMMER = snowballstemmer.stemmer("english")
_WORD: Final = re.compile(r"[a-z0-9]+")
#: An operation's id; a name such as HubSpot stays one word.
_CAMEL: Final = re.compile(r"\b[a-z]+(?:[A-Z][a-z0-9]*)+\b")
_CAPITAL: Final = re.compile(r"(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class SearchDocument:
    """A searchable operation: texts with the weight of their words, and the kind of thing that it does."""

    id: str
    kind: str
    texts: Sequence[tuple[float, str]]


class Index:
    """All documents, split into weighted stems."""

    def __init__(self, documents: Sequence[SearchDocument]) -> None:
        self._kinds = {document.id: document.kind for document in documents}
        self._ids = {" ".join(_words(document.id)): document.id for document in documents}
        self._distinctive = {stem for document in documents for stem in _stems(document.id)}.union(*_SYNONYMS.values())
        self._distinctive -= set(_stems(" ".join(words.COMMON)))
        self._weights: dict[str, dict[str, float]] = defaultdict(dict)  # by stem, then document
        averages = _average_lengths(documents)
        for document in documents:
            for stem, weight in _weigh(document, averages).items():
                self._weights[stem][document.id] = weight
        self._rarity = {
            stem: math.log(1 + (len(documents) - len(documents_with) + 0.5) / (len(documents_with) + 0.5))
            for stem, documents_with in self._weights.items()
        }

    def find(self, goal: str, most: int) -> list[str]:
        """Return the ids of up to `most` documents, the best first.

        An id finds itself first, also as separate words.
        """
        goal = goal[:MAX_CHARS]
        exact = self._ids.get(" ".join(_words(goal)))
        scores = defaultdict[str, float](float)
        for meanings in _meanings(goal):
            best: dict[str, float] = {}
            for stem, factor in meanings.items():
                stem_score = factor * (1.0 if stem in self._distinctive else ASIDE) * self._rarity.get(stem, 0.0)
                for id, weight in self._weights.get(stem, {}).items():
                    score = stem_score * weight * (K1 + 1) / (weight + K1)
                    best[id] = max(best.get(id, 0.0), score)
            for id, score in best.items():
                scores[id] += score
        kinds = _kinds(goal)
        ranked = sorted((-score * kinds.get(self._kinds[id], 1.0), id) for id, score in scores.items())
        return [*([exact] if exact else []), *(id for _, id in ranked if id != exact)][:most]


def _average_lengths(documents: Sequence[SearchDocument]) -> Mapping[float, float]:
    """Return the average number of words in the texts of each weight."""
    lengths: dict[float, list[int]] = defaultdict(list)
    for document in documents:
        for weight, text in document.texts:
            lengths[weight].append(len(_stems(text)))
    return {weight: max(1.0, sum(document) / len(document)) for weight, document in lengths.items()}


def _weigh(document: SearchDocument, averages: Mapping[float, float]) -> Mapping[str, float]:
    """Return BM25F's combined frequency of each stem in a document."""
    combined = defaultdict[str, float](float)
    for weight, text in document.texts:
        stems = _stems(text)
        scale = 1 - B + B * len(stems) / averages[weight]
        for stem, count in Counter(stems).items():
            combined[stem] += weight * count / scale
    return combined


def _words(text: str) -> list[str]:
    split = _CAMEL.sub(lambda match: _CAPITAL.sub(" ", match[0]), text)
    return _WORD.findall(split.lower().replace("'", ""))


def _stems(text: str) -> list[str]:
    return [stem(word) for word in _words(text) if word not in words.STOP_WORDS]


@lru_cache(maxsize=10_000)
def stem(word: str) -> str:
    """Return the stem of a word."""
    result: str = _STEMMER.stemWord(word)
    return result


def _meanings(goal: str) -> list[Mapping[str, float]]:
    """List the stems, with their factors, for which each word or phrase of the goal may stand."""
    remaining, all_meanings = _words(goal)[:MAX_WORDS], list[Mapping[str, float]]()
    while remaining:
        length = next(
            (n for n in range(min(words.LONGEST, len(remaining)), 1, -1) if _key(remaining[:n]) in _SYNONYMS), 1
        )
        phrase, remaining = remaining[:length], remaining[length:]
        synonyms = dict.fromkeys(_SYNONYMS.get(_key(phrase), ()), SYNONYM)
        if length == 1 and phrase[0] in words.STOP_WORDS:
            continue
        own_stems = dict.fromkeys(
            (stem(word) for word in phrase if word not in words.STOP_WORDS), 1.0 if length == 1 else SYNONYM
        )
        all_meanings.append({**synonyms, **own_stems})
    return all_meanings


def _kinds(goal: str) -> Mapping[str, float]:
    """Return the kinds of thing that the goal may want, by its verbs, with their factors for an operation."""
    text = f" {' '.join(stem(word) for word in _words(goal))} "
    factors = dict[str, float]()
    for kind, phrases in _KINDS.items():
        if any(text.startswith(f" {phrase} ") for phrase in phrases):
            factors[kind] = RIGHT_KIND
        elif any(f" {phrase} " in text for phrase in phrases):
            factors[kind] = ALSO_RIGHT
    return factors


def _key(phrase: Iterable[str]) -> tuple[str, ...]:
    return tuple(stem(word) for word in phrase)


def _synonyms() -> Mapping[tuple[str, ...], Sequence[str]]:
    stems: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for phrases, meanings in words.SYNONYMS:
        for phrase in phrases:
            stems[_key(phrase.split())] += [stem(word) for word in meanings.split()]
    return stems


_SYNONYMS: Final = _synonyms()
_KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    kind: tuple(" ".join(_key(phrase.split())) for phrase in phrases) for kind, phrases in words.KINDS.items()
}
