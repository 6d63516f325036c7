"""What a description of a business mentions that its agent needs word for word: hours, days, phone numbers, amounts and languages.  Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from control.base import phone
from control.studio import hourmentions
from control.studio.hourmentions import CLOSED, ClosedDays, Interval

LEAST_DIGITS, MOST_DIGITS = 7, 15
PHONE = re.compile(r"(?<![\w.])\+?\d[\d ()./\-\u00a0]{5,}\d(?!\w)")
#: As in +44 (0)20: not dialled after the country code.
_TRUNK_ZERO = re.compile(r"\(0\)")
_FULL_DATE = re.compile(r"\d{4}-\d{2}-\d{2}|\d{1,2}[./]\d{1,2}[./]\d{4}")
_SENTENCE_END = re.compile(
    r"(?<![ap]\.m)(?<!\bDr)(?<!\bDra)(?<!\bMr)(?<!\bMs)(?<!\bMrs)(?<!\bSr)(?<!\bSt)[.!?;] (?=[A-ZÁÉÍÓÚÑ¿¡\"(])"
)
_AMOUNT = re.compile(
    r"(?:US\$|[$€£]|\b(?:USD|EUR|MXN) ?) ?(\d(?:[\d.,]*\d)?)"
    r"|(?<![\w.,$€£])(\d(?:[\d.,]*\d)?) ?(?:€|£|(?:dollars?|euros?|pesos|bucks|USD|EUR|MXN)\b)",
    re.IGNORECASE,
)
_TRANSFER = re.compile(
    r"\b(?:transfer\w*|forward\w*|put (?:\w+ )?through|connect\w*|redirect\w*|pass(?:es)? (?:\w+ )?(?:on|to)|go(?:es)? to|send\w* (?:\w+ )?to"
    r"|transfier\w*|transferir|pas[ea]r?|desv[ií]\w*)\b",
    re.IGNORECASE,
)
#: Languages by their codes, in English and Spanish; and what a sentence says that speaks of them.
_LANGUAGES = {
    "en": "english|ingl[ée]s", "es": "spanish|español|castellano", "fr": "french|franc[ée]s", "de": "german|alem[áa]n",
    "it": "italian|italiano", "pt": "portuguese|portugu[ée]s", "zh": "chinese|mandarin|cantonese|chino|mandar[ií]n",
    "ja": "japanese|japon[ée]s", "ko": "korean|coreano", "vi": "vietnamese|vietnamita", "ru": "russian|ruso",
    "uk": "ukrainian|ucraniano", "pl": "polish|polaco", "ar": "arabic|[áa]rabe", "hi": "hindi", "tl": "tagalog|filipino",
    "tr": "turkish|turco", "nl": "dutch|neerland[ée]s|holand[ée]s", "ht": "haitian creole", "ca": "catal[áa]n",
}  # fmt: skip
_LANGUAGE = re.compile("|".join(rf"(?P<{code}>\b(?:{names})\b)" for code, names in _LANGUAGES.items()), re.IGNORECASE)
_SPEAKS = re.compile(
    r"\b(?:speak\w*|spoken|languages?|bilingual|fluent|in (?:english|spanish)|habla\w*|idiomas?|lenguas?|biling[üu]e\w*|atende\w+ en)\b",
    re.IGNORECASE,
)
_MONTHS = (
    "jan(?:uary)?|enero", "feb(?:ruary)?|febrero", "mar(?:ch)?|marzo", "apr(?:il)?|abril", "may|mayo", "june?|junio",
    "july?|julio", "aug(?:ust)?|agosto", "sept?(?:ember)?|sep?tiembre", "oct(?:ober)?|octubre", "nov(?:ember)?|noviembre",
    "dec(?:ember)?|diciembre",
)  # fmt: skip
_MONTH = "(?:" + "|".join(_MONTHS) + r")\b\.?"
_ORDINAL = r"\d{1,2}(?:st|nd|rd|th)?(?!\d|[:/]|\s?[ap]\.?m\b)"
_YEAR = r"(?:,? (?:de |del )?(\d{4}))?"
_UNTIL = r" ?(?:-|–|—|\bto\b|\bthrough\b|\bthru\b|\buntil\b|\bal?\b|\bhasta el\b) ?"
#: December 24, December 24 to 26, December 24, 25 and 26, December 24 to January 2.
_MONTH_FIRST = re.compile(
    rf"\b({_MONTH}) ({_ORDINAL}(?:(?:, | and | & |, and ){_ORDINAL}(?! ?(?:-|–|to\b))){{0,12}})(?:{_UNTIL}(?:({_MONTH}) )?({_ORDINAL}))?{_YEAR}",
    re.IGNORECASE,
)
#: 24 December, 24 to 26 December, el 24 y 25 de diciembre, 24 December to 2 January.
_DAY_FIRST = re.compile(
    rf"\b({_ORDINAL}(?:(?:, | and | & | y ){_ORDINAL}){{0,12}})(?: (?:of |de )?({_MONTH}))?(?:{_UNTIL}(?:el )?({_ORDINAL}))? (?:of |de )?({_MONTH}){_YEAR}"
    rf"|\b({_ORDINAL}(?:(?:, | and | & | y ){_ORDINAL}){{0,12}}) (?:of |de )?({_MONTH}){_YEAR}",
    re.IGNORECASE,
)
_NUMERIC = re.compile(r"(?<![\d/.:$-])(?:(\d{4})-(\d{2})-(\d{2})|(\d{1,2})/(\d{1,2})(?:/(\d{4}|\d{2}))?)(?![\d/:-])")
#: Holidays with a date, as (month, day); the others, by (month, weekday, which of the month, -1 for the last).
_NAMED = {
    r"christmas eve|nochebuena": (12, 24),
    r"christmas(?: day)?|navidad": (12, 25),
    r"new year[’']?s? eve|nochevieja": (12, 31),
    r"new year(?:[’']?s)?(?: day)?|a[ñn]o nuevo": (1, 1),
    r"independence day": (7, 4),
}
_MOVABLE = {"thanksgiving(?: day)?": (11, 3, 4), "labou?r day": (9, 0, 1), "memorial day": (5, 0, -1)}
_HOLIDAY = re.compile("|".join(rf"\b({each})\b" for each in (*_NAMED, *_MOVABLE)), re.IGNORECASE)
_CLOSES_DAYS = re.compile(rf"{CLOSED.pattern}|\b(?:holidays?|vacations?|festivos?|vacaciones)\b", re.IGNORECASE)
MOST_DAYS_OF_RANGE = 62


@dataclass(frozen=True, slots=True)
class Days:
    """Days of the calendar; those without a year are the next ones."""

    text: str
    dates: tuple[date, ...]
    has_year: bool
    #: Whether the sentence says that it is closed.
    is_closed: bool


@dataclass(frozen=True, slots=True)
class PhoneNumber:
    text: str
    #: Digits, after a plus where the number has one.
    number: str
    #: Whether the sentence says that calls go there.
    is_transfer: bool


@dataclass(frozen=True, slots=True)
class Amount:
    text: str
    value: str


@dataclass(frozen=True, slots=True)
class SpokenLanguage:
    text: str
    #: ISO 639-1.
    code: str


Mention = Interval | ClosedDays | Days | PhoneNumber | Amount | SpokenLanguage


def read(text: str, today: date) -> list[Mention]:
    """Return what a text mentions, in its order by kinds of each sentence."""
    return [mention for sentence in _sentences(text) for mention in _of_sentence(sentence, today)]


def _sentences(text: str) -> Iterator[str]:
    for line in text.splitlines():
        start, line = 0, " ".join(line.split())
        for match in _SENTENCE_END.finditer(line):
            yield line[start : match.end()].strip()
            start = match.end()
        if line[start:].strip():
            yield line[start:].strip()


def _of_sentence(sentence: str, today: date) -> Iterator[Mention]:
    """Yield what a sentence mentions; what is read as one kind is not read as another."""
    left = sentence
    is_closed = _CLOSES_DAYS.search(sentence) is not None
    for match, days in _dates(sentence, today, may_be_short=is_closed):
        is_read = "\0" in left[match.start() : match.end()]
        if not is_read and (mention := _days(match[0], days, today, is_closed=is_closed)) is not None:
            yield mention
            left = _without(left, match)
    for match in _AMOUNT.finditer(left):
        yield Amount(match[0].strip(), _value(match[1] or match[2]))
        left = _without(left, match)
    is_transfer = _TRANSFER.search(sentence) is not None
    for match in PHONE.finditer(left):
        if (number := _number(match[0])) is not None:
            yield PhoneNumber(match[0].strip(), number, is_transfer)
            left = _without(left, match)
    yield from hourmentions.read(left)
    if _SPEAKS.search(sentence):
        for match in _LANGUAGE.finditer(sentence):
            yield SpokenLanguage(match[0], str(match.lastgroup))


def _without(text: str, match: re.Match[str]) -> str:
    return text[: match.start()] + "\0" * len(match[0]) + text[match.end() :]


# --- phone numbers and amounts ------------------------------------------------------------------------------------


def numbers(text: str) -> set[str]:
    """Return the possible phone numbers in a text: digits, after a plus where the number has one, or 00 in its place."""
    spelled = PHONE.findall(_TRUNK_ZERO.sub(" ", _FULL_DATE.sub(" ", text)))
    return {number for number in map(_digits, spelled) if len(number.removeprefix("+")) >= LEAST_DIGITS}


def _digits(spelled: str) -> str:
    return re.sub(r"^00", "+", re.sub(r"[^\d+]", "", _TRUNK_ZERO.sub(" ", spelled)))


def _number(spelled: str) -> str | None:
    """Return the number that a text spells; None for hours such as 8.00-12.00, and what is too short or long."""
    number, groups = _digits(spelled), re.findall(r"\d+", spelled)
    if not LEAST_DIGITS <= len(number.removeprefix("+")) <= MOST_DIGITS:
        return None
    is_pairs = all(len(group) <= 2 for group in groups) and not number.startswith("+")
    return None if is_pairs and not (groups[0].startswith("0") and all(len(group) == 2 for group in groups)) else number


def is_among(number: str, others: set[str]) -> bool:
    """Return whether a number is among others, with or without its country code, or is the end of one, without the area's code."""
    if number.startswith("0"):
        international = [other.removeprefix("+") for other in others if _is_international(other)]
        # Most countries' numbers lose the zero after the country code; Italy's keep it.
        return number in others or any(
            phone.ends_with_national(other, national) for other in international for national in (number, number[1:])
        )
    if any(other.endswith(number) for other in others):
        return True
    e164 = phone.e164_or_none(f"+{number.removeprefix('+')}") if _is_international(number) else None
    return e164 is not None and not others.isdisjoint(phone.written_forms(e164))


