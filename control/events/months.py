"""The sweep that creates, closes, archives and drops the months of events (`storage/event_months.py`)."""

import asyncio
import gzip
import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta

import asyncpg
from prometheus_client import Counter, Gauge

from hum.contract.errors import RequestRefused
from hum.objects.files import Files
from hum.observe.logs import log
from hum.settings import ControlSettings
from storage import event_months, events
from storage.db import Db
from storage.event_months import ArchivedRow, MonthRow

#: Months for which the database is prepared ahead.
EVENTS_MONTHS_AHEAD = 2
#: Hours after its end when a month takes no more events; the database's clock must never go back by as much.
EVENTS_CLOSE_HOURS = 24.0
#: Seconds that making or deleting a month may wait for others, who wait behind it; it is tried again.
EVENTS_LOCK_SECONDS = 0.5
#: Days for which it is known that news which may be brought again have their event.
EVENT_ID_DAYS = 90.0

LOG = log(__name__)
UNPLACED = Gauge("hum_events_unplaced", "Events without a month, at the last sweep")
OVERDUE = Gauge("hum_events_overdue_seconds", "How much longer than HUM_EVENTS_MONTHS the oldest month was kept")
ARCHIVED = Counter("hum_events_archived_total", "Events that were archived")
DROPPED = Counter("hum_event_months_dropped_total", "Months of events that were dropped")
#: Events per archive file, and event ids pruned per sweep.
FILE_EVENTS, PRUNED_IDS = 5_000, 10_000


class Unarchived(Exception):  # noqa: N818 - names the failure
    """A month could not be archived, and is kept.  Not an OSError, which means an unavailable database."""


async def maintain_months(db: Db, files: Files, settings: ControlSettings) -> None:
    """Create the next months; archive and drop the oldest if it is old enough and no reader needs it."""
    try:
        await _create_months(db)
        await _prune_ids(db)
        if settings.events_months:
            await _drop_old(db, files, settings)
    except asyncpg.LockNotAvailableError:
        LOG.info("could not lock the months of events; the next sweep retries")


async def _create_months(db: Db) -> None:
    async with db.system() as tx:
        unplaced = await event_months.create(tx, EVENTS_MONTHS_AHEAD, EVENTS_LOCK_SECONDS)
        await event_months.close(tx, timedelta(hours=EVENTS_CLOSE_HOURS))
    UNPLACED.set(unplaced)
    if unplaced:
        LOG.warning(
            "events had no month: no worker created it in time, or the database's clock is wrong", events=unplaced
        )


async def _prune_ids(db: Db) -> None:
    async with db.system() as tx:
        await events.prune_ids(tx, timedelta(days=EVENT_ID_DAYS), PRUNED_IDS)


async def _drop_old(db: Db, files: Files, settings: ControlSettings) -> None:
    async with db.system() as tx:
        OVERDUE.set(max(0.0, await event_months.overdue_seconds(tx, settings.events_months)))
        row = await event_months.oldest(tx, settings.events_months)
        needed_by = await event_months.needed_by(tx, row.month) if row else []
    if row is None:
        return
    if needed_by:
        LOG.warning("a month of events is old and still needed", month=row.name, by=", ".join(needed_by))
        return
    if settings.events_archive != "none" and not await _archive(db, files, row, settings.events_archive == "whole"):
        return
    async with db.system() as tx:
        if await event_months.drop(tx, row.month, EVENTS_LOCK_SECONDS):
            DROPPED.inc()
            LOG.info("a month of events was dropped", month=row.name)


async def _archive(db: Db, files: Files, row: MonthRow, with_payloads: bool) -> bool:
    """Write the rest of a month's archive; return False if another process is writing it."""
    while row.archived_at is None:
        async with db.system() as tx:
            batch = await event_months.part(tx, row, FILE_EVENTS, with_payloads=with_payloads)
        if batch:
            await _write(files, f"events/{row.name}/{row.archive_files + 1:06d}.jsonl.gz", batch)
        last_id, is_whole = batch[-1].id if batch else row.archived_id, len(batch) < FILE_EVENTS
        async with db.system() as tx:
            if not await event_months.record_progress(tx, row, last_id, 1 if batch else 0, whole=is_whole):
                return False
            ARCHIVED.inc(len(batch))
        if is_whole:
            break
        row = MonthRow(row.month, row.name, last_id, row.archive_files + 1, None)
    return True


async def _write(files: Files, path: str, part: Sequence[ArchivedRow]) -> None:
    try:
        await files.put(path, await asyncio.to_thread(packed, part))
    except (OSError, RequestRefused) as error:
        raise Unarchived(f"{path} could not be written: {error}") from error


def packed(part: Sequence[ArchivedRow]) -> bytes:
    """Compress events as JSON lines, deterministically."""
    lines = (json.dumps(_line(row), ensure_ascii=False) for row in part)
    # Half of a surrogate pair, which UTF-8 can't encode, remains the escape that it was in the event.
    return gzip.compress("".join(f"{line}\n" for line in lines).encode(errors="backslashreplace"), mtime=0)


def _line(row: ArchivedRow) -> dict[str, object]:
    data = json.loads(row.data) if row.data else None
    return {name: str(value) if name != "version" else value for name, value in asdict(row).items()} | {
        "created_at": row.created_at.isoformat(),
        "data": data,
    }
