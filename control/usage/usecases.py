"""The use cases of roll-ups: count new entries, rebuild everything."""

from collections.abc import Sequence
from datetime import UTC
from uuid import UUID

from control.usage import meters
from control.usage.meters import Worth
from control.usage.pricetable import Prices
from hum import ids
from hum.ids import Kind
from storage import events, usage
from storage.db import Db, Tx
from storage.events import Event
from storage.usage import CountRow, UsageEntryRow

#: Events whose subject may have new entries.
CHANGES = frozenset({"call.completed", "call.summary", "sms.received", "sms.sent", "usage.recorded"})
PAGE = 2000


async def count(tx: Tx, prices: Prices, changed: Sequence[Event]) -> None:
    """Count the uncounted entries of what these events are about."""
    subjects = {(event.org_id, _subject(event)) for event in changed}
    await _count(tx, prices, await usage.of_events(tx, sorted(subjects)))


def _subject(event: Event) -> UUID:
    """Return whose entries an event announces: the subject of `sms.received` is the conversation, and the text has them."""
    if event.type == "sms.received" and event.data is not None:
        return ids.parse(Kind.MESSAGE, event.data["message_id"]) or event.subject_id
    return event.subject_id


async def rebuild(db: Db, prices: Prices) -> int:
    """Estimate all entries anew by the current price table, and rebuild the roll-ups; return the number of entries."""
    counted, last = 0, None
    async with db.system() as tx:
        await events.lock_reader(tx, usage.READER)
        await usage.unlimited(tx)
        while page := await usage.next_entries(tx, last, PAGE):
            await usage.set_counted(tx, [_counted(row, prices) for row in page if row.used_at is not None])
            counted, last = counted + len(page), page[-1]
        await usage.rebuild(tx)
    return counted


async def _count(tx: Tx, prices: Prices, rows: Sequence[UsageEntryRow]) -> None:
    counted = [_counted(row, prices) for row in rows]
    await usage.set_counted(tx, counted)
    replacements = [(row.place, _before(row), _after(after)) for row, after in zip(rows, counted, strict=True)]
    await usage.roll_up(tx, meters.changes(replacements))


def _counted(row: UsageEntryRow, prices: Prices) -> CountRow:
    assert row.used_at is not None
    estimate = None
    if row.meter not in meters.COUNTS:
        estimate = prices.estimate(row.meter, row.item, row.quantity, row.used_at.astimezone(UTC).date())
    price = (row.price, row.price_currency) if row.price is not None and row.price_currency is not None else None
    worth = meters.worth(row.quantity, price, estimate)
    amount, currency = estimate or (None, None)
    return CountRow(row.key, amount, currency, worth.quantity, worth.cost, worth.currency, worth.basis)


def _before(row: UsageEntryRow) -> Worth | None:
    if row.counted_quantity is None:
        return None
    assert row.counted_cost is not None and row.counted_currency is not None and row.counted_basis is not None
    return Worth(row.counted_quantity, row.counted_cost, row.counted_currency, row.counted_basis)


def _after(row: CountRow) -> Worth:
    return Worth(row.quantity, row.cost, row.currency, row.basis)
