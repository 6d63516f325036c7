"""Imports of contacts: a request stores the file, and a worker turns it into contacts.

file ──▶ rows in batches, checked ──▶ contact_import_rows, one of each number ──▶ contacts in batches

Each batch commits with its progress in one short transaction.  An import that is killed resumes after its last batch;
if two workers run the same import, only one of them commits each batch.
"""

import asyncio
from datetime import timedelta
from uuid import UUID

from control import jobs
from control.base import phone
from control.base.wire import word
from control.contacts import carrierlookups, csvfiles
from control.contacts.columns import BadColumns
from control.contacts.csvfiles import COLUMN_CHARS, BadSheet, Sheet, SheetBatch
from control.rows import each_row
from hum import ids
from hum.clock import monotonic_ms
from hum.contract.errors import FieldError, InvalidRequest, RateLimited
from hum.contract.principal import Principal
from hum.settings import ImportSettings
from hum.v1 import contacts_pb2 as pb
from hum.v1 import events_pb2
from storage import contact_imports, contacts, events
from storage.contact_imports import BatchCounts, FailureRow, ImportColumns, ImportRow
from storage.contacts import ImportedContact
from storage.db import Db, Tx

#: Unfinished imports of an organization.
MAX_IMPORTS = 20

#: Rows of a file, and contacts, per transaction: some tens of milliseconds.
ROWS, CONTACTS = 250, 50
#: The errors that are stored of one import.
MOST_ERRORS = 1000
#: The rows that are stored of those that were not imported.
MOST_FAILED_ROWS = 10_000
DATE_ORDER = "ymd"
RETRY_SECONDS = "60"


async def begin(tx: Tx, principal: Principal, request: pb.ImportContactsRequest, settings: ImportSettings) -> ImportRow:
    """Store a file and enqueue its import.  Raises InvalidRequest for an unusable file, RateLimited."""
    file = request.csv.encode()
    if len(file) > settings.import_bytes:
        raise InvalidRequest([FieldError("csv", f"is larger than {settings.import_bytes} bytes; import it in parts")])
    if await contact_imports.count_open(tx) >= MAX_IMPORTS:
        message = f"{MAX_IMPORTS} imports of this organization are in progress; try again when one has ended."
        raise RateLimited(message, retry_after_seconds=RETRY_SECONDS)
    region = (
        request.default_region if request.HasField("default_region") else phone.region(await contacts.own_number(tx))
    )
    order = word(pb.ImportDateOrder, request.date_order) or DATE_ORDER
    try:
        sheet = Sheet(file, region, request.columns, order)
    except BadSheet as error:
        raise InvalidRequest([FieldError("csv", str(error))]) from error
    except BadColumns as error:
        raise InvalidRequest([FieldError("columns", str(error))]) from error
    titles = [title.strip()[:COLUMN_CHARS] for title in sheet.header]
    stored = ImportColumns(titles, sheet.targets, sheet.ignored, order)
    row = await contact_imports.create(tx, ids.new(), principal.name, file, region, stored, dry_run=request.dry_run)
    await jobs.enqueue(tx, carrierlookups.IMPORT_CONTACTS, principal.org_id, row.id)
    return row


async def import_contacts(db: Db, rest: float, org: UUID, id: UUID) -> None:
    """Run an import to its end; do nothing if it has ended or another worker is running it.

    After each batch, sleep `rest` times as long as the batch took, which leaves the database and the CPU to calls.
    """
    pause = _Pause(rest)
    if await _read_file(db, pause, org, id):
        while await _import_batch(db, org, id):
            await pause()


class _Pause:
    """The sleep after each batch, in proportion to the time since the previous one."""

    def __init__(self, rest: float) -> None:
        self._rest, self._since_ms = rest, monotonic_ms()

    async def __call__(self) -> None:
        await asyncio.sleep((monotonic_ms() - self._since_ms) / 1000 * self._rest)
        self._since_ms = monotonic_ms()


