"""What is measured, what it costs by the price table, and how roll-ups follow from entries."""

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

#: Plain counts, which cost nothing themselves: calls, their seconds and begun minutes, messages.
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
#: What a price is for: so much of the meter.  Everything else is priced one by one.
PER = {
    **dict.fromkeys((INBOUND_SECONDS, OUTBOUND_SECONDS, TRANSFER_SECONDS, STREAM_SECONDS), MINUTE_S),
    **dict.fromkeys((AUDIO_IN, TEXT_IN, AUDIO_OUT, TEXT_OUT, CACHED_AUDIO_IN, CACHED_TEXT_IN), MILLION),
    **dict.fromkeys((TRANSCRIPTION_MS, SPEECH_MS), MINUTE_MS),
}
#: The carrier charges for minutes that have begun.
BEGUN = frozenset({INBOUND_SECONDS, OUTBOUND_SECONDS, TRANSFER_SECONDS, STREAM_SECONDS})
METERS = frozenset(name.removeprefix("USAGE_METER_").lower() for name in pb.UsageMeter.keys()[1:])

#: Of whatever has no price of its own.
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
#: An entry is estimated to that: sums of them are exact, whatever their order.
FINEST = Decimal(1).scaleb(-MOST_DECIMALS)
MOST_ITEM_CHARS = 100


def minutes(seconds: int) -> int:
    """Begun minutes."""
    return -(-seconds // MINUTE_S)


def country(e164: str) -> str:
    """What the carrier's price of a number depends on: its country, and its kind where that is told apart.

    It is kept when the number is long forgotten, so it says no more.
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
    """What one unit of a meter costs from a day on."""

    meter: str
    item: str
    since: date
    amount: Decimal
    currency: str


class BadPrices(ValueError):  # noqa: N818
    """What is wrong with a price table."""


def read(text: str) -> list[Price]:
    """The prices of a table (docs/usage.md).  Raises BadPrices."""
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
    row.pop("source", None)  # for people: where the price was found
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
        read = Decimal(amount) if isinstance(amount, str) else None
    except InvalidOperation:
        read = None
    if read is None or not read.is_finite() or read < 0 or -int(read.as_tuple().exponent) > MOST_DECIMALS:
        raise BadPrices(f'{where} must be an amount in quotes, as in "0.0085"')
    return read


class Prices:
    """The operator's prices, and where they have none the package's."""

    def __init__(self, package: Sequence[Price], operator: Sequence[Price] = ()) -> None:
        self._tables = [_by_item(operator), _by_item(package)]

    def of(self, meter: str, item: str, day: date) -> Price | None:
        """The price of a meter on a day; None if none is known."""
        for name in _names(item):
            for table in self._tables:
                for price in table.get((meter, name), ()):
                    if price.since <= day:
                        return price
        return None

    def estimate(self, meter: str, item: str, quantity: int, day: date) -> tuple[Decimal, str] | None:
        """What one entry costs, and in which currency; None if no price is known."""
        price = self.of(meter, item, day)
        if price is None:
            return None
        if meter in BEGUN:
            return price.amount * minutes(quantity), price.currency
        return (price.amount * quantity / PER.get(meter, 1)).quantize(FINEST), price.currency


def _by_item(prices: Sequence[Price]) -> dict[tuple[str, str], list[Price]]:
    """The latest first."""
    found: dict[tuple[str, str], list[Price]] = {}
    for price in sorted(prices, key=lambda price: price.since, reverse=True):
        found.setdefault((price.meter, price.item), []).append(price)
    return found


def _names(item: str) -> Iterable[str]:
    """By which an item may be priced, the closest first: a snapshot of a model as that model, a kind of number as its country."""
    yield item
    if (model := _SNAPSHOT.sub("", item)) != item:
        yield model
    if " " in item:
        yield item.partition(" ")[0]
    yield ANYTHING


def size(used: Iterable[tuple[str, int]]) -> int:
    """What a list of flows or numbers is sorted by: minutes of calls, and messages."""
    return sum(quantity for meter, quantity in used if meter in SIZED)


# --- from entries to roll-ups


@dataclass(frozen=True, slots=True)
class Worth:
    """What is counted of an entry; `basis`: `none`, `estimate`, `carrier`."""

    quantity: int
    cost: Decimal
    currency: str
    basis: str


def worth(quantity: int, price: tuple[Decimal, str] | None, estimate: tuple[Decimal, str] | None) -> Worth:
    """`price`: the carrier's own; `estimate`: by the table."""
    if price is not None:
        return Worth(quantity, *price, "carrier")
    if estimate is not None:
        return Worth(quantity, *estimate, "estimate")
    return Worth(quantity, Decimal(0), "", "none")


def changes(counted: Iterable[tuple[KeyT, Worth | None, Worth]]) -> dict[tuple[KeyT, str, str], tuple[int, Decimal]]:
    """What is to be added to which roll-up (of key, basis and currency), so that entries count as the second worth and no longer as
    the first.
    """
    quantities: Counter[tuple[KeyT, str, str]] = Counter()
    costs: dict[tuple[KeyT, str, str], Decimal] = {}
    for key, before, after in counted:
        for each, sign in ((before, -1), (after, 1)):
            if each is not None:
                place = (key, each.basis, each.currency)
                quantities[place] += sign * each.quantity
                costs[place] = costs.get(place, Decimal(0)) + sign * each.cost
    return {place: (quantities[place], cost) for place, cost in costs.items() if quantities[place] or cost}