def _is_international(number: str) -> bool:
    return number.startswith("+") or phone.may_have_country_code(number)


def _value(figure: str) -> str:
    """Return an amount's digits in one form: 1,200.00 and 1.200 are both 1200."""
    if re.fullmatch(r"\d{1,3}(?:([.,])\d{3})(?:\1\d{3})*(?:[.,]\d{1,2})?", figure):
        whole, _, cents = re.sub(r"[.,](\d{1,2})$", r"|\1", figure).partition("|")
        figure = re.sub(r"[.,]", "", whole) + (f".{cents}" if cents else "")
    whole, _, cents = figure.replace(",", ".").partition(".")
    return f"{whole}.{cents}".rstrip("0").rstrip(".") if cents else whole


# --- days of the calendar -----------------------------------------------------------------------------------------

#: A year, or None, a month and a day.
_YearMonthDay = tuple[int | None, int, int]


def _dates(sentence: str, today: date, *, may_be_short: bool) -> Iterator[tuple[re.Match[str], list[_YearMonthDay]]]:
    """Yield each mention of days; two days behind a None are the first and the last of a range."""
    for match in _MONTH_FIRST.finditer(sentence):
        first, listed, other, last, year = match.groups()
        yield match, _listed(first, listed, other or first, last, year)
    for match in _DAY_FIRST.finditer(sentence):
        listed, first, last, month, year, listed_alone, month_alone, year_alone = match.groups()
        if listed_alone is not None:
            yield match, _listed(month_alone, listed_alone, month_alone, None, year_alone)
        else:
            yield match, _listed(first or month, listed, month, last, year)
    for match in _NUMERIC.finditer(sentence):
        yield match, _numeric(match, may_be_short=may_be_short)
    for match in _HOLIDAY.finditer(sentence):
        which = next(at for at, name in enumerate(match.groups()) if name is not None)
        named = list(_NAMED.values())
        if which < len(named):
            yield match, [(None, *named[which])]
        else:
            yield match, [_movable(*list(_MOVABLE.values())[which - len(named)], today)]


