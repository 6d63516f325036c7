"""EXPLAIN guards of the audit log: a page of one actor or one operation reads no more than itself."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from hum.clock import now
from storage import audit
from storage.audit import AuditFilter
from tests.storage.conftest import Two
from tests.storage.test_plans import Planner, planning

#: One busy actor, and in the beginning another one; operations in turn, and in the beginning a rare one.
GROW = """
    INSERT INTO audit_log (org_id, actor, actor_name, action, subject, fields, request_id)
    SELECT $1, CASE WHEN n <= 100 THEN 'user:rare' ELSE 'key:' || n % 3 END, 'x',
           CASE WHEN n <= 100 THEN 'deleteFlow' ELSE 'updateContact' || n % 20 END, '', '{}', ''
      FROM generate_series(1, 20000) n
"""
#: Entries of 200 days, as they came.
AGE = "UPDATE audit_log SET at = now() - interval '200 days' + (id % 20000) * interval '14 minutes'"
#: From the sixth time on, PostgreSQL may prefer a plan for all values.
TIMES = 8


@pytest.fixture
async def planner(two: Two) -> AsyncIterator[Planner]:
    grow = [GROW.replace("$1", f"'{org}'") for org in (two.mine, two.yours)]
    async with planning(two.url, two.mine, *grow, "ANALYZE audit_log, audit_seals") as planner:
        yield planner


@pytest.mark.strain
@pytest.mark.parametrize("before", [None, 30_000])
@pytest.mark.parametrize(
    ("actor", "action", "index"),
    [
        ("user:rare", "", "audit_log_actor"),
        ("key:1", "", "audit_log_actor"),
        ("", "deleteFlow", "audit_log_action"),
        ("", "updateContact7", "audit_log_action"),
        ("user:rare", "deleteFlow", "audit_log_a"),
    ],
)
async def test_a_page_of_an_actor_or_an_operation_reads_no_others(
    planner: Planner, before: int | None, actor: str, action: str, index: str
) -> None:
    for _ in range(TIMES):
        plan = await planner.ask(
            lambda tx: audit.page(tx, before, AuditFilter(actor, actions=[action] if action else None), 51)
        )
        assert f"Index Scan using {index}" in plan and "Seq Scan on audit_log" not in plan, plan


@pytest.fixture
async def aged(two: Two) -> AsyncIterator[Planner]:
    grow = [GROW.replace("$1", f"'{org}'") for org in (two.mine, two.yours)]
    async with planning(two.url, two.mine, *grow, AGE, "ANALYZE audit_log, audit_seals") as planner:
        yield planner


@pytest.mark.strain
@pytest.mark.parametrize("actions", [None, ["updateContact3", "updateContact4", "deleteFlow"]])
async def test_a_day_of_long_ago_is_read_without_the_days_since(aged: Planner, actions: list[str] | None) -> None:
    day = now() - timedelta(days=150)
    by = AuditFilter(actions=actions, since=day, until=day + timedelta(days=1))
    plan = await aged.ask(lambda tx: audit.page(tx, None, by, 51))
    assert "Seq Scan on audit_log" not in plan and "audit_log_at" in plan, plan


async def test_a_day_has_its_entries_and_no_others(two: Two) -> None:
    """Also those of a transaction that began before the day, or wrote after it."""
    async with two.db.tenant(two.mine) as tx:
        for n in range(4):
            await audit.append(tx, two.mine, actor="key:x", actor_name="x", action=f"a{n}")
    owner = await asyncpg.connect(two.url)
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    # The third was inserted after the second, in a transaction that had begun earlier.
    for n, minutes in enumerate((0, 60, 50, 120)):
        await owner.execute(
            "UPDATE audit_log SET at = $2 WHERE action = $1", f"a{n}", noon + timedelta(minutes=minutes)
        )
    await owner.close()

    async def between(since: int | None, until: int | None, actions: list[str] | None = None) -> list[str]:
        first, last = (None if minutes is None else noon + timedelta(minutes=minutes) for minutes in (since, until))
        async with two.db.tenant(two.mine) as tx:
            return [
                row.action
                for row in await audit.page(tx, None, AuditFilter(actions=actions, since=first, until=last), 10)
            ]

    assert await between(None, None) == ["a3", "a2", "a1", "a0"]
    assert await between(0, 60) == ["a2", "a0"]
    assert await between(50, 61) == ["a2", "a1"]
    assert await between(51, None) == ["a3", "a1"]
    assert await between(None, 120, actions=["a0", "a1", "a3"]) == ["a1", "a0"]
    assert await between(121, None) == await between(None, 0) == await between(None, None, actions=[]) == []
