"""EXPLAIN guards: no frequent query scans a big table from end to end.

The plans are those of the platform's own queries as they run, functions included (auto_explain): as the tenant, with
statistics, in tables that are big enough for an index to be worth it.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg
import pytest

from bench import growth
from hum import ids
from storage import call_events, call_records, contacts, events
from storage.call_records import Filter, Query
from storage.db import Tx
from tests.storage.conftest import Two

ROWS = 20_000
BIG = ("calls", "call_search", "contacts", "contact_search", "events")
EXPLAIN = """
    LOAD 'auto_explain';
    SET auto_explain.log_min_duration = 0;
    SET auto_explain.log_nested_statements = on;
    SET client_min_messages = log;
"""
# As many tags as rows, or their tables would not be worth an index.
TAGS = """
    INSERT INTO call_tags SELECT org_id, id, 'many', created_at FROM calls;
    INSERT INTO contact_tags SELECT org_id, id, 'many' FROM contacts;
    ANALYZE call_tags, contact_tags;
"""


@dataclass
class Planner:
    """Asks as a tenant, and keeps the plans."""

    connection: "asyncpg.Connection[asyncpg.Record]"
    org: UUID
    plans: list[str] = field(default_factory=list)

    async def ask(self, question: Callable[[Tx], Awaitable[object]], role: str = "hum_app") -> str:
        self.plans.clear()
        await self.connection.execute(f"BEGIN; SET LOCAL ROLE {role}; SET LOCAL hum.org_id = '{self.org}'")
        await question(self.connection)  # type: ignore[arg-type]  # a connection does what a pool's does
        await self.connection.execute("ROLLBACK")
        return "\n".join(self.plans)


@pytest.fixture
async def planner(two: Two) -> AsyncIterator[Planner]:
    bench = growth.Bench(two.url, two.db, two.mine, two.yours)
    await bench.grow(ROWS)
    connection = await asyncpg.connect(two.url)
    await connection.execute(TAGS)
    await connection.execute(EXPLAIN)
    planner = Planner(connection, two.mine)
    connection.add_log_listener(lambda _, message: planner.plans.append(str(message)))
    yield planner
    await connection.close()


FILTERS = {
    "": Filter(),
    "calls_direction": Filter(direction="outbound"),
    "calls_status": Filter(status="failed"),
    "calls_flow": Filter(flow_id=ids.new()),
    "calls_number": Filter(number_id=ids.new()),
    "calls_contact": Filter(contact_id=ids.new()),
    "calls_contact_e164": Filter(contact_e164="+13175550199"),
    "calls_outcome": Filter(outcome="rare"),
    "call_tags_page": Filter(tag="rare"),
}


async def test_no_question_reads_a_big_table_whole(planner: Planner) -> None:
    def listed(by: Filter) -> Callable[[Tx], Awaitable[object]]:
        return lambda tx: call_records.page(tx, by, None, 50)

    def found(query: Query, by: Filter) -> Callable[[Tx], Awaitable[object]]:
        return lambda tx: call_records.search(tx, query, by, None, 50)

    questions: list[tuple[str, Callable[[Tx], Awaitable[object]], str]] = [
        *((f"calls {index}", listed(by), index or "calls_page") for index, by in FILTERS.items()),
        ("a rare word", found(Query("w15000"), Filter()), "call_search_words"),
        ("a frequent word", found(Query("w1"), Filter()), "call_search_page"),
        ("a number", found(Query("2000007919", "2000007919"), Filter()), "call_search_words"),
        # The planner begins with whichever finds less.
        *((f"a word and {index}", found(Query("w15000"), by), "call") for index, by in FILTERS.items()),
        ("contacts", lambda tx: contacts.page(tx, None, 50), "contacts_page"),
        ("a name", lambda tx: contacts.search(tx, "name77", None, None, None, 50), "contact_search_words"),
        ("a frequent name", lambda tx: contacts.search(tx, "freq", None, None, None, 50), "contact_search_page"),
        (
            "a contact's number",
            lambda tx: contacts.search(tx, "7919", "2000007919", None, None, 50),
            "contact_search_words",
        ),
        ("a rare tag", lambda tx: contacts.page(tx, None, 50, "none"), "contact_tags_page"),
        ("a name and a tag", lambda tx: contacts.search(tx, "name77", None, "vip", None, 50), "contact_search_words"),
        ("an export", lambda tx: contacts.by_number(tx, "", 500), "contacts_org_id_phone_e164_key"),
        ("a call's events", lambda tx: call_events.after(tx, ids.new(), 0), "call_events_pkey"),
        ("events to catch up", lambda tx: events.page(tx, ("0", 0), ["call.completed"], 50), "events_"),
    ]
    for name, question, index in questions:
        plan = await planner.ask(question)
        assert index in plan, f"{name}:\n{plan}"
        assert not whole(plan), f"{name}:\n{plan}"
    plan = await planner.ask(lambda tx: events.read_behind_horizon(tx, "r", events.Start.BEGINNING), "hum_system")
    assert "events_horizon" in plan and not whole(plan), plan


def whole(plan: str) -> list[str]:
    """The big tables that a plan reads from end to end."""
    return [table for table in re.findall(r"Seq Scan on (\w+)", plan) if table in BIG]
