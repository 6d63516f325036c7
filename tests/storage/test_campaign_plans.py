"""EXPLAIN guards of campaigns: with very many recipients, no frequent question reads them from end to end."""

from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest

from hum import ids
from hum.clock import now
from storage import campaigns, forecasts, recipients
from storage.db import Tx
from storage.forecasts import Exclusions
from tests.storage.conftest import Two
from tests.storage.test_plans import EXPLAIN, Planner

#: Two hundred small campaigns and a large one.
GROW = """
    INSERT INTO campaigns (id, org_id, name, body_template, status, look_at)
    SELECT gen_random_uuid(), $1, 'small', 'x', CASE WHEN n % 4 = 0 THEN 'running' ELSE 'completed' END,
           CASE WHEN n % 4 = 0 THEN now() END
      FROM generate_series(1, 200) n;
"""
LARGE = "INSERT INTO campaigns (id, org_id, name, body_template, status) VALUES ($2, $1, 'large', 'x', 'running')"
RECIPIENTS = """
    INSERT INTO campaign_recipients (id, org_id, campaign_id, contact_e164, status)
    SELECT gen_random_uuid(), $1, c.id, '+1317' || n,
           (ARRAY['pending', 'sent', 'delivered', 'delivered', 'failed'])[1 + n % 5]
      FROM campaigns c, generate_series(1, CASE c.name WHEN 'large' THEN 20000 ELSE 50 END) n
"""


@pytest.fixture
async def planner(two: Two) -> AsyncIterator[Planner]:
    connection = await asyncpg.connect(two.url)
    await connection.execute("SET ROLE hum_system")
    large = ids.new()
    await connection.execute(GROW.replace("$1", f"'{two.mine}'"))
    await connection.execute(LARGE, two.mine, large)
    await connection.execute(RECIPIENTS, two.mine)
    await connection.execute("RESET ROLE")
    await connection.execute(EXPLAIN)
    planner = Planner(connection, two.mine)
    planner.large = large  # type: ignore[attr-defined]  # for this test alone
    connection.add_log_listener(lambda _, message: planner.plans.append(str(message)))
    yield planner
    await connection.close()


@pytest.mark.strain
@pytest.mark.parametrize("analyzed", [False, True])
async def test_no_question_reads_all_recipients(planner: Planner, analyzed: bool) -> None:
    """Also while the statistics know nothing of a campaign that was just made."""
    if analyzed:
        await planner.connection.execute("ANALYZE campaigns, campaign_recipients, campaign_counts")
    of_status = "campaign_recipients_status" if analyzed else "campaign_recipients_"
    id = planner.large  # type: ignore[attr-defined]  # of this fixture
    questions: list[tuple[str, Callable[[Tx], Awaitable[object]], str, str]] = [
        ("a campaign", lambda tx: campaigns.get(tx, id), "", "hum_app"),
        ("campaigns", lambda tx: campaigns.page(tx, None, None, 51), "", "hum_app"),
        ("running ones", lambda tx: campaigns.page(tx, "running", None, 51), "", "hum_app"),
        ("recipients", lambda tx: recipients.page(tx, id, None, 500, 51), "campaign_recipients_page", "hum_app"),
        ("failed ones", lambda tx: recipients.page(tx, id, "failed", 500, 51), of_status, "hum_app"),
        ("the next", lambda tx: recipients.due(tx, id, 25), "campaign_recipients_due", "hum_system"),
        ("when the next", lambda tx: recipients.next_due_seconds(tx, id), "campaign_recipients_due", "hum_system"),
        ("outcomes", lambda tx: recipients.outcomes(tx, id, now(), 500), "campaign_recipients_latest", "hum_system"),
        ("the erased", lambda tx: recipients.end_erased(tx, id), "campaign_recipients_sending", "hum_system"),
        (
            "an end",
            lambda tx: recipients.end_pending(tx, id, "canceled", "canceled", 100),
            "campaign_recipients_",
            "hum_system",
        ),
        ("an opt-out", _opt_out, "campaign_recipients_contact", "hum_app"),
        (
            "a forecast",
            lambda tx: forecasts.texts(tx, id, 100, Exclusions(), own_only=False),
            "campaign_recipients_",
            "hum_app",
        ),
    ]
    for name, question, index, role in questions:
        plan = await planner.ask(question, role)
        assert index in plan, f"{name}:\n{plan}"
        assert "Seq Scan on campaign_recipients" not in plan, f"{name}:\n{plan}"
        assert index != "campaign_recipients_page" or "Sort" not in plan, f"{name}:\n{plan}"


async def _opt_out(tx: Tx) -> None:
    await tx.execute(
        "INSERT INTO opt_outs (org_id, contact_e164, opted_out, source) VALUES (hum.org_id(), '+131715', true, 'api')"
    )
