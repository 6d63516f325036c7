"""The inbox's search finds what a look at every conversation finds, whatever happens meanwhile and in whatever generation."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from uuid import UUID

import asyncpg
import pytest

from hum import ids
from hum.clock import now
from storage import contacts, conversations, inbox, messages, numbers, text_erasures
from storage.db import Tx
from storage.inbox import InboxFilter
from storage.numbers import NumberRow
from tests.storage.conftest import Two

NUMBER = "+12125550100"
WORDS = ("ant", "ante", "anteater", "bee", "beetle", "cat", "Café", "dog")
NAMES = ("Ann", "Ante", "Bea", "Catherine")


def plain(text: str) -> list[str]:
    return text.lower().replace("é", "e").split()


@dataclass
class Thread:
    """What a conversation holds."""

    id: UUID
    contact_id: UUID
    contact_e164: str
    name: str
    active_at: datetime
    unread: bool = False
    bodies: dict[UUID, str] = field(default_factory=dict)

    def texts(self) -> Iterator[list[str]]:
        yield [self.contact_e164[place:] for place in range(1, len(self.contact_e164) - 2)] + plain(self.name)
        yield from map(plain, self.bodies.values())

    def holds(self, wanted: list[str]) -> bool:
        return any(all(any(word.startswith(each) for word in text) for each in wanted) for text in self.texts())


class Inbox:
    """An organization's conversations, in the database and here."""

    def __init__(self, two: Two, seed: int, *, others: bool = False) -> None:
        self._two, self._random, self._number = two, Random(seed), ids.new()
        self._org, self._e164 = (two.yours, "+12125550101") if others else (two.mine, NUMBER)
        self._at = now() + timedelta(days=1)  # as time passes, conversations become active later than they were made
        self.threads: list[Thread] = []
        #: How searches were answered; the plain way is none of these.
        self.ways = set[str]()

    async def set_up(self) -> None:
        row = NumberRow(self._number, self._e164, "PN1", None, None, None, True, ["sms"], "active", now(), None)
        async with self._two.db.tenant(self._org) as tx:
            await numbers.create(tx, row)

    async def change(self) -> None:
        """Let something happen."""
        self._at += timedelta(minutes=self._random.randrange(1, 4))
        kind = self._random.choices(
            (self.begin, self.receive, self.rename, self.erase, self.end, self.open_generation), (3, 12, 2, 2, 1, 2)
        )[0]
        async with self._two.db.tenant(self._org) as tx:
            if self.threads or kind == self.begin:
                await kind(tx)

    async def begin(self, tx: Tx) -> None:
        contact_e164, name = f"+1317555{self._random.randrange(10_000):04}", self._random.choice(NAMES)
        met = await contacts.find_or_create(tx, ids.new(), self._org, contact_e164, None)
        row, created = await conversations.find_or_create(
            tx, ids.new(), self._org, self._number, self._e164, contact_e164, met.id
        )
        if created:
            await tx.execute("UPDATE conversations SET active_at = $2 WHERE id = $1", row.id, self._at)
            self.threads.append(Thread(row.id, met.id, contact_e164, "", self._at))
            await self._name(tx, self.threads[-1], name)

    async def receive(self, tx: Tx) -> None:
        """A text comes in, now and then one that is late."""
        thread, id = self._random.choice(self.threads), ids.new()
        body = " ".join([*self._random.choices(WORDS, k=self._random.randrange(1, 4)), *self._rare()])
        at = self._at - timedelta(minutes=self._random.choice((0, 0, 0, 45)))
        await conversations.lock(tx, thread.id)
        await messages.receive(
            tx, id, self._org, thread.id, self._e164, thread.contact_e164, body, 1, f"SM{id.hex}", []
        )
        if self._random.random() < 0.9:  # one that is scheduled does not move its conversation
            await conversations.touch(tx, thread.id, at, body, "inbound", opens=True)
            thread.active_at, thread.unread = max(thread.active_at, at), True
        thread.bodies[id] = body

    def _rare(self) -> list[str]:
        """Now and then a word that few texts have."""
        return [f"rare{self._random.randrange(20)}"] if self._random.random() < 0.2 else []

    async def rename(self, tx: Tx) -> None:
        await self._name(tx, self._random.choice(self.threads), self._random.choice(NAMES))

    async def _name(self, tx: Tx, thread: Thread, name: str) -> None:
        given = f'{{"name": "{name}"}}'
        await tx.execute("UPDATE contacts SET said_by_user = $2 WHERE id = $1", thread.contact_id, given)
        thread.name = name

    async def erase(self, tx: Tx) -> None:
        thread = self._random.choice(self.threads)
        found = await text_erasures.lock_of_contact(tx, thread.contact_e164, now(), 100)
        gone = [each for each in found if self._random.random() < 0.5]
        await text_erasures.erase(tx, gone, now())
        for each in gone:
            del thread.bodies[each.id]

    async def end(self, tx: Tx) -> None:
        thread = self.threads.pop(self._random.randrange(len(self.threads)))
        await tx.execute("DELETE FROM conversations WHERE id = $1", thread.id)

    async def open_generation(self, tx: Tx) -> None:
        await tx.execute("INSERT INTO text_generations (org_id, opened_at) VALUES ($1, $2)", self._org, self._at)

    async def check(self) -> None:
        """Ask for pages of something, and look for it everywhere."""
        words = self._random.choices(
            (*plain(" ".join(WORDS)), "be", "ann", "c", "cath", "317555", "5550", "zebra"),
            k=self._random.choice((1, 1, 2)),
        )
        words = self._rare() or words
        limit, unread = self._random.randrange(1, 6), self._random.choice((None, None, True))
        expected = [each.id for each in self._latest() if each.holds(words) and (not unread or each.unread)]
        found, before = list[UUID](), None
        async with self._two.db.tenant(self._org) as tx:
            while True:
                page = await inbox.search(tx, " ".join(words), None, InboxFilter(unread=unread), before, limit)
                self.ways |= {await tx.fetchval("SELECT current_setting('test.way', true)")} - {None, ""}
                await tx.execute("SELECT set_config('test.way', '', true)")
                found += [each.id for each in page]
                if len(page) < limit:
                    break
                before = page[-1].active_at, page[-1].id
        assert found == expected, words

    def _latest(self) -> list[Thread]:
        return sorted(self.threads, key=lambda each: (each.active_at, each.id), reverse=True)


