"""Phone numbers as people write them.  Pure."""

import re
import unicodedata

import phonenumbers
from phonenumbers import PhoneNumberFormat

URI = "tel:"
LEAST_DIGITS = 3
MOST_DIGITS = 20
#: Digits with what people put around and between them.
_SPELLING = re.compile(r"[+(]*\d[\d\s().\-/\u2010-\u2015\u2212]*")
_INVISIBLE = re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


class NotANumber(ValueError):  # noqa: N818
    """What is wrong with it, as the end of a sentence that begins with its name."""


def e164(text: str, region: str | None) -> str:
    """A number in any spelling as E.164; without a country code, one of `region` (ISO 3166).  Raises NotANumber."""
    plain = _plain(text)
    try:
        number = phonenumbers.parse(plain, region)
    except phonenumbers.NumberParseException as error:
        if error.error_type == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE and not plain.startswith("+"):
            raise NotANumber("has no country code, and there is no default region") from error
        raise NotANumber("is not a phone number") from error
    if number.extension:
        raise NotANumber("has an extension; leave it out")
    if not _SPELLING.fullmatch(plain):
        raise NotANumber("is not a phone number")
    if not phonenumbers.is_possible_number(number):
        raise NotANumber("is not a possible phone number")
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def e164_or_none(text: str) -> str | None:
    """As `e164`, for a number with its country code; None if it is not a phone number."""
    try:
        return e164(text, None)
    except NotANumber:
        return None


def region(number: str | None) -> str | None:
    """The country of a number in E.164, as ISO 3166; None if it has none, or there is no number."""
    if number is None:
        return None
    found: str | None = phonenumbers.region_code_for_country_code(phonenumbers.parse(number).country_code or 0)
    return found if found and found.isalpha() else None


def digits(text: str) -> str | None:
    """The digits of a phone number, or of a part of one, in any spelling; None for any other text.

    The zeros that precede a national or international number are not part of it in E.164, and are left out.
    """
    plain = _plain(text)
    if not _SPELLING.fullmatch(plain):
        return None
    whole = e164_or_none(plain) if plain.startswith("+") else None
    found = whole[1:] if whole else re.sub(r"\D", "", plain).lstrip("0")
    return found if LEAST_DIGITS <= len(found) <= MOST_DIGITS else None


def _plain(text: str) -> str:
    """With ASCII digits, and without invisible characters."""
    plain = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).strip()
    plain = "".join(str(unicodedata.digit(c)) if c.isdecimal() else c for c in plain)
    return plain[len(URI) :].strip() if plain.lower().startswith(URI) else plain
