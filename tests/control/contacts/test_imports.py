"""Imports on a real queue: done once whatever dies, beside the calls, and no longer than they move."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest

from control.app import build_worker
from control.contacts import csvfiles, imports
from hum import ids
from hum.contract.principal import Principal
from hum.settings import ControlSettings
from hum.v1 import contacts_pb2
from storage import contact_imports, contacts, identity
from storage.contact_imports import ImportRow
from storage.db import Db
from tests.control.conftest import FakeCarrier, fake_clients
from tests.support.waits import patience

ROWS = 800
FILE = csvfiles.write([("phone", "name"), *((f"+131755{n:05d}" if n % 20 else "12", f"N {n}") for n in range(ROWS))])
WANTED = (ROWS, ROWS * 19 // 20, ROWS // 20)


@dataclass
class Office:
    db: Db
    settings: ControlSettings
    url: str
    org: UUID

    async def send(self, file: bytes = FILE, *, dry_run: bool = False) -> UUID:
        principal = Principal(self.org, "admin", (), ids.new(), None, None, "test", site_admin=False)
        request = contacts_pb2.ImportContactsRequest(csv=file.decode(), dry_run=dry_run)
        async with self.db.tenant(self.org) as tx:
            return (await imports.begin(tx, principal, request, self.settings)).id

    async def row(self, id: UUID) -> ImportRow:
        async with self.db.tenant(self.org) as tx:
            return await contact_imports.get(tx, id)

    async def ended(self, id: UUID) -> ImportRow:
        async with patience():
            while (row := await self.row(id)).ended_at is None:
                await asyncio.sleep(0.05)
        return row

    async def count(self, table: str) -> int:
        async with self.db.system() as tx:
            found: int = await tx.fetchval(f"SELECT count(*) FROM {table}")
        return found

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        stop = asyncio.Event()
        async with build_worker(self.settings, self.url, fake_clients(FakeCarrier())) as worker:
            task = asyncio.create_task(worker.run(stop))
            try:
                yield
            finally:
                stop.set()
                await task


@pytest.fixture
async def office(database_url: str, tmp_path: Path) -> AsyncIterator[Office]:
    settings = ControlSettings(
        home=tmp_path, worker_idle_seconds=0.05, sweep_seconds=0.2, import_stuck_seconds=3600, import_rest=0
    )
    db, org = await Db.open(database_url), ids.new()
    async with db.system() as tx:
        await identity.create_organization(tx, org, "Clinic")
    yield Office(db, settings, database_url, org)
    await db.close()


async def test_a_worker_does_what_was_sent(office: Office) -> None:
    id = await office.send()
    async with office.working():
        row = await office.ended(id)
    assert (row.status, row.rows_read, row.created, row.bad_rows) == ("completed", *WANTED)
    assert await office.count("contacts") == row.created
    assert (
        await office.count("contact_import_rows") == await office.count("contact_imports WHERE file IS NOT NULL") == 0
    )
    assert await office.count("events WHERE type = 'contacts.imported'") == 1


async def test_of_many_bad_rows_so_many_are_told(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over all batches together; the others are counted."""
    monkeypatch.setattr(imports, "MOST_ERRORS", 7)
    monkeypatch.setattr(imports, "ROWS", 100)
    id = await office.send()
    async with office.working():
        row = await office.ended(id)
    assert (row.bad_rows, len(row.errors)) == (WANTED[2], 7)


class Killed(BaseException):
    """The process is gone at this moment; what it had not committed, too."""