async def _without_chance(url: str) -> None:
    """Open no generation but the test's own: by chance it would begin at the time of the clock, which is earlier."""
    connection = await asyncpg.connect(url)
    await connection.execute("ALTER TABLE messages DISABLE TRIGGER messages_open_generation")
    await connection.close()


async def _by_generations(url: str, rare: int) -> None:
    """Let every search begin with the generations, which otherwise only words of many do, read a word whole if it seems to have up to
    `rare` rows, and say which way the page was found.
    """
    connection = await asyncpg.connect(url)
    for function, old, new in (
        ("search_conversations", "very_few CONSTANT integer := 400", "very_few CONSTANT integer := -1"),
        ("search_conversations", "short CONSTANT integer := 6", "short CONSTANT integer := 0"),
        ("search_generations", "rare CONSTANT integer := 400", f"rare CONSTANT integer := {rare}"),
        (
            "search_generations",
            "rare_everywhere CONSTANT integer := 50000",
            f"rare_everywhere CONSTANT integer := {rare * 100}",
        ),
        ("search_generations", "RETURN found.ids", "PERFORM set_config('test.way', 'whole', true); RETURN found.ids"),
        ("search_generations", "RETURN ARRAY(", "PERFORM set_config('test.way', 'generations', true); RETURN ARRAY("),
    ):
        source = await connection.fetchval(f"SELECT pg_get_functiondef('hum.{function}'::regproc)")
        assert source.count(old) == 1, old
        await connection.execute(source.replace(old, new))
    await connection.close()


#: How many rows a rare word has, and the ways in which pages are found; None: as it is, where so few rows are read whole at once.
WAYS: tuple[tuple[int | None, set[str]], ...] = (
    (None, set()),
    (-1, {"generations"}),
    (2, {"generations", "whole"}),
    (400, {"generations", "whole"}),
)


@pytest.mark.strain
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("rare", "ways"), WAYS)
async def test_searches_find_what_is_there(two: Two, seed: int, rare: int | None, ways: set[str]) -> None:
    await _without_chance(two.url)
    if rare is not None:
        await _by_generations(two.url, rare)
    office, others = Inbox(two, seed), Inbox(two, seed + 100, others=True)
    for each in (office, others):
        await each.set_up()
    for _ in range(60):
        for _ in range(4):
            await office.change()
        await others.change()
        await office.check()
    await others.check()
    assert office.ways == ways


# --- words and generations ------------------------------------------------------------------------------------------


async def _thread(office: Inbox, tx: Tx) -> Thread:
    while not office.threads:
        await office.begin(tx)
    return office.threads[0]


