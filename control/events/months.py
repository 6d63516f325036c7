"""The sweep of the months of events: made ahead, closed, archived and dropped (`storage/event_months.py`)."""

import asyncio
import gzip
import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta

import asyncpg
from prometheus_client import Counter, Gauge

from hum.errors import Refused
from hum.objects.files import Files
from hum.settings import ControlSettings
from hum.telemetry import log
from storage import event_months, events
from storage.db import Db
from storage.event_months import ArchivedRow, MonthRow

LOG = log(__name__)
UNPLACED = Gauge("hum_events_unplaced", "Events for which no month had been made, at the last look")
OVERDUE = Gauge("hum_events_overdue_seconds", "How much longer than HUM_EVENTS_MONTHS the oldest month was kept")
ARCHIVED = Counter("hum_events_archived_total", "Events that were archived")
DROPPED = Counter("hum_event_months_dropped_total", "Months of events that were dropped")
#: Events of one file of an archive, and ids that are forgotten at once.
FILE_EVENTS, FORGET = 5_000, 10_000


class Unarchived(Exception):  # noqa: N818 - it says what is wrong
    """A month could not be archived, and stays.  No OSError: that would mean that the database is away."""


async def sweep(db: Db, files: Files, settings: ControlSettings) -> None:
    """Prepare the next months, and archive and drop the oldest if it is old enough and nobody needs it."""
    try:
        await _make(db, settings)
        await _forget_ids(db, settings)
        if settings.events_months:
            await _drop_old(db, files, settings)
    except asyncpg.LockNotAvailableError:
        LOG.info("the events are in use; their months are looked at again later")


async def _make(db: Db, settings: ControlSettings) -> None:
    async with db.system() as tx:
        unplaced = await event_months.make(tx, settings.events_months_ahead, settings.events_lock_seconds)
        await event_months.close(tx, timedelta(hours=settings.events_close_hours))
    UNPLACED.set(unplaced)
    if unplaced:
        LOG.warning(
            "events had no month: no worker has made it in time, or the database's clock is wrong", events=unplaced
        )


async def _forget_ids(db: Db, settings: ControlSettings) -> None:
    async with db.system() as tx:
        await events.forget_ids(tx, timedelta(days=settings.event_id_days), FORGET)


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
        if await event_months.drop(tx, row.month, settings.events_lock_seconds):
            DROPPED.inc()
            LOG.info("a month of events was dropped", month=row.name)


async def _archive(db: Db, files: Files, row: MonthRow, with_payloads: bool) -> bool:
    """Write what is missing of a month's archive; False if another process does."""
    while row.archived_at is None:
        async with db.system() as tx:
            part = await event_months.part(tx, row, FILE_EVENTS, with_payloads=with_payloads)
        if part:
            await _write(files, f"events/{row.name}/{row.archive_files + 1:06d}.jsonl.gz", part)
        last, is_whole = part[-1].id if part else row.archived_id, len(part) < FILE_EVENTS
        async with db.system() as tx:
            if not await event_months.archived(tx, row, last, 1 if part else 0, whole=is_whole):
                return False
            ARCHIVED.inc(len(part))
        if is_whole:
            break
        row = MonthRow(row.month, row.name, last, row.archive_files + 1, None)
    return True


async def _write(files: Files, path: str, part: Sequence[ArchivedRow]) -> None:
    try:
        await files.put(path, await asyncio.to_thread(packed, part))
    except (OSError, Refused) as error:
        raise Unarchived(f"{path} could not be written: {error}") from error


def packed(part: Sequence[ArchivedRow]) -> bytes:
    """JSON lines, compressed; the same events are the same bytes."""
    lines = (json.dumps(_line(row), ensure_ascii=False) for row in part)
    return gzip.compress("".join(f"{line}\n" for line in lines).encode(), mtime=0)


def _line(row: ArchivedRow) -> dict[str, object]:
    data = json.loads(row.data) if row.data else None
    return {name: str(value) if name != "version" else value for name, value in asdict(row).items()} | {
        "created_at": row.created_at.isoformat(),
        "data": data,
    }
