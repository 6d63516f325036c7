"""What must not be kept of what goes in and out of tools: card numbers, passwords and tokens.  Pure.

A card number is what a card's number can look like: its length and first digits are those of an issuer, Luhn's checksum is
right, and its digits stand together or in groups.  Of other long numbers, like those of orders, nearly none is.
"""

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any
from urllib.parse import quote, quote_plus

CARD, SECRET = "[card number]", "[secret]"
#: A name with one of these words in it holds what opens something.
_SECRET_WORDS = frozenset(
    {
        "authorization",
        "password",
        "passwd",
        "passphrase",
        "secret",
        "token",
        "apikey",
        "cvv",
        "cvc",
        "pin",
        "pwd",
        "jwt",
        "credential",
    }
)
_SECRET_PAIRS = (("api", "key"), ("private", "key"), ("access", "key"), ("card", "number"), ("security", "code"))
#: Parts of names in `snake_case`, `kebab-case` and `camelCase`.
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+[0-9]*|[0-9]+")
#: 12 digits or more, each apart from the next by nothing, a space, or one of the usual marks; no phone number in E.164.
_DIGITS = re.compile(
    r"(?<![0-9])(?!(?<=\+)[1-9][0-9]{7,14}(?![0-9]))"
    r"[0-9](?:[ \u00a0\u202f.\-\u2010-\u2015/_]{0,2}[0-9]){11,}+(?![0-9])"
)
_SCHEMES = re.compile(r"\b(bearer|basic)(\s+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_KEYS = re.compile(r"\b(?:hum_live_|whsec_|crmsec_|sk[-_]|rk_|pk_live_|xox[abprs]-|gh[opsu]_)[A-Za-z0-9_-]{12,}")
#: The first digits of cards by the very first, and how long their numbers are; the longest first.
_ISSUERS: Mapping[str, Sequence[tuple[re.Pattern[str], Sequence[int]]]] = {
    "2": ((re.compile(r"2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720)"), (16,)),),
    "3": (
        (re.compile(r"3[47]"), (15,)),
        (re.compile(r"3(?:0[0-5]|095|[689])"), (19, 18, 17, 16, 14)),
        (re.compile(r"35(?:2[89]|[3-8])"), (19, 18, 17, 16)),
    ),
    "4": ((re.compile(r"4"), (19, 16, 13)),),
    "5": (
        (re.compile(r"5[1-5]"), (16,)),
        (re.compile(r"5018|5020|5038|5893"), tuple(range(19, 11, -1))),
    ),
    "6": (
        (re.compile(r"6(?:011|4[4-9]|5)"), (19, 18, 17, 16)),
        (re.compile(r"62"), (19, 18, 17, 16)),
        (re.compile(r"6304|6759|676[1-3]"), tuple(range(19, 11, -1))),
    ),
    "8": ((re.compile(r"81"), (19, 18, 17, 16)),),
}
#: What Luhn counts for a digit that is doubled.
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
MOST_DEPTH = 100
_FOR_HTML = {ord(char): f"\\u{ord(char):04x}" for char in "&<>"}


def without_secrets(value: Any, secrets: Iterable[str] = ()) -> Any:
    """JSON without card numbers, without what stands under the name of a secret, and without these secrets."""
    return _clean(value, _spellings(secrets), 0)


def text_without_secrets(text: str, secrets: Iterable[str] = ()) -> str:
    """A text without card numbers, keys, and these secrets."""
    return _text(text, _spellings(secrets))


def hidden(text: str, secrets: Iterable[str]) -> str:
    """A text without these secrets, however they are spelt, and otherwise as it is."""
    return _hidden(text, _spellings(secrets))


def hidden_within(value: Any, secrets: Iterable[str]) -> Any:
    """JSON without these secrets in its texts and names: in what was read of it, no way of writing it is another spelling."""
    spellings = _spellings(secrets)
    return _mapped(value, spellings, 0) if spellings else value


def is_secret_name(name: str) -> bool:
    """Whether a member or header of this name holds a secret."""
    words = [word for word in map(_bare, _WORD.findall(name)) if word]
    return bool(_SECRET_WORDS.intersection(words)) or any(pair in pairwise(words) for pair in _SECRET_PAIRS)


def _bare(word: str) -> str:
    """A word without its number, in the singular: `password1` and `secrets` hold no less."""
    bare = word.lower().rstrip("0123456789")
    return bare if bare.endswith("ss") else bare.removesuffix("s")


def _spellings(secrets: Iterable[str]) -> list[str]:
    """These secrets, and how they are written in URLs, headers, pages and JSON; the longest first, since one may be part of
    another.
    """
    found = set[str]()
    for secret in secrets:
        encoded = base64.b64encode(secret.encode()).decode()
        found |= {
            secret,
            html.escape(secret),
            *_in_json(secret),
            quote(secret, safe=""),
            quote_plus(secret),
            encoded,
            encoded.rstrip("="),
        }
    return sorted(filter(None, found), key=len, reverse=True)


def _in_json(secret: str) -> Iterator[str]:
    """How encoders write a text: with all that isn't ASCII escaped or not, slashes as PHP does, and HTML's marks as Go does."""
    for is_ascii in (True, False):
        plain = json.dumps(secret, ensure_ascii=is_ascii)[1:-1]
        for text in (plain, plain.translate(_FOR_HTML)):
            yield text
            yield text.replace("/", "\\/")


def _hidden(text: str, spellings: list[str]) -> str:
    for each in spellings:
        text = text.replace(each, SECRET)
    return text


def _mapped(value: Any, spellings: list[str], depth: int) -> Any:
    if depth > MOST_DEPTH:
        return "[too deep]"
    match value:
        case str():
            return _hidden(value, spellings)
        case dict():
            return {_hidden(name, spellings): _mapped(each, spellings, depth + 1) for name, each in value.items()}
        case list():
            return [_mapped(each, spellings, depth + 1) for each in value]
        case _:
            return value


def _clean(value: Any, secrets: list[str], depth: int) -> Any:
    if depth > MOST_DEPTH:
        return "[too deep]"
    match value:
        case str():
            return _text(value, secrets)
        case bool():
            return value
        case int() if _DIGITS.sub(_masked, str(abs(value))) == CARD:
            return CARD
        case dict():
            return {
                _text(str(name), secrets): SECRET
                if is_secret_name(str(name)) and each not in (None, "", True, False)
                else _clean(each, secrets, depth + 1)
                for name, each in value.items()
            }
        case list() | tuple():
            return [_clean(each, secrets, depth + 1) for each in value]
        case _:
            return value


def _text(text: str, secrets: list[str]) -> str:
    text = _hidden(text, secrets)
    text = _SCHEMES.sub(rf"\1\2{SECRET}", text)
    return _DIGITS.sub(_masked, _KEYS.sub(SECRET, text))


def _masked(found: re.Match[str]) -> str:
    """A run of digits without the cards' numbers in it: one may follow another, or a date."""
    text = found.group()
    places = [place for place, char in enumerate(text) if char.isdigit()]
    digits = "".join(text[place] for place in places)
    sums = _sums(digits)
    parts, kept, first = list[str](), 0, 0
    while first + 12 <= len(digits):
        size = 0
        if first == 0 or places[first] - places[first - 1] > 1:  # no part of a group is a card
            size = next((n for n in _sizes(digits, first) if _ends(places, first + n) and _adds_up(sums, first, n)), 0)
        if size:
            parts += [text[kept : places[first]], CARD]
            kept = places[first + size - 1] + 1
        first += size or 1
    return "".join([*parts, text[kept:]])


def _sizes(digits: str, first: int) -> Iterable[int]:
    """How long a card's number may be that begins there; the longest first."""
    issuers = _ISSUERS.get(digits[first], ())
    found = [sizes for pattern, sizes in issuers if pattern.match(digits, first)]
    return found[0] if len(found) == 1 else sorted({size for sizes in found for size in sizes}, reverse=True)


def _ends(places: list[int], end: int) -> bool:
    """Whether a group ends before this digit."""
    return end == len(places) or (end < len(places) and places[end] - places[end - 1] > 1)


def _sums(digits: str) -> tuple[list[int], list[int]]:
    """Of all beginnings of these digits, the sums with each second digit doubled as Luhn does (ISO/IEC 7812-1): the first, the
    third and so on, or the second, the fourth and so on.  Of any part of them the sum is then a difference, however many parts
    one tries.
    """
    plain, doubled = [int(digit) for digit in digits], [_DOUBLED[int(digit)] for digit in digits]
    mixed = [
        [each[place % 2] for place, each in enumerate(zip(even, odd, strict=True))]
        for even, odd in ((doubled, plain), (plain, doubled))
    ]
    return list(accumulate(mixed[0], initial=0)), list(accumulate(mixed[1], initial=0))


def _adds_up(sums: tuple[list[int], list[int]], first: int, size: int) -> bool:
    """Whether these digits have a right checksum: the last one counts once, the one before it twice, and so on."""
    end = first + size
    beginnings = sums[end % 2]
    return (beginnings[end] - beginnings[first]) % 10 == 0
