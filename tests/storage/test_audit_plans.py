"""EXPLAIN guards of the audit log: a page of one actor or one operation reads no more than itself."""

from collections.abc import AsyncIterator

import pytest

from storage import audit
from tests.storage.conftest import Two
from tests.storage.test_plans import Planner, planning

#: One busy actor, and in the beginning another one; operations in turn, and in the beginning a rare one.
GROW = """
    INSERT INTO audit_log (org_id, actor, actor_name, action, subject, fields, request_id)
    SELECT $1, CASE WHEN n <= 100 THEN 'user:rare' ELSE 'key:' || n % 3 END, 'x',
           CASE WHEN n <= 100 THEN 'deleteFlow' ELSE 'updateContact' || n % 20 END, '', '{}', ''
      FROM generate_series(1, 20000) n
"""
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
        plan = await planner.ask(lambda tx: audit.page(tx, before, actor, action, "", 51))
        assert f"Index Scan using {index}" in plan and "Seq Scan on audit_log" not in plan, plan
