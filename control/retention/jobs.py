"""The job that continues a deletion, and the sweep that starts due deletions."""

import asyncio
from uuid import UUID

from prometheus_client import Gauge

from control import jobs
from control.retention import deletionlimits, files, usecases
from hum import ids
from hum.clock import monotonic_ms, now
from hum.objects.files import Files
from hum.settings import ControlSettings
from storage import dropped_recordings, erasures
from storage import jobs as queue
from storage.db import Db

OVERDUE = Gauge("hum_retention_overdue_seconds", "How long the oldest call or event has outlived its retention")
FILES_WAIT = Gauge("hum_deleted_files_waiting_seconds", "Age of the oldest owed deletion of files")


async def erase(db: Db, store: Files, settings: ControlSettings, org: UUID, id: UUID) -> None:
    """Continue a deletion, a batch per transaction; after `STEPS` batches, enqueue it behind other organizations' jobs.

    It pauses after each batch (`erase_rest`), so that calls find the database free.
    """
    for _ in range(deletionlimits.STEPS):
        began_ms = monotonic_ms()
        async with db.tenant(org) as tx:
            row = await erasures.lock_open(tx, id)
            is_done = row is None or await usecases.delete_batch(tx, row, now())
        await files.delete_files_of_calls(db, store, deletionlimits.FILES)
        if is_done:
            return
        await asyncio.sleep((monotonic_ms() - began_ms) / 1000 * settings.erase_rest)
    async with db.tenant(org) as tx:
        await jobs.enqueue(tx, deletionlimits.ERASE, org, id)


async def begin_due_retention(db: Db) -> None:
    """Begin the due deletions, and enqueue jobs for open deletions without one, also after a job was quarantined."""
    async with db.system() as tx:
        overdue = await erasures.overdue(tx)
        OVERDUE.set(max((seconds for _, seconds in overdue), default=0))
        for org, _ in overdue:
            await erasures.begin_retention(tx, ids.new(), org)
        await erasures.prune(tx, deletionlimits.KEEP_ERASED)
        open_erasures = await erasures.unfinished(tx)
    for org, id in open_erasures:
        async with db.system() as tx:
            if not await queue.active(tx, deletionlimits.ERASE.name, org) and not await queue.is_parked(
                tx, deletionlimits.ERASE.name, org
            ):
                await jobs.enqueue(tx, deletionlimits.ERASE, org, id)


async def delete_files(db: Db, store: Files) -> int:
    """Do all owed deletions of files, and delete the remaining files of deleted organizations; return how many."""
    swept = await files.delete_owed_files(db, store, deletionlimits.FILES)
    swept += await files.delete_files_of_organizations(db, store, deletionlimits.FILES)
    async with db.system() as tx:
        FILES_WAIT.set(max(await erasures.files_wait_seconds(tx), await dropped_recordings.wait_seconds(tx)))
    return swept
