"""EXPLAIN guards of the inbox: no list, count or search reads a big table from end to end."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

import asyncpg
import pytest

from hum import ids
from hum.clock import now
from storage import inbox, inbox_changes, text_erasures
from storage.db import Tx
from storage.inbox import InboxFilter
from tests.storage.conftest import Two
from tests.storage.test_plans import Planner, planning
from tests.support import rows

ROWS = 20_000
BIG = ("conversations", "messages", "text_search")


@pytest.fixture
async def planner(two: Two) -> AsyncIterator[Planner]:
    await rows.add_conversations(two.url, two.mine, two.yours, ids.new(), 0, ROWS)
    connection = await asyncpg.connect(two.url)
    # The latest ones are a campaign's, as after its launch.
    await connection.execute("SET session_replication_role = replica")
    await connection.execute(
        "UPDATE conversations SET campaign_only = true, status = 'open', assignee_id = NULL, unread_count = 0, snoozed_until = NULL"
        " WHERE active_at > (SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY active_at) FROM conversations)"
    )
    await connection.execute("VACUUM ANALYZE conversations")
    await connection.close()
    async with planning(two.url, two.mine) as planner:
        yield planner


@pytest.mark.strain
async def test_no_question_of_the_inbox_reads_a_big_table_whole(planner: Planner) -> None:

    def listed(by: InboxFilter) -> Callable[[Tx], Awaitable[object]]:
        return lambda tx: inbox.page(tx, by, None, 50)

    def found(words: str, digits: str | None = None) -> Callable[[Tx], Awaitable[object]]:
        return lambda tx: inbox.search(tx, words, digits, InboxFilter(), None, 50)

    some = await planner.connection.fetchval("SELECT id FROM conversations LIMIT 1")
    questions: dict[str, tuple[Callable[[Tx], Awaitable[object]], str]] = {
        "the latest": (listed(InboxFilter()), "conversations_inbox"),
        "closed": (listed(InboxFilter(status="closed")), "conversations_status"),
        "a member's": (listed(InboxFilter(assignee_id=ids.new())), "conversations_assignee"),
        "unread": (listed(InboxFilter(unread=True)), "conversations_unread"),
        "put off": (listed(InboxFilter(snoozed=True)), "conversations_"),
        "of a number": (listed(InboxFilter(number_id=ids.new())), "conversations_number"),
        "open ones": (listed(InboxFilter(status="open", snoozed=False, campaign_only=False)), "conversations_worked"),
        "nobody's open ones": (
            listed(InboxFilter(status="open", unassigned=True, snoozed=False, campaign_only=False)),
            "conversations_worked",
        ),
        "campaigns'": (listed(InboxFilter(campaign_only=True)), "conversations_campaigns"),
        "a number": (found("2000001234", "2000001234"), "text_search_words"),
        "a name": (found("name4711"), "text_search_words"),
        "messages": (lambda tx: inbox.messages_of(tx, some, None, 50), "conversations_pkey"),
        "how much is unread": (lambda tx: inbox_changes.unread_counts(tx, 1000, 200), "conversations_waiting"),
        "changes": (lambda tx: inbox_changes.after(tx, (1, 0), 9, 200), "inbox_changes"),
        "old messages": (lambda tx: text_erasures.lock_old(tx, now() - timedelta(days=9999), 50), "messages_age"),
        "a person's": (lambda tx: text_erasures.lock_of_contact(tx, "+12000001234", now(), 50), "messages_thread"),
    }
    for name, (question, index) in questions.items():
        plan = await planner.ask(question)
        assert index in plan, f"{name}:\n{plan}"
        assert not [each for each in re.findall(r"Seq Scan on (\w+)", plan) if each in BIG], f"{name}:\n{plan}"
