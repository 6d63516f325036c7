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

from bench import growth
from bench.growth import PAGE, Ask
from hum import ids
from storage import inbox, inbox_changes, recipients
from storage.db import Db, Tx
from storage.inbox import InboxFilter
from tests.support import rows

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


class InboxBench:
    """A database whose inbox grows."""

    def __init__(self, url: str, db: Db, tenant: UUID, other_tenant: UUID) -> None:
        self._url, self._db, self._tenant, self._other_tenant = url, db, tenant, other_tenant
        self._campaign = ids.new()
        self.size = self._smallest = 0

    async def grow(self, size: int) -> None:
        """Fill the tables up to `size` conversations."""
        await rows.add_conversations(self._url, self._tenant, self._other_tenant, self._campaign, self.size, size)
        self.size, self._smallest = size, self._smallest or size

    def questions(self) -> dict[str, Ask]:
        """Return the queries by name; each call of one uses different arguments."""
        size = self.size

        def listed(by: InboxFilter) -> Ask:
            return lambda tx, _: inbox.page(tx, by, None, PAGE)

        async def deep(tx: Tx, random: Random) -> Sequence[Any]:
            at = BEGAN + timedelta(seconds=10 * random.randrange(size // 2, size))
            return await inbox.page(tx, InboxFilter(), (at, UUID(int=0)), PAGE)

        def found(word: Callable[[Random], str], *, digits: bool = False, limit: int = PAGE) -> Ask:
            return lambda tx, random: inbox.search(
                tx, (q := word(random)), q if digits else None, InboxFilter(), None, limit
            )

        def sent_to(status: str | None, after: Callable[[Random], int]) -> Ask:
            return lambda tx, random: recipients.page(tx, self._campaign, status, after(random), PAGE)

        async def waiting(tx: Tx, _: Random) -> Sequence[Any]:
            # As many as the smallest size has, since each is counted.
            return [await inbox_changes.unread_counts(tx, min(1000, self._smallest // 100), 200)]

        return {
            "inbox: the latest": listed(InboxFilter()),
            "inbox: a page in the middle": deep,
            "inbox: closed, 1 %": listed(InboxFilter(status="closed")),
            "inbox: unread, 2 %": listed(InboxFilter(unread=True)),
            "inbox: put off, 1 %": listed(InboxFilter(snoozed=True)),
            "inbox: nobody's": listed(InboxFilter(unassigned=True)),
            "inbox: a member's, none": listed(InboxFilter(assignee_id=ids.new())),
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
