"""EXPLAIN guards: no frequent query scans a big table from end to end.

The plans are those of the platform's own queries as they run, functions included (auto_explain): as the tenant, with
statistics, in tables that are big enough for an index to be worth it.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from hum import ids
from hum.clock import now
from hum.contract.principal import Limits
from storage import (
    analytics,
    call_events,
    call_records,
    contacts,
    erasures,
    events,
    outbound,
    review,
    sends,
    text_attempts,
    tool_runs,
    voicemails,
)
from storage.analytics import AnalyticsSpan
from storage.call_records import CallFilter, Query
from storage.db import Tx
from storage.tool_runs import ToolRunFilter
from tests.storage.conftest import two_organizations
from tests.support import rows
from tests.support.databases import Databases, drop, new

ROWS = 12_000
BIG = ("calls", "call_search", "contacts", "contact_search", "events")
MONTH = re.compile(r"events_(\d+_\d+|earlier|unplaced)")
EXPLAIN = """
    LOAD 'auto_explain';
    SET auto_explain.log_min_duration = 0;
    SET auto_explain.log_nested_statements = on;
    SET client_min_messages = log;
"""
# As many tags as rows, or their tables would not be worth an index.
TAGS = """
    UPDATE calls SET answered_at = created_at, ended_at = created_at + interval '1 minute';
    INSERT INTO call_tags SELECT org_id, id, 'many', created_at FROM calls;
    INSERT INTO contact_tags SELECT org_id, id, 'many' FROM contacts;
    ANALYZE calls, call_tags, contact_tags;
"""


@dataclass
class Planner:
    """Asks as a tenant, and keeps the plans."""

    connection: "asyncpg.Connection[asyncpg.Record]"
    org: UUID
    plans: list[str] = field(default_factory=list)

    async def ask(
        self, question: Callable[[Tx], Awaitable[object]], role: str = "hum_app", limits: Limits | None = None
    ) -> str:
        self.plans.clear()
        limiting = "" if limits is None else f"; SET LOCAL hum.limited_numbers = '{{{limits.numbers[0]}}}'"
        await self.connection.execute(f"BEGIN; SET LOCAL ROLE {role}; SET LOCAL hum.org_id = '{self.org}'{limiting}")
        await question(self.connection)  # type: ignore[arg-type]  # a connection does what a pool's does
        await self.connection.execute("ROLLBACK")
        return "\n".join(self.plans)


@asynccontextmanager
async def planning(url: str, org: UUID, *grow: str) -> AsyncIterator[Planner]:
    """Run the statements of `grow`; yield a planner of the database, which asks as this organization."""
    connection = await asyncpg.connect(url)
    for statements in (*grow, EXPLAIN):
        await connection.execute(statements)
    planner = Planner(connection, org)
    connection.add_log_listener(lambda _, message: planner.plans.append(str(message)))
    yield planner
    await connection.close()


@pytest.fixture(scope="module")
def grown(databases: Databases) -> Iterator[tuple[str, UUID]]:
    """A database with big tables, and the organization whose they are; filled once, for questions alone."""

    async def grow(url: str) -> UUID:
        async with two_organizations(url) as two:
            await rows.add_calls(url, two.mine, two.yours, 0, ROWS)
            connection = await asyncpg.connect(url)
            await connection.execute(TAGS)
            await connection.close()
            return two.mine

    name = asyncio.run(new(databases.base, databases.template))
    url = f"{databases.base}/{name}"
    yield url, asyncio.run(grow(url))
    asyncio.run(drop(databases.base, name))


@pytest.fixture
async def planner(grown: tuple[str, UUID]) -> AsyncIterator[Planner]:
    async with planning(*grown) as planner:
        yield planner


FILTERS = {
    "": CallFilter(),
    "calls_direction": CallFilter(direction="outbound"),
    "calls_status": CallFilter(status="failed"),
    "calls_flow": CallFilter(flow_id=ids.new()),
    "calls_number": CallFilter(number_id=ids.new()),
    "calls_contact": CallFilter(contact_id=ids.new()),
    "calls_contact_e164": CallFilter(contact_e164="+13175550199"),
    "calls_outcome": CallFilter(outcome="rare"),
    "call_tags_page": CallFilter(tag="rare"),
}


@pytest.mark.strain
async def test_no_question_reads_a_big_table_whole(planner: Planner) -> None:
    def listed(by: CallFilter) -> Callable[[Tx], Awaitable[object]]:
        return lambda tx: call_records.page(tx, by, None, 50)

    def found(query: Query, by: CallFilter) -> Callable[[Tx], Awaitable[object]]:
        return lambda tx: call_records.search(tx, query, by, None, 50)

    questions: list[tuple[str, Callable[[Tx], Awaitable[object]], str]] = [
        *((f"calls {index}", listed(by), index or "calls_page") for index, by in FILTERS.items()),
        ("a rare word", found(Query("w15000"), CallFilter()), "call_search_words"),
        ("a frequent word", found(Query("w1"), CallFilter()), "call_search_page"),
        ("a number", found(Query("2000007919", "2000007919"), CallFilter()), "call_search_words"),
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
        (
            "the latest events",
            lambda tx: events.page(tx, events.END, ["call.completed"], 50, newest_first=True),
            "events_",
        ),
    ]
    for name, question, index in questions:
        plan = await planner.ask(question)
        assert index in plan, f"{name}:\n{plan}"
        assert not whole(plan), f"{name}:\n{plan}"
    old, doomed = now() - timedelta(days=1000), [ids.new()]
    deletions: list[tuple[str, Callable[[Tx], Awaitable[object]], str]] = [
        ("old calls", lambda tx: erasures.lock_old_calls(tx, old, 50), "calls_page"),
        ("a person's calls", lambda tx: erasures.lock_calls_with(tx, "+13175550199", now(), 50), "calls_contact_e164"),
        ("a person's live calls", lambda tx: erasures.is_live_with(tx, "+13175550199"), "calls_"),
        ("a deletion", lambda tx: erasures.erase(tx, doomed), "_org_id_subject_id_idx"),
        ("old events", lambda tx: erasures.empty_old_events(tx, old, 500), "_org_id_created_at_idx"),
    ]
    for name, question, index in deletions:
        plan = await planner.ask(question)
        assert index in plan, f"{name}:\n{plan}"
        assert not whole(plan), f"{name}:\n{plan}"
    await planner.connection.execute("UPDATE organizations SET retention_days = 30")
    plan = await planner.ask(erasures.overdue, "hum_system")
    assert "calls_page" in plan and "_org_id_created_at_idx" in plan and not whole(plan), plan
    plan = await planner.ask(lambda tx: events.read_behind_horizon(tx, "r", events.ReaderStart.BEGINNING), "hum_system")
    assert "_xid_id_idx" in plan and not whole(plan), plan


def whole(plan: str) -> list[str]:
    """The big tables that a plan reads from end to end; of the events' months, those that have any."""
    read = re.findall(r"Seq Scan on (\w+)(?: \w+)?  \(cost=[\d.]+\.\.([\d.]+)", plan)
    return [table for table, cost in read if table in BIG or (MONTH.fullmatch(table) and float(cost) > 1)]