async def _read_file(db: Db, pause: _Pause, org: UUID, id: UUID) -> bool:
    """Stage the rest of the file's rows; return False if the import has ended or another worker is reading the file."""
    async with db.tenant(org) as tx:
        row = await contact_imports.begin(tx, id)
        file = await contact_imports.file(tx, id) if row else None
    if row is None:
        return False
    if file is None:
        return True
    # Parse in a thread: the event loop also runs other jobs.
    sheet, position = await asyncio.to_thread(_resume_sheet, file, row)
    while (batch := await asyncio.to_thread(sheet.batch, ROWS)).passed:
        async with db.tenant(org) as tx:
            row = await contact_imports.lock_open(tx, id)
            if row is None or row.passed != position:
                return False
            await _stage_batch(tx, row, batch)
        position += batch.passed
        await pause()
    async with db.tenant(org) as tx:
        await contact_imports.drop_file(tx, id)
    return True


def _resume_sheet(file: bytes, row: ImportRow) -> tuple[Sheet, int]:
    sheet = Sheet(file, row.region, row.columns, row.date_order)
    sheet.skip(row.passed)
    return sheet, row.passed


async def _stage_batch(tx: Tx, row: ImportRow, batch: SheetBatch) -> None:
    entries = batch.entries
    rows = [ImportedContact(e.phone_e164, e.fields, e.notes, e.tags, e.attributes) for e in entries.values()]
    earlier = await contact_imports.stage(tx, row.id, rows, {number: entry.line for number, entry in entries.items()})
    titles = dict(zip(row.columns, row.header, strict=False))
    again = [
        csvfiles.repeated(entries[number].first_line, titles.get("phone_e164"), line)
        for number, line in earlier.items()
        if line is not None
    ]
    problems = sorted((*batch.problems, *again), key=lambda problem: problem.line)
    errors = [problem._asdict() for problem in problems[: max(0, MOST_ERRORS - len(row.errors))]]
    failed = [FailureRow(*failure) for failure in batch.failures[: max(0, MOST_FAILED_ROWS - row.bad_rows)]]
    await contact_imports.add_failures(tx, row.id, failed)
    counts = BatchCounts(batch.passed, batch.rows, batch.bad_rows, batch.duplicates + len(earlier), errors)
    await contact_imports.record_batch(tx, row.id, counts)


async def _import_batch(db: Db, org: UUID, id: UUID) -> bool:
    """Create or update the next contacts; return False at the end."""
    async with db.tenant(org) as tx:
        row = await contact_imports.lock_open(tx, id)
        if row is None:
            return False
        rows = await contact_imports.unstage(tx, id, CONTACTS)
        if not rows:
            await _end(tx, org, row)
            return False
        imported = await contacts.import_contacts(tx, rows, dry_run=row.dry_run)
        updated = [contact for contact, created in imported.items() if not created]
        created = len(imported) - len(updated)
        await contact_imports.add_counts(tx, id, created, len(updated), len(rows) - len(imported))
        if not row.dry_run:
            await jobs.enqueue_all(tx, carrierlookups.INDEX_CONTACT, org, updated)
    return True


async def _end(tx: Tx, org: UUID, row: ImportRow) -> None:
    await contact_imports.end(tx, row.id, "completed")
    if (row.created or row.updated) and not row.dry_run:
        event = events_pb2.ContactsImportedEvent(by=row.made_by, created=row.created, updated=row.updated)
        await events.append(tx, org, org, event)


async def close_stuck_imports(db: Db, stuck_seconds: float) -> int:
    """Close imports without progress for `stuck_seconds`, and prune old ones; return how many were closed."""

    async def close(id: UUID) -> bool:
        async with db.system() as tx:
            if await contact_imports.lock_open(tx, id) is None:
                return False
            await contact_imports.end(tx, id, "failed", carrierlookups.IMPORT_STUCK)
        return True

    async with db.system() as tx:
        await contact_imports.prune(tx, carrierlookups.KEEP_IMPORTS, carrierlookups.KEEP_FAILURES)
        stuck = await contact_imports.stalled(tx, timedelta(seconds=stuck_seconds))
    return await each_row("contact_imports", stuck, close)
