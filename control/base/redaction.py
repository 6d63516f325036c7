"""Redaction of tools' inputs and outputs: card numbers, passwords and tokens.  Pure.

A run of digits counts as a card number if its length and first digits are an issuer's, its Luhn checksum is valid, and
its digits stand together or in groups.  Hardly any other long number, such as an order's, meets all of these.
"""

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any
from urllib.parse import quote, quote_plus

CARD, SECRET, TOO_DEEP = "[card number]", "[secret]", "[too deep]"
#: A member or header with one of these words in its name contains a secret.
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
#: 12 digits or more with at most two spaces or usual marks between them; no phone number in E.164.
_DIGITS = re.compile(
    r"(?<![0-9])(?!(?<=\+)[1-9][0-9]{7,14}(?![0-9]))"
    r"[0-9](?:[ \u00a0\u202f.\-\u2010-\u2015/_]{0,2}[0-9]){11,}+(?![0-9])"
)
_SCHEMES = re.compile(r"\b(bearer|basic)(\s+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_KEYS = re.compile(r"\b(?:hum_live_|whsec_|crmsec_|sk[-_]|rk_|pk_live_|xox[abprs]-|gh[opsu]_)[A-Za-z0-9_-]{12,}")
#: By first digit: issuers' prefixes, and the lengths of their card numbers, the longest first.
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
#: The Luhn value of each doubled digit.
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
MAX_DEPTH = 100
_FOR_HTML = {ord(char): f"\\u{ord(char):04x}" for char in "&<>"}


def without_secrets(value: Any, secrets: Iterable[str] = ()) -> Any:
    """Return JSON without card numbers, without members that are secrets by their names, and without these secrets."""
    return _clean(value, _spellings(secrets), 0)


def text_without_secrets(text: str, secrets: Iterable[str] = ()) -> str:
    """Return a text without card numbers, keys, and these secrets."""
    return _text(text, _spellings(secrets))


def hidden(text: str, secrets: Iterable[str]) -> str:
    """Return a text without these secrets in any encoding, and otherwise unchanged."""
    return _hide(text, _spellings(secrets))


def hidden_within(value: Any, secrets: Iterable[str]) -> Any:
    """Return parsed JSON without these secrets in its texts and names.

    A text of JSON may encode a secret in ways that `hidden` does not know; parsed JSON does not.
    """
    spellings = _spellings(secrets)
    return _hide_within(value, spellings, 0) if spellings else value


def is_secret_name(name: str) -> bool:
    """Tell whether a member or header of this name contains a secret."""
    words = [word for word in map(_singular, _WORD.findall(name)) if word]
    return bool(_SECRET_WORDS.intersection(words)) or any(pair in pairwise(words) for pair in _SECRET_PAIRS)


def _singular(word: str) -> str:
    """Return a word in the singular and without a number, as in `password1` and `secrets`."""
    singular = word.lower().rstrip("0123456789")
    return singular if singular.endswith("ss") else singular.removesuffix("s")


def _spellings(secrets: Iterable[str]) -> list[str]:
    """Return these secrets and their encodings in URLs, headers, HTML and JSON.

    The longest come first, since one may be part of another.
    """
    spellings = set[str]()
    for secret in secrets:
        encoded = base64.b64encode(secret.encode()).decode()
        spellings |= {
            secret,
            html.escape(secret),
            *_in_json(secret),
            quote(secret, safe=""),
            quote_plus(secret),
            encoded,
            encoded.rstrip("="),
        }
    return sorted(filter(None, spellings), key=len, reverse=True)


def _in_json(secret: str) -> Iterator[str]:
    """Yield a text as encoders write it: non-ASCII escaped or not, slashes escaped as in PHP, HTML's marks as in Go."""
    for is_ascii in (True, False):
        plain = json.dumps(secret, ensure_ascii=is_ascii)[1:-1]
        for text in (plain, plain.translate(_FOR_HTML)):
            yield text
            yield text.replace("/", "\\/")


def _hide(text: str, spellings: list[str]) -> str:
    for spelling in spellings:
        text = text.replace(spelling, SECRET)
    return text


def _hide_within(value: Any, spellings: list[str], depth: int) -> Any:
    if depth > MAX_DEPTH:
        return TOO_DEEP
    match value:
        case str():
            return _hide(value, spellings)
        case dict():
            return {
                _hide(name, spellings): _hide_within(member, spellings, depth + 1) for name, member in value.items()
            }
        case list():
            return [_hide_within(item, spellings, depth + 1) for item in value]
        case _:
            return value


def _clean(value: Any, secrets: list[str], depth: int) -> Any:
    if depth > MAX_DEPTH:
        return TOO_DEEP
    match value:
        case str():
            return _text(value, secrets)
        case bool():
            return value
        case int() if _DIGITS.sub(_mask_cards, str(abs(value))) == CARD:
            return CARD
        case dict():
            return {
                _text(str(name), secrets): SECRET
                if is_secret_name(str(name)) and member not in (None, "", True, False)
                else _clean(member, secrets, depth + 1)
                for name, member in value.items()
            }
        case list() | tuple():
            return [_clean(item, secrets, depth + 1) for item in value]
        case _:
            return value


def _text(text: str, secrets: list[str]) -> str:
    text = _hide(text, secrets)
    text = _SCHEMES.sub(rf"\1\2{SECRET}", text)
    return _DIGITS.sub(_mask_cards, _KEYS.sub(SECRET, text))


def _mask_cards(match: re.Match[str]) -> str:
    """Return a run of digits without its card numbers, which may follow one another or a date."""
    text = match.group()
    places = [place for place, char in enumerate(text) if char.isdigit()]
    digits = "".join(text[place] for place in places)
    sums = _sums(digits)
    parts, copied, first = list[str](), 0, 0
    while first + 12 <= len(digits):
        size = 0
        # A card number begins where a group begins.
        if first == 0 or places[first] - places[first - 1] > 1:
            size = next(
                (n for n in _sizes(digits, first) if _ends(places, first + n) and _has_valid_checksum(sums, first, n)),
                0,
            )
        if size:
            parts += [text[copied : places[first]], CARD]
            copied = places[first + size - 1] + 1
        first += size or 1
    return "".join([*parts, text[copied:]])


def _sizes(digits: str, first: int) -> Iterable[int]:
    """Return the possible lengths of a card number that begins there, the longest first."""
    issuers = _ISSUERS.get(digits[first], ())
    matching = [sizes for pattern, sizes in issuers if pattern.match(digits, first)]
    return matching[0] if len(matching) == 1 else sorted({size for sizes in matching for size in sizes}, reverse=True)


def _ends(places: list[int], end: int) -> bool:
    """Tell whether a group ends before this digit."""
    return end == len(places) or (end < len(places) and places[end] - places[end - 1] > 1)


def _sums(digits: str) -> tuple[list[int], list[int]]:
    """Return the prefix sums of these digits with every second one doubled as Luhn does (ISO/IEC 7812-1).

    In the first list the first, third and further odd digits are doubled, in the second list the others.  The sum of
    any part is then a difference of two prefix sums, so that many parts cost little.
    """
    plain, doubled = [int(digit) for digit in digits], [_DOUBLED[int(digit)] for digit in digits]
    mixed = [
        [pair[place % 2] for place, pair in enumerate(zip(even, odd, strict=True))]
        for even, odd in ((doubled, plain), (plain, doubled))
    ]
    return list(accumulate(mixed[0], initial=0)), list(accumulate(mixed[1], initial=0))


def _has_valid_checksum(sums: tuple[list[int], list[int]], first: int, size: int) -> bool:
    """Tell whether these digits have a valid checksum, in which the last one is not doubled, the one before it is."""
    end = first + size
    prefix_sums = sums[end % 2]
    return (prefix_sums[end] - prefix_sums[first]) % 10 == 0


# --- for the eyes of people

_ANY_CARD = re.compile(r"(?<![0-9A-Za-z+])(?:[0-9][ -]?){12,18}[0-9](?![0-9A-Za-z])")


def masked(value: Any) -> Any:
    """Mask arguments or results for display and for storage after use: remove passwords and tokens, and all but the
    last four digits of card numbers.
    """
    return without_secrets(_with_short_cards(value, 0))


def _with_short_cards(value: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        return TOO_DEEP
    match value:
        case str():
            return _ANY_CARD.sub(_short_card, value)
        case int() if not isinstance(value, bool) and value >= 10**12:
            short = _with_short_cards(str(value), depth)
            return value if short == str(value) else short
        case dict():
            return {name: _with_short_cards(member, depth + 1) for name, member in value.items()}
        case list():
            return [_with_short_cards(item, depth + 1) for item in value]
        case _:
            return value


def masked_json(text: str) -> str:
    """Mask stored JSON; return a note in its place if it is nested too deep to be read."""
    try:
        value = json.loads(text)
    except RecursionError:
        value = TOO_DEEP
    return json.dumps(masked(value), ensure_ascii=False)


def _short_card(match: re.Match[str]) -> str:
    digits = re.sub(r"[ -]", "", match[0])
    return f"[card ...{digits[-4:]}]" if _is_card(digits) else match[0]


def _is_card(digits: str) -> bool:
    """Return whether the digits pass Luhn's check."""
    products = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
    return sum(product - 9 if product > 9 else product for product in products) % 10 == 0
