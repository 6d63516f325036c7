"""Reads of the outbox for features: each event once, in order, however many workers run."""

from collections import Counter as Tally
from collections.abc import Sequence
from uuid import UUID

from prometheus_client import Counter

from control.feature import Reader
from hum.contract import eventtypes
from hum.observe.logs import log
from storage import event_backlogs, events, quarantine
from storage.db import Db, Tx
from storage.event_backlogs import Place
from storage.events import Event

LOG = log(__name__)
SET_ASIDE = Counter("hum_events_set_aside_total", "Events that a reader could not handle", ["reader"])
BATCH = 500
#: Most events of an organization in a batch while events of others are pending.
SHARE = 100
#: Most organizations with a backlog of their own at once; further ones are read with all others.
MAX_BACKLOGS = 100
#: More failures in a batch mean a bad reader, not bad events: it raises, and its worker ends if that persists.
MAX_SET_ASIDE = 20


async def read(db: Db, reader: Reader, batch: int = BATCH) -> int:
    """Handle the next events; return how many were read, which is 0 while another process reads for this reader."""
    async with db.system() as tx:
        if reader.shares:
            rows = await _read_shared(tx, reader, batch)
        else:
            rows = await events.read_behind_horizon(tx, reader.name, reader.start, batch)
        failures = await _handle(tx, reader, [event for event in rows if _is_wanted(reader, event)])
    if failures:
        SET_ASIDE.labels(reader.name).inc(failures)
    return len(rows)


async def read_released(db: Db, reader: Reader) -> bool:
    """Handle a quarantined event that an operator has released; return False if there is none.

    An event that fails again is quarantined again, with the new reason.
    """
    async with db.system() as tx:
        # Another process reads for this reader.
        if await events.lock_position(tx, reader.name, reader.start) is None:
            return False
        id = await quarantine.claim_event(tx, reader.name)
        if id is None:
            return False
        event = await events.find(tx, id)
        failures = await _handle(tx, reader, [event]) if event is not None and _is_wanted(reader, event) else 0
    if failures:
        SET_ASIDE.labels(reader.name).inc(failures)
    return True


def _is_wanted(reader: Reader, event: Event) -> bool:
    return eventtypes.family(event.type) in reader.types and (reader.takes_emptied or event.data is not None)


async def _read_shared(tx: Tx, reader: Reader, batch: int) -> list[Event]:
    """Read the next events of all organizations, and begin a backlog for one with many more events than the others.

    A backlog has a cursor of its own.  While other events are pending, it takes no more than a share of a batch.
    """
    position = await events.lock_position(tx, reader.name, reader.start)
    if position is None:
        return []
    backlogs = await event_backlogs.find(tx, reader.name)
    while True:
        read = await event_backlogs.of_others(tx, position, list(backlogs), batch)
        if read.events or read.is_all:
            break
        position = read.end  # all these events are in backlogs
    rows, last, counts = list[Event](), dict[UUID, Place](), Tally[UUID]()
    for event in read.events:
        org = event.org_id
        counts[org] += 1
        if counts[org] <= SHARE or read.is_all or (org not in backlogs and len(backlogs) == MAX_BACKLOGS):
            rows.append(event)
            last[org] = event.xid, event.id
        else:
            backlogs.setdefault(org, last[org])
    await events.advance(tx, reader.name, *read.end)
    remaining = max(SHARE, batch - len(rows) if read.is_all else 0)
    return rows + await _read_backlogs(tx, reader, backlogs, read.end, remaining)


async def _read_backlogs(
    tx: Tx, reader: Reader, backlogs: dict[UUID, Place], end: Place, remaining: int
) -> list[Event]:
    """Read a part of each backlog, up to the cursor of all organizations at `end`; about `remaining` events in all."""
    rows, places, finished = list[Event](), dict[UUID, Place](), list[UUID]()
    per_backlog = max(1, remaining // len(backlogs)) if backlogs else 0
    for org, place in backlogs.items():
        backlog_events = await event_backlogs.of_organization(tx, org, place, end, per_backlog)
        rows += backlog_events
        if len(backlog_events) < per_backlog:
            finished.append(org)
        else:
            places[org] = backlog_events[-1].xid, backlog_events[-1].id
    await event_backlogs.store(tx, reader.name, places, finished)
    return rows


async def _handle(tx: Tx, reader: Reader, rows: Sequence[Event], failures: int = 0) -> int:
    """Handle these events at once; if that fails, each half separately, down to the single event that is quarantined.

    Return how many events were quarantined, including the `failures` before these.
    """
    if not rows:
        return failures
    await tx.execute("SAVEPOINT batch")
    try:
        await reader.handle(tx, rows)
    except events.LATER:
        raise
    # Any event may reveal a bug: the halves show which one, and it is kept for an operator.
    except Exception as error:
        await tx.execute("ROLLBACK TO SAVEPOINT batch")
        if len(rows) > 1:
            middle = len(rows) // 2
            return await _handle(tx, reader, rows[middle:], await _handle(tx, reader, rows[:middle], failures))
        if failures >= MAX_SET_ASIDE:
            raise
        LOG.exception("an event was quarantined", reader=reader.name, event_id=rows[0].id, type=rows[0].type)
        await quarantine.add_event(tx, reader.name, rows[0].id, repr(error)[:500])
        return failures + 1
    await tx.execute("RELEASE SAVEPOINT batch")
    return failures
