"""The command python -m bench.inbox: the time of the inbox's queries as it grows from ten thousand conversations to a million.

As `bench.growth`: a dedicated PostgreSQL filled with SQL, the platform's own storage functions in a tenant's transaction,
different arguments each time.  One conversation in ten is another tenant's; each has three messages, and each contact is a recipient of
one campaign.  p50 in ms; a query scales well if the largest size takes at most 1.5 times as long as the smallest, for as many rows.
"""

import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import md5
from random import Random
from typing import Any
from uuid import UUID

import asyncpg

from bench import growth
from bench.growth import PAGE, WORDS, Ask
from hum import ids
from storage import inbox, inbox_changes, recipients
from storage.db import Db, Tx
from storage.inbox import Filter

MESSAGES_EACH = 3
#: Conversations per generation: each conversation gets its messages at once.
GENERATION = 8192
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)

#: $1 the measured tenant, $2 another, rows $3 + 1 to $4.
CONTACTS = """
    INSERT INTO contacts (id, org_id, phone_e164, said_by_user)
    SELECT md5('contact' || n)::uuid, CASE WHEN n % 10 = 0 THEN $2::uuid ELSE $1::uuid END, '+1' || 2000000000 + n,
           jsonb_build_object('name', 'Name' || n, 'company', 'Company' || n % 1000)
      FROM generate_series($3::bigint + 1, $4) AS n
"""
CONVERSATIONS = f"""
    INSERT INTO conversations (id, org_id, number_e164, contact_e164, contact_id, status, unread_count, snoozed_until,
                               last_message_at, active_at, created_at, generation)
    SELECT md5('thread' || n)::uuid, CASE WHEN n % 10 = 0 THEN $2::uuid ELSE $1::uuid END, '+13175550100',
           '+1' || 2000000000 + n, md5('contact' || n)::uuid, CASE n % 100 WHEN 1 THEN 'closed' ELSE 'open' END,
           CASE n % 50 WHEN 2 THEN 1 ELSE 0 END, CASE n % 100 WHEN 3 THEN now() + interval '1 day' END, at, at, at,
           CASE WHEN n >= {GENERATION} THEN n / {GENERATION} * 2 + CASE WHEN n % 10 = 0 THEN 1 ELSE 0 END ELSE 0 END
      FROM generate_series($3::bigint + 1, $4) AS n, LATERAL (SELECT '2026-01-01'::timestamptz + n * interval '10 seconds') t (at)
"""
MESSAGES = f"""
    INSERT INTO messages (id, org_id, conversation_id, direction, number_e164, contact_e164, body, status, segments, carrier_sid,
                          created_at)
    SELECT md5('message' || n || ' ' || i)::uuid, c.org_id, c.id, 'inbound', c.number_e164, c.contact_e164,
           'w' || floor(power({WORDS}, random()))::integer || 'word w' || floor(power({WORDS}, random()))::integer
               || CASE WHEN n % 100 = 1 THEN 'word middling' ELSE 'word' END || CASE WHEN n % 1000 = 1 THEN ' uncommon' ELSE '' END,
           'received', 1, 'SM' || md5('message' || n || ' ' || i), c.active_at
      FROM generate_series($1::bigint + 1, $2) AS n JOIN conversations c ON c.id = md5('thread' || n)::uuid,
           generate_series(1, {MESSAGES_EACH}) AS i
"""
CAMPAIGN = "INSERT INTO campaigns (id, org_id, name, body_template) VALUES ($1, $2, 'Everybody', 'Hello') ON CONFLICT DO NOTHING"
#: $1 the measured tenant, $2 its campaign, rows $3 + 1 to $4.
RECIPIENTS = """
    INSERT INTO campaign_recipients (id, org_id, campaign_id, contact_e164, status)
    SELECT gen_random_uuid(), $1, $2, '+1' || 2000000000 + n, CASE n % 100 WHEN 1 THEN 'failed' ELSE 'delivered' END
      FROM generate_series($3::bigint + 1, $4) AS n
"""
GENERATIONS = f"""
    INSERT INTO text_generations (org_id, number, opened_at)
    SELECT org, n * 2 + other, '2026-01-01'::timestamptz + n * {GENERATION} * interval '10 seconds'
      FROM (VALUES ($1::uuid, 0), ($2, 1)) AS each (org, other), generate_series($3::bigint / {GENERATION} + 1, $4 / {GENERATION}) AS n
    ON CONFLICT DO NOTHING
"""
WORDS_OF = """
    INSERT INTO text_search (org_id, conversation_id, generation, words, recent)
    SELECT c.org_id, c.id, c.generation, array_to_tsvector(own.words), hum.recent_words(c.generation, own.words)
      FROM conversations c JOIN contacts k ON k.id = c.contact_id,
           LATERAL (SELECT hum.phone_words(c.contact_e164) || hum.words_of(concat_ws(' ', k.name, k.company)) AS words OFFSET 0) own
     WHERE NOT EXISTS (SELECT FROM text_search s WHERE s.conversation_id = c.id);
    INSERT INTO text_search (org_id, conversation_id, message_id, words, recent)
    SELECT m.org_id, m.conversation_id, m.id, array_to_tsvector(said.words), hum.recent_words(c.generation, said.words)
      FROM messages m JOIN conversations c ON c.id = m.conversation_id,
           LATERAL (SELECT hum.words_of(m.body) AS words OFFSET 0) said
     WHERE NOT EXISTS (SELECT FROM text_search s WHERE s.message_id = m.id)
"""
INDEXES = ("text_search_words", "text_search_recent")


