"""Reads the outbox for a feature: each event once, in order, however many workers try."""

from collections.abc import Sequence

from prometheus_client import Counter

from control.feature import Reader
from hum.telemetry import log
from storage import events
from storage.db import Db, Tx
from storage.events import Event

LOG = log(__name__)
SET_ASIDE = Counter("hum_events_set_aside_total", "Events that a reader could not handle", ["reader"])
BATCH = 500
#: More failures in one batch mean a bad reader, not bad events: it raises, and its worker ends if that persists.
MAX_SET_ASIDE = 20


async def read(db: Db, reader: Reader, batch: int = BATCH) -> int:
    """Handle the next events; return how many were read: also 0 while another process reads for this reader."""
    async with db.system() as tx:
        found = await events.read_behind_horizon(tx, reader.name, reader.start, batch)
        bad = await _handle(tx, reader, [event for event in found if event.type in reader.types])
    if bad:
        SET_ASIDE.labels(reader.name).inc(bad)
    return len(found)


async def _handle(tx: Tx, reader: Reader, found: Sequence[Event], bad: int = 0) -> int:
    """Handle all of them at once; if that fails, each half separately, down to the one event that is set aside.

    Returns how many were set aside, including the `bad` before these.
    """
    if not found:
        return bad
    await tx.execute("SAVEPOINT batch")
    try:
        await reader.handle(tx, found)
    except events.LATER:
        raise
    except Exception as error:
        await tx.execute("ROLLBACK TO SAVEPOINT batch")
        if len(found) > 1:
            middle = len(found) // 2
            return await _handle(tx, reader, found[middle:], await _handle(tx, reader, found[:middle], bad))
        if bad >= MAX_SET_ASIDE:
            raise
        LOG.exception("an event was set aside", reader=reader.name, event_id=found[0].id, type=found[0].type)
        await events.set_aside(tx, reader.name, found[0], repr(error)[:500])
        return bad + 1
    await tx.execute("RELEASE SAVEPOINT batch")
    return bad
