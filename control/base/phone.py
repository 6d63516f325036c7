"""Phone numbers as people write them.  Pure."""

import re
import unicodedata
from functools import lru_cache
from zoneinfo import ZoneInfo

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberFormat, PhoneNumberType, timezone

URI = "tel:"
MIN_DIGITS = 3
MAX_DIGITS = 20
#: See `may_have_country_code`.
LONG_DIGITS = 11
#: Longer texts are no phone numbers; normalizing one takes time quadratic in the number of its combining characters.
MAX_CHARS = 100
#: Digits with the usual punctuation around and between them.
_SPELLING = re.compile(r"[+(]*\d[\d\s().\-/\u2010-\u2015\u2212]*")
#: Size of the caches: a number is used several times in a row, and parsing it takes longer than most statements.
_CACHED_NUMBERS = 4096
EVERYWHERE = frozenset({"*"})
_INVISIBLE = re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


class NotANumber(ValueError):  # noqa: N818
    """A text that is no phone number; its message ends a sentence that begins with the field's name."""


def e164(text: str, region: str | None) -> str:
    """Convert a number in any spelling to E.164; without a country code it is one of `region` (ISO 3166).

    Raises NotANumber.
    """
    if len(text.strip()) > MAX_CHARS:
        raise NotANumber("is not a phone number")
    normalized = _normalize(text)
    try:
        number = phonenumbers.parse(normalized, region)
    except phonenumbers.NumberParseException as error:
        if error.error_type == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE and not normalized.startswith(
            "+"
        ):
            raise NotANumber("has no country code, and there is no default region") from error
        raise NotANumber("is not a phone number") from error
    if number.extension:
        raise NotANumber("has an extension; leave it out")
    if not _SPELLING.fullmatch(normalized):
        raise NotANumber("is not a phone number")
    if not phonenumbers.is_possible_number(number):
        raise NotANumber("is not a possible phone number")
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def e164_or_none(text: str) -> str | None:
    """Convert a number with its country code to E.164; return None if it is not a phone number."""
    try:
        return e164(text, None)
    except NotANumber:
        return None


def region(number: str | None) -> str | None:
    """Return the main country (ISO 3166) of an E.164 number's country code; None without a country or a number."""
    if number is None:
        return None
    code: str | None = phonenumbers.region_code_for_country_code(_parse(number).country_code or 0)
    return code if code and code.isalpha() else None


def written_forms(e164: str) -> frozenset[str]:
    """Return the ways in which people write an E.164 number, without punctuation: national, with the trunk prefix, without the plus.

    Without its plus, a short number, or one that does not exist, is more likely a national one.
    """
    number = _parse(e164)
    national = phonenumbers.national_significant_number(number)
    code = region(e164)
    trunk = (phonenumbers.ndd_prefix_for_region(code, True) if code else None) or ""
    forms = {e164, national, f"{trunk}{national}"}
    if may_have_country_code(e164[1:]) and phonenumbers.is_valid_number(number):
        forms.add(e164[1:])
    return frozenset(forms)


def may_have_country_code(digits: str) -> bool:
    """Tell whether a number without a plus may begin with its country code: few countries' own numbers are as long."""
    return len(digits) >= LONG_DIGITS and not digits.startswith("0")


def ends_with_national(digits: str, national: str) -> bool:
    """Tell whether an international number is a country code and this national number."""
    code = digits.removesuffix(national)
    return code != digits and code.isdecimal() and int(code) in phonenumbers.COUNTRY_CODE_TO_REGION_CODE


def digits(text: str) -> str | None:
    """Return the digits of a phone number, or of a part of one, in any spelling; None for any other text.

    Zeros before a national or international number are left out, since E.164 has none.
    """
    if len(text.strip()) > MAX_CHARS:
        return None
    normalized = _normalize(text)
    if not _SPELLING.fullmatch(normalized):
        return None
    international = e164_or_none(normalized) if normalized.startswith("+") else None
    number = international[1:] if international else re.sub(r"\D", "", normalized).lstrip("0")
    return number if MIN_DIGITS <= len(number) <= MAX_DIGITS else None


def _normalize(text: str) -> str:
    """Normalize a number's text: ASCII digits, no invisible characters, no `tel:`."""
    normalized = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text.strip())).strip()
    normalized = "".join(str(unicodedata.digit(c)) if c.isdecimal() else c for c in normalized)
    return normalized[len(URI) :].strip() if normalized.lower().startswith(URI) else normalized


@lru_cache(maxsize=_CACHED_NUMBERS)
def _parse(e164: str) -> PhoneNumber:
    """Parse a number; the result is cached and must not be changed.  Raises NumberParseException."""
    return phonenumbers.parse(e164)


