"""Readers of the outbox: one bad event stops neither the reader nor the worker; a bad reader loses no event."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import pytest

from control import readers
from control.feature import Reader
from hum import ids
from hum.v1 import events_pb2
from storage import events, identity
from storage.db import Db, Tx
from storage.events import Event, Start


@dataclass
class Counting:
    """Adds up what it reads in the reader's own transaction, and fails on some events."""

    bad: frozenset[int]
    calls: list[int] = field(default_factory=list)

    async def handle(self, tx: Tx, found: Sequence[Event]) -> None:
        self.calls.append(len(found))
        for event in found:
            number = event.data["created"]
            await tx.execute("INSERT INTO event_cursors (reader, xid, id) VALUES ($1, '0', 0)", f"read {number}")
            if number in self.bad:
                raise ValueError(f"event {number} is bad")


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[tuple[Db, UUID]]:
    db, org = await Db.open(database_url, size=4), ids.new()
    async with db.system() as tx:
        await identity.create_organization(tx, org, "Clinic")
    yield db, org
    await db.close()


async def append(db: Db, org: UUID, count: int) -> None:
    async with db.tenant(org) as tx:
        for n in range(count):
            await events.append(tx, org, ids.new(), events_pb2.ContactsImportedEvent(created=n))


def reader_of(counting: Counting) -> Reader:
    return Reader("test", Start.BEGINNING, frozenset({"contacts.imported"}), counting.handle, 1.0)


async def handled(db: Db) -> set[int]:
    async with db.system() as tx:
        rows = await tx.fetch("SELECT reader FROM event_cursors WHERE reader LIKE 'read %'")
    return {int(row["reader"].removeprefix("read ")) for row in rows}


async def test_a_bad_event_is_put_aside_and_those_behind_it_are_read_once(world: tuple[Db, UUID]) -> None:
    db, org = world
    await append(db, org, 40)
    counting = Counting(frozenset({7, 31}))
    assert await readers.read(db, reader_of(counting)) == 40
    assert await handled(db) == set(range(40)) - {7, 31}
    async with db.system() as tx:
        aside = await tx.fetch("SELECT reason FROM events_set_aside WHERE reader = 'test' ORDER BY event_id")
    assert [row["reason"] for row in aside] == ["ValueError('event 7 is bad')", "ValueError('event 31 is bad')"]
    assert await readers.read(db, reader_of(counting)) == 0


async def test_a_reader_that_can_read_nothing_loses_nothing(world: tuple[Db, UUID]) -> None:
    db, org = world
    await append(db, org, 60)
    with pytest.raises(ValueError, match="is bad"):
        await readers.read(db, reader_of(Counting(frozenset(range(60)))))
    assert await handled(db) == set()
    async with db.system() as tx:
        assert await tx.fetchval("SELECT count(*) FROM events_set_aside") == 0
    assert await readers.read(db, reader_of(Counting(frozenset()))) == 60
    assert await handled(db) == set(range(60))
