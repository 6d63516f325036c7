"""The opening hours and closed weekdays that a sentence mentions, in English and Spanish.  Pure.

A sentence is read as a row of parts: days ("Monday to Friday"), intervals ("8am to 12pm"), and the words open and closed.
Intervals take the days before them, "Mon-Fri 8 to 5", or, in a sentence that begins with hours, those behind: "8 to 5, Mon-Fri".
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise, product
from operator import attrgetter

from control.base.hours import MIDNIGHT, WEEKDAYS

ALL_DAYS = tuple(WEEKDAYS)
#: The most characters between hours and the words that make them hours.
NEAR = 12
_DAY = (
    r"(?:mon(?:day)?s?|tue(?:s|sday)?s?|wed(?:nesday)?s?|thu(?:r|rs|rsday)?s?|fri(?:day)?s?|sat(?:urday)?s?|sun(?:day)?s?"
    r"|lunes|martes|mi[eé]rcoles|jueves|viernes|s[áa]bados?|domingos?)"
)
_DAYS = re.compile(
    rf"\b(?:(?P<first>{_DAY})\b\.?(?:\s?(?:-|–|—|\bto\b|\bthrough\b|\bthru\b|\ba\b|\bal\b|\bhasta\b)\s?(?:el )?(?P<last>{_DAY})\b\.?)?"
    r"|(?P<week>weekdays?|workdays?|entre semana|d[ií]as laborables)"
    r"|(?P<weekend>weekends?|fin(?:es)? de semana)"
    r"|(?P<all>every ?day|daily|(?:seven|7) days a week|all week|todos los d[ií]as))\b",
    re.IGNORECASE,
)
_STEMS = (
    ("mon", "lun"), ("tue", "mar"), ("wed", "mie", "mié"), ("thu", "jue"), ("fri", "vie"), ("sat", "sab", "sáb"), ("sun", "dom"),
)  # fmt: skip
_TIME = (
    r"(?:(\d{1,2})(?:([:.h])(\d{2}))?(?!\d)\s?([ap]m\b|[ap]\.\s?m\b\.?|de la (?:ma[ñn]ana|tarde|noche)|h(?:s|rs)?\b)?"
    r"|(noon|midday|midnight|mediod[ií]a|medianoche))"
)
_ARTICLE = r"(?:(?:a )?las? )?"
_NOT_WITHIN = r"(?<![\w$€£#/.:+-])"
_BETWEEN = re.compile(rf"\b(?:between|entre) {_ARTICLE}{_TIME} (?:and|y) {_ARTICLE}{_TIME}", re.IGNORECASE)
_INTERVAL = re.compile(
    rf"{_NOT_WITHIN}{_TIME}\s?(?:-|–|—|\bto\b|\buntil\b|\btill?\b|\bthrough\b|\ba\b|\bhasta\b)\s?{_ARTICLE}{_TIME}",
    re.IGNORECASE,
)
#: What may follow hours that are numbers alone; "2 to 3 weeks" are none.
_AFTER_BARE = re.compile(
    rf"\s*(?:$|[,.;:!?)(/&]|(?:{_DAY}|weekdays|weekends|and|on|y|e|los|las|el|every|each|except|but|with|closed|for lunch|during|de|o'clock|in the)\b)",
    re.IGNORECASE,
)
_OPEN = re.compile(
    r"\b(?:open(?:s|ing|ed)?|(?:business|office|working|clinic) hours|hours|abr(?:e|en|imos|ir)|abiert[oa]s?|horarios?|atend(?:emos|er|emos))\b",
    re.IGNORECASE,
)
CLOSED = re.compile(
    r"\b(?:closed|clos(?:e|es|ing) (?:on|for|every)|shut|cerrad[oa]s?|cerramos|cierra (?:el|los|la)|lunch(?: break)?|almuerzo)\b",
    re.IGNORECASE,
)
#: Between days that belong together, and between days and the word that says that they are closed.
_JOINS = re.compile(r"[\s,/&+]*(?:and|y|e|or|on|the|los|las|el|also|plus)?\s*", re.IGNORECASE)
_SAYS = re.compile(r"\s*(?:[:=–-]|is|are|we are|we're|estamos|est[áa])?\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Interval:
    """Hours as a description has them; a time without am or pm may be either."""

    text: str
    opens: frozenset[str]
    closes: frozenset[str]
    #: Empty if the sentence names none.
    days: tuple[str, ...] = ()
    #: Whether the sentence is about when it is open or closed.
    is_opening: bool = False

    @property
    def spans(self) -> set[tuple[str, str]]:
        """What it may be, as times of a clock with 24 hours."""
        return set(product(self.opens, self.closes))


@dataclass(frozen=True, slots=True)
class ClosedDays:
    """Weekdays on which it is closed."""

    text: str
    days: tuple[str, ...]


@dataclass(slots=True)
class _Part:
    """A part of a sentence: `days`, `hours`, `numbers` that may be hours, `open` or `closed`, from one place to another."""

    kind: str
    start: int
    end: int
    #: The weekdays that a part names, those of "Monday to Friday, Saturday" in two groups.
    groups: list[tuple[str, ...]] = field(default_factory=list)
    intervals: list[Interval] = field(default_factory=list)

    @property
    def days(self) -> tuple[str, ...]:
        return tuple(day for group in self.groups for day in group)


def read(sentence: str) -> Iterator[Interval | ClosedDays]:
    """Yield the hours and closed days of a sentence, whose runs of white space are single spaces."""
    parts = _joined(sentence, _timely(sorted(_parts(sentence), key=lambda part: part.start)))
    yield from _closed(sentence, parts)
    hours = [part for part in parts if part.kind == "hours"]
    days = [part for part in parts if part.kind == "days" and part.groups]
    is_opening = bool(days) or any(part.kind in {"open", "closed"} for part in parts)
    for at, part in enumerate(hours):
        named = _days_of(part, hours[at + 1] if at + 1 < len(hours) else None, days, hours[0])
        for interval in part.intervals:
            yield replace(interval, days=named, is_opening=is_opening)


def _parts(sentence: str) -> Iterator[_Part]:
    for match in _DAYS.finditer(sentence):
        yield _Part("days", *match.span(), [_weekdays(match)])
    left = sentence
    for pattern in (_BETWEEN, _INTERVAL):
        for match in pattern.finditer(left):
            if (interval := _interval(match)) is not None:
                kind = "hours" if _says_time(match) else "numbers" if _AFTER_BARE.match(sentence, match.end()) else ""
                yield _Part(kind, *match.span(), [], [interval])
                left = left[: match.start()] + " " * len(match[0]) + left[match.end() :]
    for kind, pattern in (("open", _OPEN), ("closed", CLOSED)):
        for match in pattern.finditer(sentence):
            yield _Part(kind, *match.span())


def _timely(parts: Sequence[_Part]) -> list[_Part]:
    """Return the parts without numbers that are no hours: these stand just behind days, hours or their words, or before days or hours."""
    for before, part in pairwise(parts):
        if (
            part.kind == "numbers"
            and before.kind in {"days", "open", "closed", "hours"}
            and part.start - before.end <= NEAR
        ):
            part.kind = "hours"
    for part, behind in reversed(list(pairwise(parts))):
        if part.kind == "numbers" and behind.kind in {"days", "hours"} and behind.start - part.end <= NEAR:
            part.kind = "hours"
    return [part for part in parts if part.kind not in {"numbers", ""}]


def _joined(sentence: str, parts: Sequence[_Part]) -> list[_Part]:
    """Join days with days, and hours with hours, that follow one another."""
    joined = list[_Part]()
    for part in parts:
        last = joined[-1] if joined else None
        if last is not None and last.kind == part.kind == "hours":
            last.end, last.intervals = part.end, [*last.intervals, *part.intervals]
        elif (
            last is not None and last.kind == part.kind == "days" and _JOINS.fullmatch(sentence[last.end : part.start])
        ):
            last.end, last.groups = part.end, [*last.groups, *part.groups]
        else:
            joined.append(part)
    return joined


def _closed(sentence: str, parts: Sequence[_Part]) -> Iterator[ClosedDays]:
    """Yield the days that are closed: those just before the word, or else just behind it."""
    for at, part in enumerate(parts):
        if part.kind != "closed":
            continue
        before = parts[at - 1] if at else None
        after = parts[at + 1] if at + 1 < len(parts) else None
        if before is not None and before.kind == "days" and _SAYS.fullmatch(sentence[before.end : part.start]):
            named = before
        elif after is not None and after.kind == "days" and after.start - part.end <= 8:
            named = after
        else:
            continue
        # "Closed on Mondays 12 to 1" closes an hour, not the day.
        end = max(named.end, part.end)
        behind = parts[at + 1 : bisect_right(parts, end + 8, key=attrgetter("start"))]
        is_hour = any(other.kind == "hours" and other.start >= end for other in behind)
        if named.groups and not is_hour:
            # "9 to 5 on weekdays, weekends closed": the days before are those of the hours.
            has_hours = named is before and at > 1 and parts[at - 2].kind == "hours" and len(named.groups) > 1
            days, named.groups = (named.groups[-1], named.groups[:-1]) if has_hours else (named.days, [])
            start = min(named.start, part.start)
            yield ClosedDays(sentence[start:end].replace("\0", "").strip(), days)


def _days_of(part: _Part, following: _Part | None, days: Sequence[_Part], first: _Part) -> tuple[str, ...]:
    """Return the weekdays of some hours in their sentence, whose days and first hours these are."""
    place = bisect_right(days, part.start, key=attrgetter("end"))
    before = days[max(0, place - 1) : place]
    until = len(days) if following is None else bisect_left(days, following.start, key=attrgetter("start"))
    behind = days[bisect_left(days, part.end, key=attrgetter("start")) : until]
    if days and days[0].start < first.start and before:
        return before[-1].days
    groups = [group for each in behind for group in each.groups]
    # In "8 to 12 Monday to Friday, Saturday 9 to 11" the last days behind are those of the next hours, which have none behind.
    if following is not None and len(groups) > 1 and days[-1].start < following.end:
        groups = groups[:-1]
    if groups or not before:
        return tuple(day for group in groups for day in group)
    return before[-1].groups[-1] if len(before[-1].groups) > 1 else before[-1].days


def _weekdays(match: re.Match[str]) -> tuple[str, ...]:
    if match["week"]:
        return ALL_DAYS[:5]
    if match["weekend"]:
        return ALL_DAYS[5:]
    if match["all"]:
        return ALL_DAYS
    first = _index(match["first"])
    last = _index(match["last"]) if match["last"] else first
    return tuple(ALL_DAYS[(first + ahead) % 7] for ahead in range((last - first) % 7 + 1))


def _index(name: str) -> int:
    return next(at for at, stems in enumerate(_STEMS) if name.lower().startswith(stems))


def _says_time(match: re.Match[str]) -> bool:
    """Return whether a match is more than a pair of numbers."""
    groups = match.groups()
    return any(mark == ":" or half or word for _, mark, _, half, word in (groups[:5], groups[5:]))


def _interval(match: re.Match[str]) -> Interval | None:
    """Return the hours of a match, None if the clock has no such times."""
    groups = match.groups()
    opens, closes = _times(*groups[:5]), _times(*groups[5:])
    if not opens or not closes:
        return None
    if "00:00" in closes:
        closes |= {MIDNIGHT}
    return Interval(match[0].strip(), frozenset(opens), frozenset(closes))


def _times(hour: str | None, mark: str | None, minute: str | None, half: str | None, word: str | None) -> set[str]:
    """Return what a time may mean, as `17:00`; empty if it is none."""
    if word is not None:
        return {"12:00"} if word.lower() in {"noon", "midday", "mediodía", "mediodia"} else {"00:00", MIDNIGHT}
    value, minutes = int(hour or 0), int(minute or 0)
    if value > 24 or minutes > 59 or (value == 24 and minutes):
        return set()
    half = (half or "").lower()
    is_clock24 = value > 12 or value == 0 or (mark == ":" and (hour or "").startswith("0")) or half.startswith("h")
    if half.startswith(("a", "p", "de")) and 1 <= value <= 12:
        value = value % 12 + (0 if half.startswith(("a", "de la ma")) else 12)
    elif not is_clock24:
        return {f"{each % 24:02}:{minutes:02}" for each in (value, value % 12, value % 12 + 12)}
    return {MIDNIGHT if value == 24 else f"{value:02}:{minutes:02}"}


def gaps(spans: Sequence[Sequence[str]]) -> list[tuple[str, str]]:
    """Return the breaks between the spans of a day."""
    return [(before[1], after[0]) for before, after in pairwise(spans)]