def _listed(first: str, listed: str, other: str, last: str | None, year: str | None) -> list[_YearMonthDay]:
    of = int(year) if year else None
    days = [(of, _month(first), int(day)) for day in re.findall(r"\d+", listed)]
    if last is not None:
        days.append((of, _month(other), -int(re.findall(r"\d+", last)[0])))
    return days


def _numeric(match: re.Match[str], *, may_be_short: bool) -> list[_YearMonthDay]:
    if match[1]:
        return [(int(match[1]), int(match[2]), int(match[3]))]
    one, two = int(match[4]), int(match[5])
    if match[0] == "24/7" or not (match[6] or may_be_short):
        return []
    year = int(match[6]) % 2000 + 2000 if match[6] else None
    return [(year, two, one) if one > 12 else (year, one, two)]


def _movable(month: int, weekday: int, which: int, today: date) -> _YearMonthDay:
    for year in (today.year, today.year + 1):
        first = date(year, month, 1)
        days = [first + timedelta(days=ahead) for ahead in range(31)]
        days = [day for day in days if day.month == month and day.weekday() == weekday]
        day = days[which] if which < 0 else days[which - 1]
        if day >= today:
            break
    return day.year, month, day.day


def _month(name: str) -> int:
    return next(at for at, names in enumerate(_MONTHS, 1) if re.fullmatch(rf"(?:{names})\.?", name, re.IGNORECASE))


def _days(text: str, days: list[_YearMonthDay], today: date, *, is_closed: bool) -> Days | None:
    """Return days, of which a negative one is the last of a range; None if the calendar has no such day."""
    dates = list[date]()
    for year, month, day in days:
        found = _next(year, month, abs(day), dates[-1] if day < 0 and dates else today)
        if found is None:
            return None
        if day < 0 and dates:
            ahead = min((found - dates[-1]).days, MOST_DAYS_OF_RANGE)
            dates += [dates[-1] + timedelta(days=each) for each in range(1, ahead + 1)]
        else:
            dates.append(found)
    return Days(text.strip(), tuple(dates), days[0][0] is not None, is_closed) if dates else None


def _next(year: int | None, month: int, day: int, since: date) -> date | None:
    """Return a day of a year, or the next one since another."""
    for each in (year,) if year else range(since.year, since.year + 9):
        try:
            found = date(each, month, day)
        except ValueError:
            continue
        if year or found >= since:
            return found
    return None
