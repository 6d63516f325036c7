"""Months of events: partitions that nobody reaches directly, in which nothing is lost and nothing is found twice."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest

from hum import ids
from hum.clock import now
from hum.v1 import events_pb2
from storage import erasures, event_months, events
from storage.events import NewEvent, ReaderStart
from tests.storage.conftest import Two

TICK = events_pb2.ContactsImportedEvent(created=1)
#: December 2020, as a month since the year 0.
OLD = 2020 * 12 + 11
INSERT = """
    INSERT INTO events (id, public_id, org_id, type, subject_id, data)
    VALUES (hum.month_id($1) + nextval('events_places'), $2, $3, 'contacts.imported', $4, '{"created": 1}')
    RETURNING id
"""


@pytest.fixture
async def root(two: Two) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """The database's administrator."""
    connection = await asyncpg.connect(two.url)
    yield connection
    await connection.close()


async def old_event(root: "asyncpg.Connection[asyncpg.Record]", org: UUID, public: UUID, subject: UUID) -> int:
    await root.fetchval("SELECT hum.make_event_month($1)", OLD)
    id: int = await root.fetchval(INSERT, OLD, public, org, subject)
    return id


async def read(two: Two, reader: str) -> list[UUID]:
    async with two.db.system() as tx:
        return [each.public_id for each in await events.read_behind_horizon(tx, reader, ReaderStart.BEGINNING)]


async def closed(two: Two) -> None:
    async with two.db.system() as tx:
        await event_months.close(tx, timedelta(0))