class InboxBench:
    """A database whose inbox grows."""

    def __init__(self, url: str, db: Db, tenant: UUID, other_tenant: UUID) -> None:
        self._url, self._db, self._tenant, self._other_tenant = url, db, tenant, other_tenant
        self._campaign = ids.new()
        self.size = self._smallest = 0

    async def grow(self, size: int) -> None:
        """Fill the tables up to `size` conversations."""
        connection = await asyncpg.connect(self._url)
        # Without triggers: their work is done in bulk.
        await connection.execute("SET session_replication_role = replica")
        await connection.execute(CONTACTS, self._tenant, self._other_tenant, self.size, size)
        await connection.execute(GENERATIONS, self._tenant, self._other_tenant, self.size, size)
        await connection.execute(CONVERSATIONS, self._tenant, self._other_tenant, self.size, size)
        await connection.execute(MESSAGES, self.size, size)
        await connection.execute(CAMPAIGN, self._campaign, self._tenant)
        await connection.execute(RECIPIENTS, self._tenant, self._campaign, self.size, size)
        indexes = [await connection.fetchval("SELECT pg_get_indexdef($1::text::regclass)", index) for index in INDEXES]
        await connection.execute(f"DROP INDEX {', '.join(INDEXES)}")
        await connection.execute(WORDS_OF)
        for index in indexes:
            await connection.execute(index)
        for table in ("contacts", "conversations", "messages", "text_search", "campaign_recipients"):
            await connection.execute(f"VACUUM ANALYZE {table}")
        await connection.close()
        self.size, self._smallest = size, self._smallest or size

    def questions(self) -> dict[str, Ask]:
        """Return the queries by name; each call of one uses different arguments."""
        size = self.size

        def listed(by: Filter) -> Ask:
            return lambda tx, _: inbox.page(tx, by, None, PAGE)

        async def deep(tx: Tx, random: Random) -> Sequence[Any]:
            at = BEGAN + timedelta(seconds=10 * random.randrange(size // 2, size))
            return await inbox.page(tx, Filter(), (at, UUID(int=0)), PAGE)

        def found(word: Callable[[Random], str], *, digits: bool = False, limit: int = PAGE) -> Ask:
            return lambda tx, random: inbox.search(
                tx, (q := word(random)), q if digits else None, Filter(), None, limit
            )

        def sent_to(status: str | None, after: Callable[[Random], int]) -> Ask:
            return lambda tx, random: recipients.page(tx, self._campaign, status, after(random), PAGE)

        async def waiting(tx: Tx, _: Random) -> Sequence[Any]:
            # As many as the smallest size has, since each is counted.
            return [await inbox_changes.waiting(tx, min(1000, self._smallest // 100), 200)]

        return {
            "inbox: the latest": listed(Filter()),
            "inbox: a page in the middle": deep,
            "inbox: closed, 1 %": listed(Filter(status="closed")),
            "inbox: unread, 2 %": listed(Filter(unread=True)),
            "inbox: put off, 1 %": listed(Filter(snoozed=True)),
            "inbox: nobody's": listed(Filter(nobody=True)),
            "inbox: a member's, none": listed(Filter(assignee_id=ids.new())),
            "inbox: how much is unread": waiting,
            "messages of a conversation": lambda tx, random: inbox.messages_of(tx, _thread(random, size), None, PAGE),
            "inbox search: a number": found(lambda random: str(2_000_000_000 + random.randrange(1, size)), digits=True),
            "inbox search: a number's beginning": found(lambda _: "2000", digits=True),
            "inbox search: a name": found(lambda random: f"name{random.randrange(size // 10, size)}"),
            "inbox search: a word of a hundred": found(
                lambda random: f"w{random.randrange(size // 210, size // 190)}word"
            ),
            "inbox search: a word of 0.1 %": found(lambda _: "uncommon"),
            # As many rows at each size as the smallest size has.
            "inbox search: a word of 0.1 %, a few": found(
                lambda _: "uncommon", limit=min(PAGE, max(1, self._smallest // 1000))
            ),
            "inbox search: a word of 1 %": found(lambda _: "middling"),
            "inbox search: a word of most": found(lambda _: "w1"),
            "recipients: the first": sent_to(None, lambda _: 0),
            "recipients: a page in the middle": sent_to(None, lambda random: random.randrange(size // 4, size // 2)),
            "recipients: failed, 1 %": sent_to("failed", lambda _: 0),
        }


def _thread(random: Random, size: int) -> UUID:
    n = random.randrange(0, size // 10 - 1) * 10 + 1  # never the other tenant's
    return UUID(md5(f"thread{n}".encode(), usedforsecurity=False).hexdigest())


def main(argv: Sequence[str] | None = None) -> int:
    return growth.command("bench.inbox", __doc__, InboxBench, argv)


if __name__ == "__main__":
    sys.exit(main())
