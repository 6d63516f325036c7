"""Phone numbers as people write them.  Pure."""

import re
import unicodedata
from functools import lru_cache
from zoneinfo import ZoneInfo

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberFormat, PhoneNumberType, timezone

URI = "tel:"
LEAST_DIGITS = 3
MOST_DIGITS = 20
#: Digits with what people put around and between them.
_SPELLING = re.compile(r"[+(]*\d[\d\s().\-/\u2010-\u2015\u2212]*")
#: Numbers that are asked about lately, a few times each: parsing one takes longer than most statements.
_KEEP = 4096
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
    found: str | None = phonenumbers.region_code_for_country_code(_parsed(number).country_code or 0)
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


@lru_cache(maxsize=_KEEP)
def _parsed(e164: str) -> PhoneNumber:
    """Not to be changed.  Raises NumberParseException."""
    return phonenumbers.parse(e164)


# --- whom it reaches


def time_zones(e164: str) -> tuple[ZoneInfo, ...]:
    """The time zones in which a number in E.164 may be; none if nothing is known."""
    names = timezone.time_zones_for_number(phonenumbers.parse(e164))
    return tuple(ZoneInfo(name) for name in names if name != timezone.UNKNOWN_TIMEZONE)


@lru_cache(maxsize=_KEEP)
def country(e164: str) -> str | None:
    """As `region`, but of countries that share a code the one whose number it is, where the number tells."""
    found: str | None = phonenumbers.region_code_for_number(_parsed(e164))
    return found if found and found.isalpha() else region(e164)


def bad_callee(e164: str, from_e164: str, countries: frozenset[str]) -> str | None:
    """Why a number must not be called from another one, as the end of a sentence that begins with its name; None if it may be.

    `countries` (ISO 3166): which may be called besides the calling number's own; `*`: all.
    """
    if is_emergency(e164):
        return "is an emergency number"
    if (kind := costly_kind(e164)) is not None:
        return f"is a {kind} number, which costs whoever calls it"
    return bad_country(e164, from_e164, countries)


def bad_country(e164: str, from_e164: str, countries: frozenset[str]) -> str | None:
    """As `bad_callee`, by the country alone."""
    its = country(e164)
    if "*" not in countries and its not in {country(from_e164), *countries}:
        return f"is in a country ({its or 'unknown'}) that this deployment does not call"
    return None


def is_emergency(e164: str) -> bool:
    """Tell whether a number's national part is one of an emergency service; whether it only begins like one does not count."""
    number = _parsed(e164)
    place = region(e164)
    national = phonenumbers.national_significant_number(number)
    return place is not None and phonenumbers.is_emergency_number(national, place)


def costly_kind(e164: str) -> str | None:
    """In words, what kind of number this is that costs the caller more than others; None if it doesn't, as far as known."""
    return _COSTLY.get(phonenumbers.number_type(_parsed(e164)))


_COSTLY = {
    PhoneNumberType.PREMIUM_RATE: "premium-rate",
    PhoneNumberType.SHARED_COST: "shared-cost",
    PhoneNumberType.PAGER: "pager's",
    PhoneNumberType.UAN: "universal-access",
    PhoneNumberType.VOICEMAIL: "voicemail-access",
}
