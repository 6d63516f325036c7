"""The rules of usage: the meters, the price table, and the changes of roll-ups.  Pure."""

import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

import phonenumbers
from phonenumbers import PhoneNumberType

from hum.v1 import usage_pb2 as pb

KeyT = TypeVar("KeyT")

#: Counts without a price: calls, their seconds and begun minutes, messages.
CALLS, CALL_SECONDS, CALL_MINUTES = "calls", "call_seconds", "call_minutes"
MESSAGES_SENT, MESSAGES_RECEIVED = "messages_sent", "messages_received"
SIZED = frozenset({CALL_MINUTES, MESSAGES_SENT, MESSAGES_RECEIVED})
COUNTS = frozenset({CALLS, CALL_SECONDS, CALL_MINUTES, MESSAGES_SENT, MESSAGES_RECEIVED})

INBOUND_SECONDS, OUTBOUND_SECONDS, TRANSFER_SECONDS = "inbound_seconds", "outbound_seconds", "transfer_seconds"
STREAM_SECONDS, MACHINE_DETECTIONS, LOOKUPS = "stream_seconds", "machine_detections", "lookups"
SEGMENTS_SENT, SEGMENTS_RECEIVED = "segments_sent", "segments_received"
MEDIA_SENT, MEDIA_RECEIVED = "media_messages_sent", "media_messages_received"
AUDIO_IN, TEXT_IN, AUDIO_OUT, TEXT_OUT = "audio_tokens_in", "text_tokens_in", "audio_tokens_out", "text_tokens_out"
CACHED_AUDIO_IN, CACHED_TEXT_IN = "cached_audio_tokens_in", "cached_text_tokens_in"
TRANSCRIPTION_MS, SPEECH_MS = "transcription_ms", "speech_ms"

MINUTE_S, MINUTE_MS, MILLION = 60, 60_000, 1_000_000
#: The quantity of a meter that a price is for; 1 for the others.
PER = {
    **dict.fromkeys((INBOUND_SECONDS, OUTBOUND_SECONDS, TRANSFER_SECONDS, STREAM_SECONDS), MINUTE_S),
    **dict.fromkeys((AUDIO_IN, TEXT_IN, AUDIO_OUT, TEXT_OUT, CACHED_AUDIO_IN, CACHED_TEXT_IN), MILLION),
    **dict.fromkeys((TRANSCRIPTION_MS, SPEECH_MS), MINUTE_MS),
}
#: Meters that the carrier charges by begun minutes.
BEGUN = frozenset({INBOUND_SECONDS, OUTBOUND_SECONDS, TRANSFER_SECONDS, STREAM_SECONDS})
METERS = frozenset(name.removeprefix("USAGE_METER_").lower() for name in pb.UsageMeter.keys()[1:])

#: The item of a price for all items without their own.
ANYTHING = "*"
UNKNOWN = "unknown"
_SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}$")
_KINDS = {
    PhoneNumberType.MOBILE: "mobile",
    PhoneNumberType.TOLL_FREE: "toll free",
    PhoneNumberType.PREMIUM_RATE: "premium rate",
    PhoneNumberType.SHARED_COST: "shared cost",
    PhoneNumberType.VOIP: "voip",
}
MOST_DECIMALS = 12
#: The precision of an estimate, which makes sums exact in any order.
FINEST = Decimal(1).scaleb(-MOST_DECIMALS)
MOST_ITEM_CHARS = 100