# --- callees


def time_zones(e164: str) -> tuple[ZoneInfo, ...]:
    """Return the time zones in which an E.164 number may be; empty if unknown, as for a short code or a name."""
    try:
        names = timezone.time_zones_for_number(_parse(e164))
    except phonenumbers.NumberParseException:
        return ()
    return tuple(ZoneInfo(name) for name in names if name != timezone.UNKNOWN_TIMEZONE)


@lru_cache(maxsize=_CACHED_NUMBERS)
def country(e164: str) -> str | None:
    """Return the country (ISO 3166) of an E.164 number, also if several share a country code; if unclear, `region`."""
    code: str | None = phonenumbers.region_code_for_number(_parse(e164))
    return code if code and code.isalpha() else region(e164)


def bad_callee(e164: str, from_e164: str, countries: frozenset[str]) -> str | None:
    """Return why a number must not be called, as the end of a sentence that begins with the field's name, or None.

    `countries` (ISO 3166): which may be called besides the country of `from_e164`; `*`: all.
    """
    if is_emergency(e164):
        return "is an emergency number"
    if (kind := refused_kind(e164)) is not None:
        return UNKNOWN_NUMBER if kind == UNKNOWN else f"is a {kind} number, which costs whoever calls it"
    return bad_country(e164, from_e164, countries)


def bad_target(e164: str, from_e164: str = "", countries: frozenset[str] = EVERYWHERE) -> str | None:
    """Return why a call can't be transferred to a number, as the predicate of a sentence, or None.

    If `from_e164` is empty, its country is not checked.
    """
    try:
        return bad_callee(e164, from_e164 or e164, countries if from_e164 else EVERYWHERE)
    except phonenumbers.NumberParseException:
        return "is not a phone number"


def bad_country(e164: str, from_e164: str, countries: frozenset[str]) -> str | None:
    """Return why a number's country must not be called, as `bad_callee`, or None."""
    callee_country = country(e164)
    if "*" in countries or _share_toll_free(e164, from_e164):
        return None
    # Numbers without a country are networks of satellites and the like, also for a number that has none itself.
    if callee_country is None or callee_country not in {country(from_e164), *countries}:
        return f"is in a country ({callee_country or 'unknown'}) that this deployment does not reach"
    return None


def _share_toll_free(e164: str, from_e164: str) -> bool:
    """Tell whether a number is toll-free under the country code of another: countries that share a code share these."""
    number = _parse(e164)
    is_toll_free = phonenumbers.number_type(number) == PhoneNumberType.TOLL_FREE
    return is_toll_free and number.country_code == _parse(from_e164).country_code


def is_emergency(e164: str) -> bool:
    """Tell whether a number's whole national part is the number of an emergency service."""
    number = _parse(e164)
    country_code = region(e164)
    national = phonenumbers.national_significant_number(number)
    return country_code is not None and phonenumbers.is_emergency_number(national, country_code)


def refused_kind(e164: str) -> str | None:
    """Return the kind of a number that is neither called nor texted first, in words; None for numbers of people and businesses.

    Only known kinds pass: a number that is in no numbering plan may be one for televoting, or of a network that no one has
    announced, and the country of its neighbours is not its price.
    """
    if e164.startswith(_LOCAL_RATE):
        return None
    kind = phonenumbers.number_type(_parse(e164))
    return None if kind in _CALLABLE else _COSTLY.get(kind, UNKNOWN)


UNKNOWN = "unknown"
UNKNOWN_NUMBER = "is not known as a number of people or businesses"
_CALLABLE = frozenset(
    {
        PhoneNumberType.FIXED_LINE,
        PhoneNumberType.MOBILE,
        PhoneNumberType.FIXED_LINE_OR_MOBILE,
        PhoneNumberType.TOLL_FREE,
        PhoneNumberType.VOIP,
    }
)
#: Universal-access numbers that by rule cost what a call to a town costs: the UK's 03, and Switzerland's 058.
_LOCAL_RATE = "+443", "+4158"
_COSTLY = {
    PhoneNumberType.PREMIUM_RATE: "premium-rate",
    PhoneNumberType.SHARED_COST: "shared-cost",
    # Follow-me numbers such as the UK's 070, whose callers pay up to the price of premium-rate numbers.
    PhoneNumberType.PERSONAL_NUMBER: "personal",
    PhoneNumberType.PAGER: "pager's",
    PhoneNumberType.UAN: "universal-access",
    PhoneNumberType.VOICEMAIL: "voicemail-access",
}
