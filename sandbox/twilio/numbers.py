"""Phone numbers: the account's, and those on sale."""

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from sandbox.twilio.geography import AREAS, DEFAULT_AREA, place_of

URL_FIELDS = ("voice_url", "voice_fallback_url", "status_callback", "sms_url", "sms_fallback_url")
METHOD_FIELDS = ("voice_method", "voice_fallback_method", "status_callback_method", "sms_method", "sms_fallback_method")
ID_FIELDS = ("voice_application_sid", "sms_application_sid", "trunk_sid", "address_sid", "bundle_sid", "identity_sid")
CAPABILITIES = {"voice": True, "sms": True, "mms": True, "fax": False}


@dataclass(slots=True)
class Number:
    """An IncomingPhoneNumber; `settings` are its configurable fields in snake_case."""

    e164: str
    friendly_name: str
    sid: str = field(default_factory=lambda: "PN" + secrets.token_hex(16))
    settings: dict[str, str] = field(default_factory=dict)
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    updated_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def get(self, name: str) -> str:
        return self.settings.get(name, "POST" if name in METHOD_FIELDS else "")

    def configure(self, changes: dict[str, str]) -> None:
        """Apply the recognized fields of snake_case `changes`; an empty value clears a field."""
        self.friendly_name = changes.get("friendly_name", self.friendly_name)
        names = (*URL_FIELDS, *METHOD_FIELDS, *ID_FIELDS)
        self.settings |= {name: value for name, value in changes.items() if name in names}
        self.updated_at = datetime.now(UTC)


class NumberBook:
    """The account's numbers, oldest first, and the numbers on sale."""

    def __init__(self, numbers: Iterable[str] = (), file: Path | None = None) -> None:
        """Hold `numbers`, and what `file` has of an earlier book; `keep` writes it."""
        self._by_sid: dict[str, Number] = {}
        self._by_e164: dict[str, Number] = {}
        self._file = file
        for number in _read(file) if file else ():
            self._put(number)
        for e164 in numbers:
            if e164 not in self._by_e164:
                self.add(e164)

    def add(self, e164: str) -> Number:
        return self._put(Number(e164, national(e164)))

    def _put(self, number: Number) -> Number:
        self._by_sid[number.sid] = self._by_e164[number.e164] = number
        return number

    def remove(self, sid: str) -> None:
        del self._by_e164[self._by_sid.pop(sid).e164]

    def keep(self) -> None:
        """Write the numbers to the file, if there is one."""
        if self._file is not None:
            partial = self._file.with_suffix(".partial")
            partial.write_bytes(msgspec.json.encode(list(self)))
            partial.replace(self._file)

    def get(self, sid: str) -> Number | None:
        return self._by_sid.get(sid)

    def find(self, e164: str) -> Number | None:
        return self._by_e164.get(e164)

    def __iter__(self) -> Iterator[Number]:
        return iter(self._by_sid.values())

    def on_sale(self, area_code: str = "", contains: str = "", region: str = "", locality: str = "") -> list[str]:
        """Return numbers in the matching area codes, in a fixed order, without those that the account has.

        `contains` is a run of digits; `*` matches any digit.
        """
        areas = [area_code] if area_code else [DEFAULT_AREA, *(code for code in AREAS if code != DEFAULT_AREA)]
        matching = [
            area
            for area in areas
            if (not region or place_of(f"+1{area}")["State"] == region.upper())
            and (not locality or place_of(f"+1{area}")["City"] == locality.upper())
        ]
        numbers = (f"+1{area}5550{line:03d}" for area in matching for line in range(100, 200))
        return [number for number in numbers if _contains(number, contains) and self.find(number) is None]


def _read(file: Path) -> list[Number]:
    """Return the numbers of a file; none if it is missing, or is no such file."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=list[Number])
    except (OSError, msgspec.DecodeError):
        return []


def national(e164: str) -> str:
    """Format `+13175550100` as `(317) 555-0100`; return numbers of other countries unchanged."""
    if len(e164) == 12 and e164.startswith("+1"):
        return f"({e164[2:5]}) {e164[5:8]}-{e164[8:]}"
    return e164


def _contains(e164: str, pattern: str) -> bool:
    needle = pattern.lstrip("+")
    digits = e164[1:]
    starts = range(len(digits) - len(needle) + 1)
    return any(all(wanted in {"*", digit} for wanted, digit in zip(needle, digits[at:], strict=False)) for at in starts)