#: A message of every third call, and what agents did in every call.
MESSAGES_AND_RUNS = """
    SET session_replication_role = replica;
    INSERT INTO voicemails (id, org_id, call_id, audio_path, duration_ms)
    SELECT gen_random_uuid(), org_id, id, '', 1 FROM calls WHERE random() < 0.3;
    INSERT INTO tool_runs (id, org_id, call_id, tool_call_id, name, status, channel, purpose)
    SELECT gen_random_uuid(), org_id, id, 'one', 'look_up', 'ok', 'call', 'agent' FROM calls;
    RESET session_replication_role;
    ANALYZE voicemails, tool_runs;
"""


@pytest.mark.strain
async def test_what_hangs_on_calls_is_shown_to_limited_members_without_reading_all_calls(planner: Planner) -> None:
    await planner.connection.execute(MESSAGES_AND_RUNS)
    limits = Limits((ids.new(),), ())
    questions: dict[str, Callable[[Tx], Awaitable[object]]] = {
        "voicemails": lambda tx: voicemails.page(tx, None, None, 50),
        "actions": lambda tx: tool_runs.page(tx, None, 50, ToolRunFilter(), timedelta(days=1)),
        "contacts": lambda tx: contacts.page(tx, None, 50),
        "tagged contacts": lambda tx: contacts.page(tx, None, 50, "vip"),
        "a call's tags": lambda tx: review.tags(tx, ids.new()),
        "changes": lambda tx: tx.fetch("SELECT * FROM inbox_changes ORDER BY id LIMIT 50"),
    }
    for name, question in questions.items():
        plan = await planner.ask(question, limits=limits)
        assert not re.search(r"Seq Scan on (calls|contacts) |hashed SubPlan", plan), f"{name}:\n{plan}"


