"""Usage as clients see it."""

from collections.abc import Iterable
from decimal import Decimal

from control.base.wire import value
from control.usage import meters, pricetable
from hum.v1 import usage_pb2 as pb
from storage.usage import LineRow


def usage(rows: Iterable[LineRow]) -> pb.Usage:
    """Convert usage, with the rows of one meter, item, basis and currency merged."""
    lines: dict[tuple[str, str, str, str], tuple[int, Decimal]] = {}
    for row in rows:
        if row.meter not in meters.COUNTS:
            key = row.meter, row.item, row.basis, row.currency
            quantity, cost = lines.get(key, (0, Decimal(0)))
            lines[key] = quantity + row.quantity, cost + row.cost
    costs: dict[str, Decimal] = {}
    for (_, _, _, currency), (_, cost) in lines.items():
        if currency:
            costs[currency] = costs.get(currency, Decimal(0)) + cost
    return pb.Usage(
        lines=[_line(*key, *lines[key]) for key in sorted(lines)],
        costs=[_cost(currency, costs[currency]) for currency in sorted(costs)],
        is_priced=all(basis != "none" for _, _, basis, _ in lines),
    )


def _line(meter: str, item: str, basis: str, currency: str, quantity: int, cost: Decimal) -> pb.UsageLine:
    return pb.UsageLine(
        meter=value(pb.UsageMeter, meter),
        item=None if item == pricetable.ANYTHING else item,
        quantity=quantity,
        basis=value(pb.UsageBasis, basis),
        cost=_cost(currency, cost) if currency else None,
    )


def _cost(currency: str, amount: Decimal) -> pb.UsageCost:
    plain = f"{amount:f}"
    plain = plain.rstrip("0").rstrip(".") if "." in plain else plain
    return pb.UsageCost(currency=currency, amount=plain)


def figures(rows: Iterable[LineRow]) -> pb.UsageFigures:
    rows = list(rows)
    counts = {name: sum(row.quantity for row in rows if row.meter == name) for name in meters.COUNTS}
    return pb.UsageFigures(**counts, usage=usage(rows))
