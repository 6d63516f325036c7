"""Readers of the outbox: one bad event stops neither the reader nor the worker; a bad reader loses no event."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from random import Random
from uuid import UUID

import pytest

from control import readers
from control.feature import Reader
from hum import ids
from hum.v1 import events_pb2
from storage import event_backlogs, events, identity
from storage.db import Db, Tx
from storage.events import Event, ReaderStart
from tests.support.present import present


@dataclass
class Counting:
    """Adds up what it reads in the reader's own transaction, and fails on some events."""

    bad: frozenset[int]
    calls: list[int] = field(default_factory=list)

    async def handle(self, tx: Tx, found: Sequence[Event]) -> None:
        self.calls.append(len(found))
        for event in found:
            number = present(event.data)["created"]
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
    return Reader("test", ReaderStart.BEGINNING, frozenset({"contacts.imported"}), counting.handle, 1.0)


async def handled(db: Db) -> set[int]:
    async with db.system() as tx:
        rows = await tx.fetch("SELECT reader FROM event_cursors WHERE reader LIKE 'read %'")
    return {int(row["reader"].removeprefix("read ")) for row in rows}


async def aside(db: Db) -> dict[int, str]:
    """The reasons for which events were quarantined, by their numbers."""
    async with db.system() as tx:
        rows = await tx.fetch("SELECT event_id, reason FROM events_set_aside WHERE reader = 'test' ORDER BY event_id")
    return {row["event_id"]: row["reason"] for row in rows}


async def test_a_bad_event_is_put_aside_and_those_behind_it_are_read_once(world: tuple[Db, UUID]) -> None:
    db, org = world
    await append(db, org, 40)
    counting = Counting(frozenset({7, 31}))
    assert await readers.read(db, reader_of(counting)) == 40
    assert await handled(db) == set(range(40)) - {7, 31}
    assert list((await aside(db)).values()) == ["ValueError('event 7 is bad')", "ValueError('event 31 is bad')"]
    assert await readers.read(db, reader_of(counting)) == 0


async def test_a_reader_that_can_read_nothing_loses_nothing(world: tuple[Db, UUID]) -> None:
    db, org = world
    await append(db, org, 60)
    attempts = readers.ReadAttempts()
    for _ in range(2):
        with pytest.raises(readers.BatchError, match="more than 20 events failed"):
            await readers.read(db, reader_of(Counting(frozenset(range(60)))), attempts=attempts)
    assert (await handled(db), await aside(db)) == (set(), {})
    assert await readers.read(db, reader_of(Counting(frozenset())), attempts=attempts) == 60
    assert await handled(db) == set(range(60))


async def test_many_bad_events_hold_a_reader_for_two_attempts(world: tuple[Db, UUID]) -> None:
    db, org = world
    bad = frozenset(range(10, 40))
    await append(db, org, 60)
    attempts = readers.ReadAttempts()
    for _ in range(2):
        with pytest.raises(readers.BatchError):
            await readers.read(db, reader_of(Counting(bad)), attempts=attempts)
    assert await readers.read(db, reader_of(Counting(bad)), attempts=attempts) == 60
    assert await handled(db) == set(range(60)) - bad
    assert len(await aside(db)) == len(bad)
    await append(db, org, 30)
    with pytest.raises(readers.BatchError):  # the next ones are held for two attempts, too
        await readers.read(db, reader_of(Counting(frozenset(range(30)))), attempts=attempts)


@dataclass
class Slow(Counting):
    """Its events meet the time limit of statements, as one whose query scans a table would."""

    slow: frozenset[int] = frozenset()

    async def handle(self, tx: Tx, found: Sequence[Event]) -> None:
        await super().handle(tx, found)
        if any(present(event.data)["created"] in self.slow for event in found):
            await tx.execute("SET LOCAL statement_timeout = '20ms'")
            await tx.execute("SELECT pg_sleep(60)")


async def test_an_event_that_is_always_canceled_holds_its_reader_for_three_attempts(world: tuple[Db, UUID]) -> None:
    db, org = world
    await append(db, org, 40)
    slow, attempts = Slow(frozenset({3}), slow=frozenset({7})), readers.ReadAttempts()
    for _ in range(3):  # once together with others, twice alone
        with pytest.raises(readers.BatchError, match="a statement was canceled"):
            await readers.read(db, reader_of(slow), attempts=attempts)
    assert (await handled(db), await aside(db)) == (set(), {})
    assert await readers.read(db, reader_of(slow), attempts=attempts) == 40
    assert await handled(db) == set(range(40)) - {3, 7}
    reasons = list((await aside(db)).values())
    assert "event 3 is bad" in reasons[0] and "statement timeout" in reasons[1]
    assert await readers.read(db, reader_of(slow), attempts=attempts) == 0


async def test_a_limit_that_is_met_once_sets_nothing_aside(world: tuple[Db, UUID]) -> None:
    db, org = world
    await append(db, org, 40)
    attempts = readers.ReadAttempts()
    with pytest.raises(readers.BatchError):
        await readers.read(db, reader_of(Slow(frozenset(), slow=frozenset({7}))), attempts=attempts)
    assert await readers.read(db, reader_of(Counting(frozenset())), attempts=attempts) == 40
    assert (await handled(db), await aside(db)) == (set(range(40)), {})