@pytest.mark.strain
@pytest.mark.parametrize("limits", [None, Limits((ids.new(),), ())], ids=["everything", "limited"])
async def test_figures_by_tag_read_the_calls_of_their_span_alone(planner: Planner, limits: Limits | None) -> None:
    hour = AnalyticsSpan(datetime(2026, 1, 1, 5, tzinfo=UTC), datetime(2026, 1, 1, 6, tzinfo=UTC), "UTC", None)
    plan = await planner.ask(lambda tx: analytics.tags(tx, hour), limits=limits)
    assert re.search(r"Index Cond: .*created_at >= .*created_at < ", plan), plan
    assert not re.search(r"Seq Scan on (calls|call_tags) |hashed SubPlan", plan), plan


#: Every call as an order that is due.
ORDERS = """
    INSERT INTO outbound_calls (call_id, org_id, to_e164, account, max_attempts, retry_after_seconds, ring_seconds,
                                honor_quiet_hours, test, due_at, waits_for, wanted_at)
    SELECT id, org_id, to_e164, '', 1, 300, 30, true, false, created_at, 'turn', created_at FROM calls;
    ANALYZE outbound_calls;
"""


@pytest.mark.strain
async def test_whose_turn_it_is_is_read_from_an_index(planner: Planner) -> None:
    await planner.connection.execute(ORDERS)
    for question in (outbound.accounts, lambda tx: outbound.next_due(tx, "")):
        plan = await planner.ask(question, "hum_system")
        assert "outbound_calls_due" in plan and "Seq Scan on outbound_calls" not in plan, plan
    plan = await planner.ask(lambda tx: outbound.page(tx, outbound.OrderFilter(), None, 51))
    assert "outbound_calls_page" in plan or "outbound_calls_pkey" in plan, plan
    assert "Seq Scan on outbound_calls" not in plan, plan


#: Texts of two numbers: half of them due, of conversations and of a campaign, and very many that are scheduled.
TEXTS = """
    INSERT INTO conversations (id, org_id, number_e164, contact_e164)
    SELECT gen_random_uuid(), $1, '+1317555010' || n % 2, '+1317' || 2000000 + n FROM generate_series(1, $2) n;
"""
MESSAGES = """
    INSERT INTO messages (id, org_id, conversation_id, direction, number_e164, contact_e164, body, status, segments, sent_by,
                          lane, due_at, campaign_id)
    SELECT gen_random_uuid(), org_id, id, 'outbound', number_e164, contact_e164, 'Hi', 'scheduled', 1, 'human', lane,
           now() + CASE WHEN far THEN interval '1 day' ELSE interval '-1 second' END,
           CASE lane WHEN 1 THEN md5(number_e164)::uuid END
      FROM conversations, (VALUES (0, true), (0, false), (1, true), (1, false)) kinds (lane, far);
"""


@pytest.mark.strain
async def test_which_text_is_next_is_read_from_an_index(planner: Planner) -> None:
    await planner.connection.execute(
        "SET session_replication_role = replica"
    )  # without triggers: only plans matter here
    await planner.connection.execute(TEXTS.replace("$1", f"'{planner.org}'").replace("$2", "10000"))
    await planner.connection.execute(MESSAGES)
    await planner.connection.execute("RESET session_replication_role")
    await planner.connection.execute("ANALYZE messages, conversations, message_attempts")
    number = "+13175550100"
    campaign = await planner.connection.fetchval(
        "SELECT campaign_id FROM messages WHERE number_e164 = $1 AND lane = 1", number
    )
    questions: list[tuple[Callable[[Tx], Awaitable[object]], str]] = [
        (lambda tx: sends.numbers(tx, 0.25, 500), "messages_due"),
        (lambda tx: sends.talks(tx, number, 8), "messages_due"),
        (lambda tx: sends.campaigns(tx, number), "messages_due_campaign"),
        (lambda tx: sends.of_campaign(tx, number, campaign, 8), "messages_due_campaign"),
        (lambda tx: text_attempts.unconfirmed(tx, timedelta(seconds=60), 50), "message_attempts"),
        (lambda tx: text_attempts.retries(tx, 50), "message_attempts"),
    ]
    for question, index in questions:
        plan = await planner.ask(question, "hum_system")
        assert index in plan, plan
        assert not re.search(r"Seq Scan on (messages|conversations)", plan), plan