@pytest.mark.parametrize("dry_run", [False, True])
async def test_an_import_that_is_killed_anywhere_goes_on(
    office: Office, monkeypatch: pytest.MonkeyPatch, dry_run: bool
) -> None:
    """At each commit there is, once just before it and once just after."""
    id, steps, limit, before = await office.send(dry_run=dry_run), 0, 1, True
    real = office.db.tenant
    monkeypatch.setattr(imports, "ROWS", 150)

    @asynccontextmanager
    async def dying(org: UUID) -> AsyncIterator[object]:
        nonlocal steps
        async with real(org) as tx:
            yield tx
            steps += 1
            if before and steps == limit:
                raise Killed
        if steps == limit:
            raise Killed

    monkeypatch.setattr(office.db, "tenant", dying)
    for attempt in range(2000):
        steps, limit, before = 0, 1 + attempt // 2 % 4, attempt % 2 == 0
        try:
            await imports.import_contacts(office.db, 0, office.org, id)
            break
        except Killed:
            continue
    monkeypatch.undo()
    row = await office.row(id)
    assert (row.status, row.rows_read, row.created, row.bad_rows) == ("completed", *WANTED)
    assert (row.updated, row.unchanged, row.duplicates) == (0, 0, 0)
    assert [each["line"] for each in row.errors] == [n + 2 for n in range(0, ROWS, 20)]
    assert await office.count("contacts") == (0 if dry_run else row.created)
    assert await office.count("events WHERE type = 'contacts.imported'") == (0 if dry_run else 1)


async def test_two_workers_do_it_once(office: Office) -> None:
    id = await office.send()
    await asyncio.gather(*(imports.import_contacts(office.db, 0, office.org, id) for _ in range(3)))
    row = await office.ended(id)
    assert (row.rows_read, row.created, row.bad_rows) == WANTED
    assert await office.count("contacts") == row.created


async def test_rows_of_one_number_are_one_contact_however_far_apart(office: Office) -> None:
    first, last = b"+13175551234,Ann,vip\n", b"+13175551234,Ann B.,\n"
    between = b"".join(b"+1317666%04d,N,\n" % n for n in range(1200))
    row_id = await office.send(b"phone,name,tags\n" + first + between + last)
    await imports.import_contacts(office.db, 0, office.org, row_id)
    row = await office.row(row_id)
    assert (row.rows_read, row.created, row.duplicates, row.updated) == (1202, 1201, 1, 0)
    async with office.db.tenant(office.org) as tx:
        (ann,) = await contacts.search(tx, "ann", None, None, None, 5)
    assert (ann.name, ann.tags) == ("Ann B.", ["vip"])
    reason = "has the number of line 2; where both say something, this line counts"
    assert row.errors == [{"line": 1203, "column": "phone", "reason": reason}]


async def test_an_import_that_moves_no_more_has_failed(office: Office) -> None:
    id, waiting = await office.send(), await office.send()
    async with office.db.system() as tx:
        await tx.execute(
            "UPDATE contact_imports SET status = 'running', moved_at = now() - interval '2 hours' WHERE id = $1", id
        )
    assert await imports.close_stuck_imports(office.db, 3600) == 1
    row = await office.row(id)
    assert (row.status, row.failure is not None, row.ended_at is not None) == ("failed", True, True)
    await imports.import_contacts(office.db, 0, office.org, id)  # a worker that comes to it late
    assert await office.count("contacts") == 0
    assert (await office.row(waiting)).status == "queued"
    async with office.db.system() as tx:
        await tx.execute("UPDATE contact_imports SET ended_at = now() - interval '31 days' WHERE id = $1", id)
    await imports.close_stuck_imports(office.db, 3600)
    assert await office.count("contact_imports") == 1


async def test_an_import_whose_job_fails_at_once_is_closed_too(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would count as one under way for ever, and its organization could soon import nothing any more."""

    def fails(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(imports, "_resume_sheet", fails)
    id = await office.send()
    with pytest.raises(RuntimeError):
        await imports.import_contacts(office.db, 0, office.org, id)
    async with office.db.system() as tx:
        await tx.execute("UPDATE contact_imports SET moved_at = now() - interval '2 hours'")
    assert await imports.close_stuck_imports(office.db, 3600) == 1
    assert (await office.row(id)).status == "failed"
