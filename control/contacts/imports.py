"""Imports: a file is stored when it is sent, and a worker makes contacts of it.

file ──▶ rows in batches, checked ──▶ contact_import_rows, one of each number ──▶ contacts in batches

Each batch is one short transaction with its progress.  Killed anywhere, the import goes on from there; of two workers
that carry on the same one, each batch is one's.
"""

import asyncio
from datetime import timedelta
from uuid import UUID

from control import jobs
from control.base import phone
from control.contacts import rules
from control.contacts.sheets import BadSheet, Batch, Sheet
from control.rows import each_row
from hum import ids
from hum.clock import monotonic_ms
from hum.errors import FieldError, InvalidRequest, RateLimited
from hum.principal import Principal
from hum.settings import ImportSettings
from hum.v1 import contacts_pb2 as pb
from hum.v1 import events_pb2
from storage import contact_imports, contacts, events
from storage.contact_imports import ImportRow, Passed
from storage.contacts import Imported
from storage.db import Db, Tx

#: Rows of a file, and contacts, per transaction: some tens of milliseconds.
ROWS, CONTACTS = 250, 50
#: As many rows' errors are kept.
MOST_ERRORS = 1000
RETRY_SECONDS = "60"


async def begin(tx: Tx, who: Principal, request: pb.ImportContactsRequest, settings: ImportSettings) -> ImportRow:
    """Store a file, and owe its import.  Raises InvalidRequest for a text that is no list of contacts, RateLimited."""
    file = request.csv.encode()
    if len(file) > settings.import_bytes:
        raise InvalidRequest([FieldError("csv", f"is larger than {settings.import_bytes} bytes; import it in parts")])
    if await contact_imports.count_open(tx) >= settings.max_imports:
        sentence = f"{settings.max_imports} imports of this organization are under way; try again when one has ended."
        raise RateLimited(sentence, retry_after_seconds=RETRY_SECONDS)
    region = (
        request.default_region if request.HasField("default_region") else phone.region(await contacts.own_number(tx))
    )
    try:
        ignored = Sheet(file, region).ignored
    except BadSheet as error:
        raise InvalidRequest([FieldError("csv", str(error))]) from error
    row = await contact_imports.create(tx, ids.new(), who.name, file, region, ignored, dry_run=request.dry_run)
    await jobs.enqueue(tx, rules.IMPORT_CONTACTS, who.org_id, row.id)
    return row


async def import_contacts(db: Db, rest: float, org: UUID, id: UUID) -> None:
    """Carry an import on to its end.  One that has ended, or that another worker is carrying on, is left alone.

    After each batch it rests `rest` times as long as the batch took, so that calls find the database and the CPU free.
    """
    pause = _Pause(rest)
    if await _read_file(db, pause, org, id):
        while await _take_batch(db, org, id):
            await pause()


class _Pause:
    """Called after each batch, sleeps in proportion to the time since the last one."""

    def __init__(self, rest: float) -> None:
        self._rest, self._since_ms = rest, monotonic_ms()

    async def __call__(self) -> None:
        await asyncio.sleep((monotonic_ms() - self._since_ms) / 1000 * self._rest)
        self._since_ms = monotonic_ms()


async def _read_file(db: Db, pause: _Pause, org: UUID, id: UUID) -> bool:
    """Read what is left of the file; False when somebody else does."""
    async with db.tenant(org) as tx:
        row = await contact_imports.begin(tx, id)
        file = await contact_imports.file(tx, id) if row else None
    if row is None:
        return False
    if file is None:
        return True
    # Parsing takes a thread, so that the jobs beside this one go on.
    sheet, passed = await asyncio.to_thread(_opened, file, row)
    while (batch := await asyncio.to_thread(sheet.batch, ROWS)).passed:
        async with db.tenant(org) as tx:
            row = await contact_imports.lock_open(tx, id)
            if row is None or row.passed != passed:
                return False
            await _keep(tx, row, batch)
        passed += batch.passed
        await pause()
    async with db.tenant(org) as tx:
        await contact_imports.drop_file(tx, id)
    return True


def _opened(file: bytes, row: ImportRow) -> tuple[Sheet, int]:
    sheet = Sheet(file, row.region)
    sheet.skip(row.passed)
    return sheet, row.passed


async def _keep(tx: Tx, row: ImportRow, batch: Batch) -> None:
    rows = [Imported(row.id, e.phone_e164, e.fields, e.notes, e.tags) for e in batch.entries.values()]
    known = await contact_imports.stage(tx, row.id, rows)
    errors = [each._asdict() for each in batch.problems[: max(0, MOST_ERRORS - len(row.errors))]]
    counts = Passed(batch.passed, batch.rows, batch.bad_rows, batch.duplicates + known, errors)
    await contact_imports.move(tx, row.id, counts)


async def _take_batch(db: Db, org: UUID, id: UUID) -> bool:
    """Make the next contacts, or change them; False at the end."""
    async with db.tenant(org) as tx:
        row = await contact_imports.lock_open(tx, id)
        if row is None:
            return False
        rows = await contact_imports.unstage(tx, id, CONTACTS)
        if not rows:
            await _end(tx, org, row)
            return False
        taken = await contacts.take(tx, rows, dry_run=row.dry_run)
        changed = [contact for contact, created in taken.items() if not created]
        created = len(taken) - len(changed)
        await contact_imports.count_taken(tx, id, created, len(changed), len(rows) - len(taken))
        if not row.dry_run:
            await jobs.enqueue_all(tx, rules.INDEX_CONTACT, org, changed)
    return True


async def _end(tx: Tx, org: UUID, row: ImportRow) -> None:
    await contact_imports.end(tx, row.id, "completed")
    if (row.created or row.updated) and not row.dry_run:
        done = events_pb2.ContactsImportedEvent(by=row.made_by, created=row.created, updated=row.updated)
        await events.append(tx, org, org, done)


async def sweep(db: Db, stuck_seconds: float) -> int:
    """Close imports that have not moved for so long: their job failed too often.  Old ones are dropped; return how many
    were closed.
    """

    async def close(id: UUID) -> bool:
        async with db.system() as tx:
            if await contact_imports.lock_open(tx, id) is None:
                return False
            await contact_imports.end(tx, id, "failed", rules.IMPORT_STUCK)
        return True

    async with db.system() as tx:
        await contact_imports.forget(tx, rules.KEEP_IMPORTS)
        stuck = await contact_imports.stuck(tx, timedelta(seconds=stuck_seconds))
    return await each_row("contact_imports", stuck, close)