async def test_what_is_erased_is_in_no_index(two: Two) -> None:
    office = Inbox(two, 1)
    await office.set_up()
    async with two.db.tenant(two.mine) as tx:
        thread = await _thread(office, tx)
        for body in ("secret", "harmless"):
            id = ids.new()
            await messages.receive(tx, id, two.mine, thread.id, NUMBER, thread.contact_e164, body, 1, f"SM{id.hex}", [])
        await office.open_generation(tx)
        await conversations.touch(tx, thread.id, now() + timedelta(days=2), "", "inbound")
    recent = "SELECT string_agg(recent::text, ' ') FROM text_search"
    async with two.db.system() as tx:
        assert "'1:secret'" in await tx.fetchval(recent) and "'1:harmless'" in await tx.fetchval(recent)
        # as the system, which has no organization
        await tx.execute("DELETE FROM messages WHERE body = 'secret'")
        assert "secret" not in await tx.fetchval(recent) and "'1:harmless'" in await tx.fetchval(recent)
        await tx.execute("DELETE FROM conversations")
        assert await tx.fetchval("SELECT count(*) FROM text_search") == 0


@pytest.mark.parametrize("renamed_first", [True, False])
async def test_a_name_that_changes_while_its_conversation_moves_is_found(two: Two, renamed_first: bool) -> None:
    office = Inbox(two, 1)
    await office.set_up()
    async with two.db.tenant(two.mine) as tx:
        thread = await _thread(office, tx)
        await office.open_generation(tx)

    async def rename(tx: Tx) -> None:
        await office._name(tx, thread, "Dorothea")

    async def move(tx: Tx) -> None:
        await conversations.touch(tx, thread.id, now() + timedelta(days=2), "", "inbound")

    async def second(change: Callable[[Tx], Awaitable[None]]) -> None:
        async with two.db.tenant(two.mine) as tx:
            await change(tx)

    one, other = (rename, move) if renamed_first else (move, rename)
    async with two.db.tenant(two.mine) as tx:
        await one(tx)
        waits = asyncio.create_task(second(other))
        async with two.db.system() as look:
            while not await look.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                await asyncio.sleep(0.01)
    await waits
    async with two.db.system() as tx:
        row = await tx.fetchrow(
            "SELECT words, recent FROM text_search s JOIN text_generations g ON s.generation = g.number"
        )
        assert row is not None and "'dorothea'" in row["words"] and ":dorothea'" in row["recent"]


@pytest.mark.strain
async def test_a_generation_begins_by_chance_and_is_the_organizations(two: Two) -> None:
    office = Inbox(two, 1)
    await office.set_up()
    async with two.db.system() as tx:
        count = 0
        while (id := ids.new()) is not None and await tx.fetchval("SELECT uuid_hash($1) & 8191 <> 0", id):
            count += 1
    async with two.db.tenant(two.mine) as tx:
        thread = await _thread(office, tx)
        for each in (ids.new(), id):
            await messages.receive(
                tx, each, two.mine, thread.id, NUMBER, thread.contact_e164, "", 1, f"SM{each.hex}", []
            )
        assert await tx.fetchval("SELECT count(*) FROM text_generations") == 0, "it begins when it can be seen"
    async with two.db.system() as tx:
        assert [each["org_id"] for each in await tx.fetch("SELECT org_id FROM text_generations")] == [two.mine]


async def test_a_thread_of_too_many_words_is_looked_into(two: Two) -> None:
    office = Inbox(two, 1)
    await office.set_up()
    await _by_generations(two.url, rare=-1)
    async with two.db.tenant(two.mine) as tx:
        thread = await _thread(office, tx)
        for number in range(4):
            id = ids.new()
            body = " ".join(f"{number}x{each}" for each in range(1000))
            await messages.receive(tx, id, two.mine, thread.id, NUMBER, thread.contact_e164, body, 1, f"SM{id.hex}", [])
        await office.open_generation(tx)
        await conversations.touch(tx, thread.id, now() + timedelta(days=2), "", "inbound")
        assert await tx.fetchval("SELECT generation FROM conversations") == 1
    async with two.db.tenant(two.mine) as tx:
        assert len(await inbox_search(tx, "3x999")) == 1
        assert await tx.fetchval("SELECT current_setting('test.way', true)") == "generations"
        assert await inbox_search(tx, "4x999") == []
    async with two.db.system() as tx:
        assert await tx.fetchval("SELECT recent::text FROM text_search WHERE message_id IS NULL") == "'1!'"


async def inbox_search(tx: Tx, words: str) -> list[inbox.ThreadRow]:
    return await inbox.search(tx, words, None, InboxFilter(), None, 1)
