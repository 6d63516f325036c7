"""The opening hours and closed days of a text, for proposals.  Pure, deterministic.

It reads a sentence as a row of days, times and dates, English only: times take the days before them, or, in a sentence that begins
with times, those behind; dates are closed where the sentence says so.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = r"(mon|tue|wed|thu|fri|sat|sun)(?:s|day|days|sday|nesday|rsday|urday|urdays)?\b\.?"
_TO = r"\s*(?:-|\u2013|to|through|until|till|and)\s*"
_TIME = r"(?:(\d{1,2})(?::(\d{2}))?\s*([ap]\.?m\b\.?)?|(noon|midnight))"
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_MONTH = rf"({'|'.join(_MONTHS)})[a-z]*\.?"
#: Of a sentence; a day range, a pair of times, a date, and the words that say that it is closed.
PARTS = re.compile(
    rf"\b(?P<days>(?:{_DAY}(?:\s*(?:-|\u2013|to|through)\s*{_DAY})?|weekdays|weekends|every day|daily))"
    rf"|(?P<date>\b{_MONTH} (\d{{1,2}})(?:st|nd|rd|th)?\b(?:,? (\d{{4}}))?|\b(\d{{1,2}}) {_MONTH}(?: (\d{{4}}))?"
    r"|\bchristmas(?: eve)?\b|\bnew year'?s(?: day)?\b)"
    rf"|(?P<hours>(?<![\d.$+-]){_TIME}{_TO}{_TIME}(?![\d$]))"
    r"|(?P<closed>\b(?:closed(?: for lunch)?|lunch break)\b)",
    re.IGNORECASE,
)
NAMED = {"christmas eve": (12, 24), "christmas": (12, 25), "new year": (1, 1)}
_SENTENCE = re.compile(r"(?<!\bDr)(?<![ap]\.m)[.!?;](?:\s+|$)|\n+")
_PHONE = re.compile(r"\+?\d?[ (.-]{0,2}\d{3}[) .-]{1,2}\d{3}[ .-]\d{4}|\+\d[\d ().-]{6,}\d")
#: Where a clause ends within a sentence.
_CLAUSE = re.compile(r"[,;] | and (?=(?:we|it|they|the|our|please)\b)")
Span = list[str]


@dataclass(slots=True)
class OpeningHours:
    """A week, and days on which it is closed."""

    weekly: dict[str, list[Span]] = field(default_factory=dict)
    holidays: list[str] = field(default_factory=list)
    #: Breaks by days.
    breaks: list[tuple[Sequence[str], Span]] = field(default_factory=list)

    def add(self, days: Sequence[str], span: Span) -> None:
        """Add a span to days on which it overlaps none."""
        for day in days:
            spans = self.weekly.setdefault(day, [])
            if all(span[0] >= other[1] or span[1] <= other[0] for other in spans):
                spans.append(span)
                spans.sort()

    def pause(self) -> None:
        """Take the breaks out of the spans that hold them."""
        for day, spans in self.weekly.items():
            for begins, ends in (span for days, span in self.breaks if day in days):
                spans = [piece for opens, closes in spans for piece in _without(opens, closes, begins, ends)]
            self.weekly[day] = spans


def read(text: str, today: date | None) -> OpeningHours:
    """Return a text's opening hours; without `today`, only the closed days that have a year."""
    hours = OpeningHours()
    for sentence in _SENTENCE.split(_PHONE.sub(" ", text)):
        _read(sentence, hours, today)
    hours.pause()
    return hours


def _read(sentence: str, hours: OpeningHours, today: date | None) -> None:
    parts = list(PARTS.finditer(sentence))
    runs = list(_runs(parts, sentence))
    kinds = [kind for kind, _ in runs if kind in {"days", "hours"}]
    begins_with_hours = kinds[:1] == ["hours"]
    for at, (kind, matches) in enumerate(runs):
        before, behind = ([run for run in side if run[0] == "days"] for side in (runs[:at], runs[at + 1 :]))
        if kind == "date" and any(other == "closed" for other, _ in runs):
            hours.holidays += [day for match in matches if (day := _date(match, today)) and day not in hours.holidays]
        elif kind == "hours" and at and runs[at - 1][0] == "closed" and _follow(sentence, runs[at - 1][1], matches):
            named = _paused(sentence, runs, at)
            hours.breaks += [(named, _span(match)) for match in matches]
        elif kind == "hours":
            chosen = behind[:1] or before[-1:] if begins_with_hours else before[-1:] or behind[:1]
            days = [day for _, named in chosen for match in named for day in _days(match)]
            for match in matches:
                hours.add(days, _span(match))


def without(text: str) -> str:
    """Return a text without the parts of its sentences that say hours and closed days, from the first to the last of a sentence."""
    return "".join(
        f"{kept}{end}" if (kept := _without_hours(sentence)) else "\n" * end.count("\n")
        for sentence, end in _ended(text)
    ).strip()


def _ended(text: str) -> Iterator[tuple[str, str]]:
    """Yield the sentences of a text, each with what ends it."""
    start = 0
    for match in _SENTENCE.finditer(text):
        yield text[start : match.start()], match[0]
        start = match.end()
    yield text[start:], ""