async def test_an_event_is_in_its_month_and_later_ones_have_higher_ids(
    two: Two, root: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    async with two.db.tenant(two.mine) as tx:
        for _ in range(3):
            await events.append(tx, two.mine, ids.new(), TICK)
    rows = await root.fetch("""
        SELECT tableoid::regclass::text AS part, id, id >> 48 = hum.month_of(now()) AS now, hum.month_table(id >> 48) AS named
          FROM events ORDER BY ctid""")
    assert len(rows) == 3 and all(row["now"] and row["part"] == row["named"] for row in rows)
    assert sorted(row["id"] for row in rows) == [row["id"] for row in rows]


async def test_nobody_reaches_a_partition_but_through_the_events(
    two: Two, root: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    parts = await root.fetch(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'events'::regclass"
    )
    assert "events_unplaced" in {row["name"] for row in parts} and len(parts) >= 4
    for (name,) in parts:
        for open in (two.db.tenant(two.mine), two.db.system()):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with open as tx:
                    await tx.fetch(f"SELECT FROM {name}")
        await root.execute(f"ALTER TABLE events DETACH PARTITION {name}")
        await root.execute(f"GRANT SELECT ON {name} TO hum_app")
        async with two.db.tenant(two.mine) as tx:
            assert await tx.fetch(f"SELECT FROM {name}") == [], "even so: a table without a policy has no rows"


async def test_the_system_makes_and_drops_months_and_the_application_does_not(two: Two) -> None:
    for call in ("hum.make_event_months(1)", "hum.make_event_month(1)", "hum.drop_event_month(0)"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with two.db.tenant(two.mine) as tx:
                await tx.fetchval(f"SELECT {call}")
    with pytest.raises(asyncpg.RaiseError):
        async with two.db.system() as tx:
            await event_months.drop(tx, OLD, 1)


async def test_an_event_without_a_month_is_there_and_gets_one(
    two: Two, root: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    public = ids.new()
    await root.fetchval(INSERT, OLD, public, two.mine, ids.new())
    assert await root.fetchval("SELECT count(*) FROM events_unplaced") == 1
    assert await read(two, "before") == [public]
    async with two.db.system() as tx:
        assert await event_months.create(tx, 2, 5) == 1
    async with two.db.system() as tx:
        assert await event_months.create(tx, 2, 5) == 0
    assert (
        await root.fetchval("SELECT tableoid::regclass::text FROM events WHERE public_id = $1", public)
        == "events_2020_12"
    )
    assert await read(two, "afterwards") == [public] and await read(two, "before") == []


async def test_readers_find_each_event_once_also_when_its_month_is_closed(
    two: Two, root: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    first, second, third = ids.new(), ids.new(), ids.new()
    await old_event(root, two.mine, first, ids.new())
    assert await read(two, "quick") == [first]
    await old_event(root, two.mine, second, ids.new())
    await closed(two)
    async with two.db.tenant(two.mine) as tx:
        await events.append(tx, two.mine, ids.new(), TICK, id=third)
    assert await read(two, "quick") == [second, third], "it had not read all of the month when that was closed"
    assert await read(two, "new") == [first, second, third]
    async with two.db.system() as tx:
        xid, _ = await events.lock_position(tx, "quick", ReaderStart.NOW) or ("", 0)
        assert await tx.fetchval("SELECT hum.unread_id($1::text::xid8) = hum.month_id($2)", xid, OLD + 1)
        assert await tx.fetchval("SELECT hum.unread_id('1')") == 0
    async with two.db.tenant(two.mine) as tx:
        place = await events.position_of(tx, first)
        assert place is not None
        everything = await events.page(tx, place, ["*"], 10)
        assert [each.public_id for each in everything] == [second, third]
        assert [each.public_id for each in await events.page(tx, events.END, ["*"], 2, newest_first=True)] == [
            third,
            second,
        ]
        (newest,) = await events.page(tx, events.END, ["*"], 1, newest_first=True)
        assert newest.public_id == third, "from the months that are not closed alone"
        assert await tx.fetchval("SHOW plan_cache_mode") == "auto", "what follows is planned as ever"


async def test_an_event_is_found_by_its_public_id_whatever_time_that_says(
    two: Two, root: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    for public in (ids.new(), UUID(int=0), UUID(int=(1 << 128) - 1)):
        id = await old_event(root, two.mine, public, ids.new())
        async with two.db.tenant(two.mine) as tx:
            found = await events.position_of(tx, public)
            assert found is not None and found[1] == id
        async with two.db.tenant(two.yours) as tx:
            assert await events.position_of(tx, public) is None


async def test_an_event_with_a_repeated_id_is_stored_once(two: Two) -> None:
    public, subject = ids.new(), ids.new()
    for _ in range(2):
        async with two.db.tenant(two.mine) as tx:
            await events.append(tx, two.mine, ids.new(), TICK, id=public)
            await events.append_all(
                tx, [NewEvent(two.mine, subject, TICK, id=public), NewEvent(two.mine, subject, TICK)]
            )
    async with two.db.tenant(two.mine) as tx:
        assert await tx.fetchval("SELECT count(*) FROM events WHERE public_id = $1", public) == 1
        assert await tx.fetchval("SELECT count(*) FROM events") == 3
    async with two.db.system() as tx:
        assert await events.prune_ids(tx, timedelta(days=1), 10) == 0
        assert await events.prune_ids(tx, timedelta(0), 10) == 1


async def test_erasure_reaches_every_month(two: Two, root: "asyncpg.Connection[asyncpg.Record]") -> None:
    subject = ids.new()
    await old_event(root, two.mine, ids.new(), subject)
    await old_event(root, two.yours, ids.new(), subject)
    async with two.db.tenant(two.mine) as tx:
        await events.append(tx, two.mine, subject, TICK)
        assert await erasures.empty_events(tx, [subject]) == 2
    left = await root.fetch("SELECT org_id FROM events WHERE data IS NOT NULL")
    assert [row["org_id"] for row in left] == [two.yours]
    async with two.db.tenant(two.yours) as tx:
        assert await erasures.empty_old_events(tx, now() + timedelta(days=1), 10) == 1


async def test_a_month_is_dropped_when_nobody_needs_it(two: Two, root: "asyncpg.Connection[asyncpg.Record]") -> None:
    gone, kept = ids.new(), ids.new()
    id = await old_event(root, two.mine, gone, ids.new())
    async with two.db.tenant(two.mine) as tx:
        await events.append(tx, two.mine, ids.new(), TICK, id=kept)
    await root.execute("INSERT INTO event_cursors (reader, xid, id) VALUES ('slow', '0', 0)")
    await root.execute("INSERT INTO events_set_aside (reader, event_id, reason) VALUES ('slow', $1, 'r')", id)
    async with two.db.system() as tx:
        assert await event_months.oldest(tx, 1) is None, "it is not closed"
    await closed(two)
    async with two.db.system() as tx:
        row = await event_months.oldest(tx, 1)
        assert row is not None and (row.month, row.name) == (OLD, "2020-12")
        assert await event_months.overdue_seconds(tx, 1) > 86_400
        assert "the reader slow" in await event_months.needed_by(tx, OLD)
        assert await event_months.oldest(tx, 1200) is None
    for (reader,) in await root.fetch("SELECT reader FROM event_cursors"):
        await read(two, reader)
    webhook = ids.new()
    await root.execute(
        """INSERT INTO webhooks (id, org_id, url, events, number_ids, flow_ids, ordered, format, sealed_secret)
           VALUES ($1, $2, 'u', '{}', '{}', '{}', false, 'event', '')""",
        webhook,
        two.mine,
    )
    await root.execute(
        """INSERT INTO webhook_deliveries (id, org_id, webhook_id, event_id, event_type, state, retries)
           VALUES ($1, $2, $1, $3, 't', 'delivered', 0)""",
        webhook,
        two.mine,
        id,
    )
    async with two.db.system() as tx:
        assert await event_months.needed_by(tx, OLD) == ["deliveries of webhooks"]
        assert not await event_months.drop(tx, OLD, 1)
    await root.execute("DELETE FROM webhook_deliveries")
    async with two.db.system() as tx:
        assert await event_months.needed_by(tx, OLD) == []
        assert await event_months.drop(tx, OLD, 1)
    async with two.db.tenant(two.mine) as tx:
        assert await events.position_of(tx, gone) is None and await events.position_of(tx, kept) is not None
    assert await root.fetchval("SELECT count(*) FROM events_set_aside") == 0
    assert await root.fetchval("SELECT to_regclass('events_2020_12')") is None
    assert await read(two, "new") == [kept]


async def test_a_month_that_somebody_uses_is_not_waited_for(
    two: Two, root: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await old_event(root, two.mine, ids.new(), ids.new())
    await closed(two)
    async with two.db.tenant(two.mine) as using:
        await using.fetchval("SELECT count(*) FROM events")
        with pytest.raises(asyncpg.LockNotAvailableError):
            async with two.db.system() as tx:
                await event_months.drop(tx, OLD, 0.05)
    async with two.db.system() as tx:
        assert await event_months.drop(tx, OLD, 5)