def minutes(seconds: int) -> int:
    """Round up to begun minutes."""
    return -(-seconds // MINUTE_S)


def country(e164: str) -> str:
    """Return what a number's price depends on: its country, and its kind where prices differ by it.

    It identifies no person, as it outlives the number.
    """
    try:
        number = phonenumbers.parse(e164)
    except phonenumbers.NumberParseException:
        return UNKNOWN
    region = phonenumbers.region_code_for_number(number)
    region = region or phonenumbers.region_code_for_country_code(number.country_code or 0)
    kind = _KINDS.get(phonenumbers.number_type(number))
    if not region or not region.isalpha():
        return UNKNOWN
    return f"{region} {kind}" if kind else region


# --- the price table


@dataclass(frozen=True, slots=True)
class Price:
    """The price of a meter's unit from a day on."""

    meter: str
    item: str
    since: date
    amount: Decimal
    currency: str


class BadPrices(ValueError):  # noqa: N818
    """An error in a price table."""


def read(text: str) -> list[Price]:
    """Parse a price table (docs/usage.md).  Raises BadPrices."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadPrices(f"is not TOML: {error}") from error
    rows = table.pop("prices", [])
    if table or not isinstance(rows, list):
        raise BadPrices(f"has nothing but [[prices]], and not {', '.join(map(str, table)) or 'prices'}")
    return [price for number, row in enumerate(rows, 1) for price in _row(number, row)]


def _row(number: int, row: dict[str, Any]) -> Iterable[Price]:
    where = f"[[prices]] number {number}"
    item, since, currency = row.pop("of", None), row.pop("from", None), row.pop("currency", None)
    row.pop("source", None)  # for readers of the table
    if not isinstance(item, str) or not item:
        raise BadPrices(f"{where}: `of` must name a model, a country or a kind of look-up")
    if not isinstance(since, date) or isinstance(since, datetime):
        raise BadPrices(f"{where}: `from` must be a day, as in 2026-03-05")
    if not isinstance(currency, str) or not re.fullmatch("[A-Z]{3}", currency):
        raise BadPrices(f"{where}: `currency` must be three letters, as in USD")
    for meter, amount in row.items():
        if meter not in METERS:
            raise BadPrices(f"{where}: there is no meter {meter}")
        yield Price(meter, item, since, _amount(f"{where}: {meter}", amount), currency)


def _amount(where: str, amount: object) -> Decimal:
    try:
        parsed = Decimal(amount) if isinstance(amount, str) else None
    except InvalidOperation:
        parsed = None
    if parsed is None or not parsed.is_finite() or parsed < 0 or -int(parsed.as_tuple().exponent) > MOST_DECIMALS:
        raise BadPrices(f'{where} must be an amount in quotes, as in "0.0085"')
    return parsed


class Prices:
    """The prices in effect: the operator's, else the package's."""

    def __init__(self, package: Sequence[Price], operator: Sequence[Price] = ()) -> None:
        self._tables = [_by_item(operator), _by_item(package)]

    def of(self, meter: str, item: str, day: date) -> Price | None:
        """Return the price of a meter on a day, or None."""
        for name in _names(item):
            for table in self._tables:
                for price in table.get((meter, name), ()):
                    if price.since <= day:
                        return price
        return None

    def estimate(self, meter: str, item: str, quantity: int, day: date) -> tuple[Decimal, str] | None:
        """Return the cost of an entry with its currency; None without a price."""
        price = self.of(meter, item, day)
        if price is None:
            return None
        if meter in BEGUN:
            return price.amount * minutes(quantity), price.currency
        return (price.amount * quantity / PER.get(meter, 1)).quantize(FINEST), price.currency


def _by_item(prices: Sequence[Price]) -> dict[tuple[str, str], list[Price]]:
    """Group prices by meter and item, latest first."""
    groups: dict[tuple[str, str], list[Price]] = {}
    for price in sorted(prices, key=lambda price: price.since, reverse=True):
        groups.setdefault((price.meter, price.item), []).append(price)
    return groups


def _names(item: str) -> Iterable[str]:
    """Yield the names under which an item may be priced, closest first: a snapshot's model, the country of a kind of number."""
    yield item
    if (model := _SNAPSHOT.sub("", item)) != item:
        yield model
    if " " in item:
        yield item.partition(" ")[0]
    yield ANYTHING


def size(used: Iterable[tuple[str, int]]) -> int:
    """Return the sort key of flows and numbers: minutes of calls plus messages."""
    return sum(quantity for meter, quantity in used if meter in SIZED)


# --- from entries to roll-ups


@dataclass(frozen=True, slots=True)
class Worth:
    """The counted quantity and cost of an entry; `basis`: `none`, `estimate`, `carrier`."""

    quantity: int
    cost: Decimal
    currency: str
    basis: str


def worth(quantity: int, price: tuple[Decimal, str] | None, estimate: tuple[Decimal, str] | None) -> Worth:
    """Return what to count of an entry.  `price`: the carrier's, which is preferred; `estimate`: by the price table."""
    if price is not None:
        return Worth(quantity, *price, "carrier")
    if estimate is not None:
        return Worth(quantity, *estimate, "estimate")
    return Worth(quantity, Decimal(0), "", "none")


def changes(counted: Iterable[tuple[KeyT, Worth | None, Worth]]) -> dict[tuple[KeyT, str, str], tuple[int, Decimal]]:
    """Return the changes of roll-ups, by key, basis and currency, that replace the first worth of entries by the second."""
    quantities: Counter[tuple[KeyT, str, str]] = Counter()
    costs: dict[tuple[KeyT, str, str], Decimal] = {}
    for key, before, after in counted:
        for value, sign in ((before, -1), (after, 1)):
            if value is not None:
                roll_up = (key, value.basis, value.currency)
                quantities[roll_up] += sign * value.quantity
                costs[roll_up] = costs.get(roll_up, Decimal(0)) + sign * value.cost
    return {roll_up: (quantities[roll_up], cost) for roll_up, cost in costs.items() if quantities[roll_up] or cost}
