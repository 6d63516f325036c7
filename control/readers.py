"""Reads the outbox for a feature: each event once, in order, however many workers try."""

from collections import Counter as Tally
from collections.abc import Sequence
from uuid import UUID

from prometheus_client import Counter

from control.feature import Reader
from hum import eventtypes
from hum.telemetry import log
from storage import event_backlogs, events, set_aside
from storage.db import Db, Tx
from storage.event_backlogs import Place
from storage.events import Event

LOG = log(__name__)
SET_ASIDE = Counter("hum_events_set_aside_total", "Events that a reader could not handle", ["reader"])
BATCH = 500
#: Of a batch, one organization's where others wait.
SHARE = 100
#: So many organizations have a backlog at once; the next one's events are read among everybody's.
MOST_BACKLOGS = 100
#: More failures in one batch mean a bad reader, not bad events: it raises, and its worker ends if that persists.
MAX_SET_ASIDE = 20


async def read(db: Db, reader: Reader, batch: int = BATCH) -> int:
    """Handle the next events; return how many were read: also 0 while another process reads for this reader."""
    async with db.system() as tx:
        if reader.shares:
            found = await _shared(tx, reader, batch)
        else:
            found = await events.read_behind_horizon(tx, reader.name, reader.start, batch)
        bad = await _handle(tx, reader, [event for event in found if _is_wanted(reader, event)])
    if bad:
        SET_ASIDE.labels(reader.name).inc(bad)
    return len(found)


async def read_released(db: Db, reader: Reader) -> bool:
    """Handle an event again that was set aside and that an operator has released; False if there is none.

    One that fails again is set aside again, with the new reason.
    """
    async with db.system() as tx:
        if await events.place(tx, reader.name, reader.start) is None:  # another process reads for this reader
            return False
        id = await set_aside.take_event(tx, reader.name)
        if id is None:
            return False
        found = await events.find(tx, id)
        bad = await _handle(tx, reader, [found]) if found is not None and _is_wanted(reader, found) else 0
    if bad:
        SET_ASIDE.labels(reader.name).inc(bad)
    return True


def _is_wanted(reader: Reader, event: Event) -> bool:
    return eventtypes.family(event.type) in reader.types and (reader.takes_emptied or event.data is not None)


async def _shared(tx: Tx, reader: Reader, batch: int) -> list[Event]:
    """The next events of everybody; of who has many more than the others, the first now, and the rest behind a cursor of its own.

    While others wait, a backlog costs a transaction no more than a share of a batch.
    """
    at = await events.place(tx, reader.name, reader.start)
    if at is None:
        return []
    behind = await event_backlogs.find(tx, reader.name)
    while True:
        read = await event_backlogs.others(tx, at, list(behind), batch)
        if read.events or read.is_all:
            break
        at = read.end  # all of these have a backlog
    found, last, counts = list[Event](), dict[UUID, Place](), Tally[UUID]()
    for event in read.events:
        org = event.org_id
        counts[org] += 1
        if counts[org] <= SHARE or read.is_all or (org not in behind and len(behind) == MOST_BACKLOGS):
            found.append(event)
            last[org] = event.xid, event.id
        else:
            behind.setdefault(org, last[org])
    await events.move(tx, reader.name, *read.end)
    room = max(SHARE, batch - len(found) if read.is_all else 0)
    return found + await _backlogs(tx, reader, behind, read.end, room)


async def _backlogs(tx: Tx, reader: Reader, behind: dict[UUID, Place], end: Place, room: int) -> list[Event]:
    """Some of each backlog, up to where everybody's cursor is; together about `room`."""
    found, places, done = list[Event](), dict[UUID, Place](), list[UUID]()
    each = max(1, room // len(behind)) if behind else 0
    for org, place in behind.items():
        more = await event_backlogs.of_organization(tx, org, place, end, each)
        found += more
        if len(more) < each:
            done.append(org)
        else:
            places[org] = more[-1].xid, more[-1].id
    await event_backlogs.keep(tx, reader.name, places, done)
    return found


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
        await set_aside.add_event(tx, reader.name, found[0].id, repr(error)[:500])
        return bad + 1
    await tx.execute("RELEASE SAVEPOINT batch")
    return bad
