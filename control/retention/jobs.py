"""The job that carries a deletion on, and the sweep that owes one to each organization with something to delete."""

import asyncio
from uuid import UUID

from prometheus_client import Gauge

from control import jobs
from control.retention import files, rules, usecases
from hum import ids
from hum.clock import monotonic_ms, now
from hum.objects.files import Files
from hum.settings import ControlSettings
from storage import dropped_recordings, erasures
from storage import jobs as queue
from storage.db import Db

OVERDUE = Gauge("hum_retention_overdue_seconds", "How much longer than it should be the oldest call or event was kept")
FILES_WAIT = Gauge("hum_deleted_files_waiting_seconds", "For how long the files of a deleted call have waited")


async def erase(db: Db, store: Files, settings: ControlSettings, org: UUID, id: UUID) -> None:
    """Carry a deletion on, a batch in each transaction; after some of them, behind the other organizations' jobs.

    After each batch it rests as long as `erase_rest` says, so that calls find the database free.
    """
    for _ in range(rules.STEPS):
        began_ms = monotonic_ms()
        async with db.tenant(org) as tx:
            row = await erasures.lock_open(tx, id)
            is_done = row is None or await usecases.step(tx, row, now())
        await files.sweep(db, store, rules.FILES)
        if is_done:
            return
        await asyncio.sleep((monotonic_ms() - began_ms) / 1000 * settings.erase_rest)
    async with db.tenant(org) as tx:
        await jobs.enqueue(tx, rules.ERASE, org, id)


async def owe(db: Db) -> None:
    """Begin what is due, and enqueue the jobs of deletions that none works on: of those that were held, too."""
    async with db.system() as tx:
        overdue = await erasures.overdue(tx)
        OVERDUE.set(max((seconds for _, seconds in overdue), default=0))
        for org, _ in overdue:
            await erasures.begin_retention(tx, ids.new(), org)
        await erasures.forget(tx, rules.KEEP_ERASED)
        waiting = await erasures.open_ones(tx)
    for org, id in waiting:
        async with db.system() as tx:
            if not await queue.active(tx, rules.ERASE.name, org) and not await queue.is_parked(
                tx, rules.ERASE.name, org
            ):
                await jobs.enqueue(tx, rules.ERASE, org, id)


async def sweep_files(db: Db, store: Files) -> int:
    """Delete the files of deleted calls and messages, those that calls have dropped, and what is left of deleted organizations;
    return of how many.
    """
    swept = await files.sweep_all(db, store, rules.FILES)
    swept += await files.sweep_left(db, store, rules.FILES)
    async with db.system() as tx:
        FILES_WAIT.set(max(await erasures.files_wait_seconds(tx), await dropped_recordings.wait_seconds(tx)))
    return swept