async def test_who_reads_external_events_gets_them_by_whatever_name(world: tuple[Db, UUID]) -> None:
    db, org = world
    got: list[str] = []

    async def handle(_: Tx, found: Sequence[Event]) -> None:
        got.extend(event.type for event in found)

    async with db.tenant(org) as tx:
        for name in ("external.order_paid", "external.a.b"):
            await events.append(tx, org, ids.new(), events_pb2.ExternalEvent(), name=name)
        await events.append(tx, org, ids.new(), events_pb2.ContactsImportedEvent())
        for wrong in ("order_paid", "external.*"):
            with pytest.raises(AssertionError):
                await events.append(tx, org, ids.new(), events_pb2.ExternalEvent(), name=wrong)
    assert await readers.read(db, Reader("test", ReaderStart.BEGINNING, frozenset({"external.*"}), handle, 1.0)) == 3
    assert got == ["external.order_paid", "external.a.b"]


# --- shares


@dataclass
class Noting:
    """Which organization's which event each batch had."""

    batches: list[list[tuple[UUID, int]]] = field(default_factory=list)

    async def handle(self, _: Tx, found: Sequence[Event]) -> None:
        self.batches.append([(event.org_id, present(event.data)["created"]) for event in found if event.data])

    def of(self, org: UUID) -> list[int]:
        return [number for batch in self.batches for each, number in batch if each == org]

    def reader(self) -> Reader:
        return Reader("test", ReaderStart.BEGINNING, frozenset({"contacts.imported"}), self.handle, 1.0, shares=True)


@dataclass
class Street:
    """Organizations whose events are read in turns."""

    db: Db
    orgs: list[UUID]
    noted: Noting = field(default_factory=Noting)
    counts: dict[UUID, int] = field(default_factory=dict)

    async def happen(self, org: UUID, count: int = 1) -> None:
        first = self.counts.get(org, 0)
        self.counts[org] = first + count
        new = [
            events.NewEvent(org, ids.new(), events_pb2.ContactsImportedEvent(created=first + n)) for n in range(count)
        ]
        async with self.db.system() as tx:
            await events.append_all(tx, new)

    async def read(self, batch: int = 500) -> int:
        return await readers.read(self.db, self.noted.reader(), batch)

    async def cursors(self) -> set[str]:
        async with self.db.system() as tx:
            return {row["reader"] for row in await tx.fetch("SELECT reader FROM event_cursors WHERE reader ^@ 'test'")}

    async def all_is_read_once_and_in_order(self) -> None:
        while await self.read():
            pass
        for org, count in self.counts.items():
            assert self.noted.of(org) == list(range(count))
        assert await self.cursors() == {"test"}


@pytest.fixture
async def street(database_url: str) -> AsyncIterator[Street]:
    db, orgs = await Db.open(database_url, size=4), [ids.new() for _ in range(4)]
    async with db.system() as tx:
        for org in orgs:
            await identity.create_organization(tx, org, "Clinic")
    yield Street(db, orgs)
    await db.close()


async def test_an_organization_with_many_events_delays_no_other(street: Street) -> None:
    noisy, quiet, third, _ = street.orgs
    await street.happen(noisy, 4_000)
    await street.happen(quiet)
    await street.read()
    assert street.noted.of(quiet) == [] and len(street.noted.of(noisy)) == 2 * readers.SHARE
    await street.read()
    assert street.noted.of(quiet) == [0], "it waits for no backlog"
    await street.happen(noisy, 30)  # behind what is left of the others
    await street.happen(third, 3)
    await street.read()
    assert street.noted.of(third) == [0, 1, 2] and len(street.noted.of(noisy)) < 1_500
    assert await street.cursors() == {"test", f"test {noisy}"}
    async with street.db.system() as tx:
        await tx.execute("UPDATE events SET created_at = created_at - interval '1 hour' WHERE org_id = $1", noisy)
        assert 3600 <= await event_backlogs.lag_seconds(tx, "test") < 3700
    await street.all_is_read_once_and_in_order()
    async with street.db.system() as tx:
        assert await event_backlogs.lag_seconds(tx, "test") == 0


async def test_backlogs_go_on_beside_one_another_and_beside_everybody(street: Street) -> None:
    one, two, quiet, _ = street.orgs
    await street.happen(one, 700)
    await street.happen(two, 700)
    for _ in range(6):
        await street.happen(quiet, 20)
        await street.read()
    assert len(street.noted.of(quiet)) == 120
    assert min(len(street.noted.of(one)), len(street.noted.of(two))) > 250, "neither waits for the other"
    await street.all_is_read_once_and_in_order()


async def test_who_is_alone_or_has_few_events_gets_no_backlog(street: Street) -> None:
    one, two, *_ = street.orgs
    await street.happen(one, 450)
    await street.happen(two, 40)
    await street.read()
    assert await street.cursors() == {"test"} and len(street.noted.batches[0]) == 490


async def test_so_many_backlogs_at_once_and_the_next_is_read_with_everybody(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "MAX_BACKLOGS", 1)
    one, two, quiet, _ = street.orgs
    await street.happen(one, 600)
    await street.read()
    await street.happen(two, 600)
    await street.happen(quiet)
    await street.read()
    assert len(street.noted.of(two)) == 500 and await street.cursors() == {"test", f"test {one}"}
    await street.all_is_read_once_and_in_order()


async def test_what_is_appended_and_read_at_random_is_read_once_and_in_order(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "SHARE", 3)
    monkeypatch.setattr(event_backlogs, "WINDOW", 7)
    random = Random(8)
    for _ in range(60):
        await street.happen(random.choice(street.orgs), random.choice([1, 1, 2, 40]))
        if random.random() < 0.7:
            await street.read(batch=10)
    await street.all_is_read_once_and_in_order()


async def test_a_deleted_organizations_backlog_ends(street: Street) -> None:
    noisy, quiet, *_ = street.orgs
    await street.happen(noisy, 2_000)
    await street.read()
    async with street.db.system() as tx:
        await tx.execute("UPDATE events SET data = NULL WHERE org_id = $1", noisy)
    del street.counts[noisy]
    await street.happen(quiet)
    await street.all_is_read_once_and_in_order()
