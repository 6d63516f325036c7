"""Reads of the outbox for features: each event once, in order, however many workers run."""

from collections import Counter as Tally
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from asyncpg import QueryCanceledError
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
#: More failures in a batch may mean a bad reader, not bad events: the batch is tried again first.
MAX_SET_ASIDE = 20
#: The attempt with which nothing holds the reader any more: what then fails or is canceled is quarantined.
ATTEMPTS = 3


class BatchError(Exception):
    """A batch was rolled back, and will be tried again."""


@dataclass(slots=True)
class ReadAttempts:
    """The failed attempts at a reader's next events: a process's own count, as the database rolled back what they did."""

    batches: int = 0
    #: By the number of an event that was handled alone.
    canceled: Tally[int] = field(default_factory=Tally)


async def read(db: Db, reader: Reader, batch: int = BATCH, attempts: ReadAttempts | None = None) -> int:
    """Handle the next events; return how many were read, which is 0 while another process reads for this reader.

    Raises BatchError, after which the caller tries again with the same `attempts`.  Neither events that always meet the
    statement's time limit nor any number of bad ones hold the reader beyond the third attempt.
    """
    attempts = ReadAttempts() if attempts is None else attempts
    try:
        async with db.system() as tx:
            if reader.shares:
                rows = await _read_shared(tx, reader, batch)
            else:
                rows = await events.read_behind_horizon(tx, reader.name, reader.start, batch)
            wanted = [event for event in rows if _is_wanted(reader, event)]
            failures = await _Batch(tx, reader, attempts).handle_all(wanted)
    except BatchError:
        attempts.batches += 1
        raise
    attempts.batches = 0
    attempts.canceled.clear()
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
        is_wanted = event is not None and _is_wanted(reader, event)
        last_try = ReadAttempts(batches=ATTEMPTS, canceled=Tally({id: ATTEMPTS}))
        failures = await _Batch(tx, reader, last_try).handle_all([event] if event and is_wanted else [])
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
    # An idle reader writes nothing.
    if read.end != position:
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


class _Batch:
    """The events that are handled in one transaction."""

    def __init__(self, tx: Tx, reader: Reader, attempts: ReadAttempts) -> None:
        self._tx, self._reader, self._attempts = tx, reader, attempts
        self._failures = 0

    async def handle_all(self, rows: Sequence[Event]) -> int:
        """Handle these events, and return how many were quarantined.  Raises BatchError.

        After a failed attempt each event is handled alone: one that is canceled then has itself to blame.
        """
        parts = [rows] if not self._attempts.batches else [[event] for event in rows]
        for part in parts:
            await self._handle(part)
        return self._failures

    async def _handle(self, rows: Sequence[Event]) -> None:
        """Handle these events at once; if that fails, each half separately, down to the single event."""
        if not rows:
            return
        await self._tx.execute("SAVEPOINT batch")
        try:
            await self._reader.handle(self._tx, rows)
        except QueryCanceledError as error:
            await self._tx.execute("ROLLBACK TO SAVEPOINT batch")
            await self._cancel(rows, error)
        except events.LATER:
            raise
        # Any event may reveal a bug: the halves show which one, and it is kept for an operator.
        except Exception as error:
            await self._tx.execute("ROLLBACK TO SAVEPOINT batch")
            if len(rows) > 1:
                middle = len(rows) // 2
                await self._handle(rows[:middle])
                await self._handle(rows[middle:])
            elif self._failures >= MAX_SET_ASIDE and self._attempts.batches < ATTEMPTS - 1:
                raise BatchError(f"more than {MAX_SET_ASIDE} events failed") from error
            else:
                await self._set_aside(rows[0], error)
        else:
            await self._tx.execute("RELEASE SAVEPOINT batch")

    async def _cancel(self, rows: Sequence[Event], error: QueryCanceledError) -> None:
        """Try again later; an event that was canceled alone for the third time is quarantined."""
        if len(rows) == 1:
            self._attempts.canceled[rows[0].id] += 1
            if self._attempts.canceled[rows[0].id] >= ATTEMPTS:
                await self._set_aside(rows[0], error)
                return
        raise BatchError("a statement was canceled") from error

    async def _set_aside(self, event: Event, error: Exception) -> None:
        LOG.error(
            "an event was quarantined", reader=self._reader.name, event_id=event.id, type=event.type, exc_info=error
        )
        await quarantine.add_event(self._tx, self._reader.name, event.id, repr(error)[:500])
        self._failures += 1