def _without_hours(sentence: str) -> str:
    spelled = _PHONE.sub(lambda number: "#" * len(number[0]), sentence)
    runs = list(_runs(list(PARTS.finditer(spelled)), spelled))
    hours = [match for kind, matches in runs if kind in {"hours", "closed"} for match in matches]
    if not hours:
        return sentence
    parts = [
        match for kind, matches in runs for match in matches if kind != "date" or any(k == "closed" for k, _ in runs)
    ]
    first, last = min(match.start() for match in parts), max(match.end() for match in parts)
    # A clause goes with the hours in it: "is a dentist, open 8 to 5, and takes walk-ins".
    before = max((match.start() for match in _CLAUSE.finditer(spelled[:first])), default=0)
    behind = next((match.start() for match in _CLAUSE.finditer(spelled, last)), len(sentence))
    return f"{sentence[:before]}{sentence[behind:]}".strip(" ,;")


def _paused(sentence: str, runs: Sequence[tuple[str, list[re.Match[str]]]], at: int) -> Sequence[str]:
    """Return the days of a break: those just before it, if it is told with these or others follow; else all before; else every day."""
    before = [matches for kind, matches in runs[:at] if kind == "days"]
    is_apart = "," in sentence[runs[at - 2][1][-1].end() : runs[at - 1][1][0].start()] if at > 1 else True
    if not is_apart:
        before = before[-1:]
    return [day for matches in before for match in matches for day in _days(match)] or DAYS


def _follow(sentence: str, closed: Sequence[re.Match[str]], hours: Sequence[re.Match[str]]) -> bool:
    """Return whether these hours are those that are closed."""
    between = sentence[closed[-1].end() : hours[0].start()]
    return re.fullmatch(r"\s*(?:from|between|:)?\s*", between, re.IGNORECASE) is not None


def _runs(parts: Sequence[re.Match[str]], sentence: str) -> Iterator[tuple[str, list[re.Match[str]]]]:
    """Yield parts of a kind that follow one another; days that are closed are none, nor are times that are mere numbers."""
    run: tuple[str, list[re.Match[str]]] | None = None
    is_timely = any(part.lastgroup in {"days", "closed"} for part in parts) or "open" in sentence.lower()
    for part in parts:
        kind = str(part.lastgroup)
        if kind == "hours" and not is_timely and not re.search(r"[ap]\.?m|:|noon|midnight", part[0], re.IGNORECASE):
            continue
        if kind == "days" and re.match(r"\s*(?:is |are |:)?\s*closed", sentence[part.end() :], re.IGNORECASE):
            continue
        if kind == "days" and run is not None and run[0] == "closed":
            continue
        if run is not None and run[0] == kind:
            run[1].append(part)
            continue
        if run is not None:
            yield run
        run = kind, [part]
    if run is not None:
        yield run


def _days(match: re.Match[str]) -> Sequence[str]:
    word = match["days"].lower()
    if word in {"every day", "daily"}:
        return DAYS
    if word in {"weekdays", "weekends"}:
        return DAYS[:5] if word == "weekdays" else DAYS[5:]
    first, last = match[2].lower(), (match[3] or match[2]).lower()
    at = DAYS.index(first)
    return [DAYS[(at + ahead) % 7] for ahead in range((DAYS.index(last) - at) % 7 + 1)]


def _date(match: re.Match[str], today: date | None) -> str | None:
    """Return a day as `2026-12-25`, the next one if it has no year."""
    named = next((day for name, day in NAMED.items() if match["date"].lower().startswith(name)), None)
    month_name, day_text, year, day_before, month_behind, year_behind = match.groups()[4:10]
    if named is None:
        named = _MONTHS.index((month_name or month_behind).lower()) + 1, int(day_text or day_before)
    year = year or year_behind
    if not year and today is None:
        return None
    for each in (int(year),) if year else (today.year, today.year + 1):  # type: ignore[union-attr]  # there is one
        try:
            day = date(each, *named)
        except ValueError:
            return None
        if year or (today is not None and day >= today):
            return day.isoformat()
    return None


def _span(match: re.Match[str]) -> Span:
    """Return a pair of times as `17:00`; an hour up to five without am or pm opens in the afternoon, and what closes is later."""
    groups = match.groups()
    opening, closing = groups[11:15], groups[15:19]
    opens = _minutes(*opening, is_late=int(opening[0] or 12) <= 5)
    closes = _minutes(*closing, is_late=False)
    if closing[2] is None and closes <= opens and closes < 12 * 60:
        closes += 12 * 60
    if closing[3] and closing[3].lower() == "midnight":
        closes = 24 * 60
    return [f"{each // 60:02}:{each % 60:02}" for each in (opens, closes)]


def _minutes(hour: str | None, minute: str | None, half: str | None, word: str | None, *, is_late: bool) -> int:
    if word is not None:
        return 12 * 60 if word.lower() == "noon" else 0
    value = int(hour or 0) % 25
    if half is not None:
        value = value % 12 + (12 if half.lower().startswith("p") else 0)
    elif is_late:
        value += 12
    return value * 60 + int(minute or 0)


def _without(opens: str, closes: str, begins: str, ends: str) -> Iterator[Span]:
    if not opens < begins < ends < closes:
        yield [opens, closes]
        return
    yield [opens, begins]
    yield [ends, closes]
