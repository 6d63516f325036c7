"""The outbox: an event that commits late is not lost to a reader with a cursor."""

import asyncio

from hum import ids
from hum.v1 import events_pb2
from storage import events
from storage.events import ReaderStart
from tests.storage.conftest import Two
from tests.support.present import present


def tick(n: int) -> events_pb2.ContactsImportedEvent:
    """Some event with a number in it."""
    return events_pb2.ContactsImportedEvent(created=n)


async def read(two: Two, reader: str = "r") -> list[int]:
    async with two.db.system() as tx:
        return [
            present(event.data)["created"]
            for event in await events.read_behind_horizon(tx, reader, ReaderStart.BEGINNING)
        ]


async def test_a_late_commit_is_read(two: Two) -> None:
    slow_wrote, may_commit = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        async with two.db.tenant(two.mine) as tx:
            await events.append(tx, two.mine, ids.new(), tick(1))
            slow_wrote.set()
            await may_commit.wait()

    writing = asyncio.create_task(slow())
    await slow_wrote.wait()
    async with two.db.tenant(two.yours) as tx:
        await events.append(tx, two.yours, ids.new(), tick(2))
    assert await read(two) == [], "behind an open transaction nothing is certain yet"
    may_commit.set()
    await writing
    assert sorted(await read(two)) == [1, 2]
    assert await read(two) == []
    assert sorted(await read(two, "another reader")) == [1, 2]


async def test_of_two_processes_one_reads(two: Two) -> None:
    async with two.db.tenant(two.mine) as tx:
        for n in range(50):
            await events.append(tx, two.mine, ids.new(), tick(n))
    got = await asyncio.gather(read(two), read(two), read(two))  # a reader that is new, too
    assert sorted(len(each) for each in got) == [0, 0, 50]
    async with two.db.tenant(two.mine) as tx:
        for n in range(100):
            await events.append(tx, two.mine, ids.new(), tick(n))
    halves = await asyncio.gather(read(two), read(two))
    assert sorted(len(each) for each in halves) == [0, 100]


async def test_a_rolled_back_reader_reads_again(two: Two) -> None:
    async with two.db.tenant(two.mine) as tx:
        await events.append(tx, two.mine, ids.new(), tick(7))
    try:
        async with two.db.system() as tx:
            assert len(await events.read_behind_horizon(tx, "r", ReaderStart.BEGINNING)) == 1
            raise RuntimeError("the reader dies")
    except RuntimeError:
        pass
    assert await read(two) == [7]


async def test_the_order_is_that_of_transactions_not_of_their_spelling(two: Two) -> None:
    async with two.db.system() as tx:
        for xid in (99, 100, 9, 10):
            await tx.execute(
                """INSERT INTO events (public_id, xid, org_id, type, subject_id, data)
                   VALUES (gen_random_uuid(), $1::text::xid8, $2, 'e', $2, json_build_object('created', $1::text::integer))""",
                str(xid),
                two.mine,
            )
    seen = []
    for _ in range(4):
        async with two.db.system() as tx:
            seen += [
                present(event.data)["created"]
                for event in await events.read_behind_horizon(tx, "r", ReaderStart.BEGINNING, limit=1)
            ]
    assert seen == [9, 10, 99, 100]


async def test_a_new_reader_starts_where_it_says(two: Two) -> None:
    async with two.db.tenant(two.mine) as tx:
        await events.append(tx, two.mine, ids.new(), tick(1))

    async def from_now() -> list[int]:
        async with two.db.system() as tx:
            return [
                present(event.data)["created"] for event in await events.read_behind_horizon(tx, "now", ReaderStart.NOW)
            ]

    assert await from_now() == []
    async with two.db.tenant(two.mine) as tx:
        await events.append(tx, two.mine, ids.new(), tick(2))
    assert await from_now() == [2]
    assert await read(two) == [1, 2]


async def test_who_finds_a_reader_busy_goes_on(two: Two) -> None:
    async with two.db.tenant(two.mine) as tx:
        await events.append(tx, two.mine, ids.new(), tick(1))
    async with two.db.system() as holding:
        assert len(await events.read_behind_horizon(holding, "r", ReaderStart.BEGINNING)) == 1
        async with two.db.system() as tx:
            await tx.execute("SET LOCAL lock_timeout = '1s'")
            assert await events.read_behind_horizon(tx, "r", ReaderStart.BEGINNING) == []
