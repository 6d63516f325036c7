"""The price table, and estimates by it.  Pure."""

import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import phonenumbers
from phonenumbers import PhoneNumberType

from control.usage.meters import BEGUN, METERS, PER, minutes

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
