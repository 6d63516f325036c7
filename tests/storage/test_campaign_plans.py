"""EXPLAIN guards of campaigns: with very many recipients, no frequent question reads them from end to end."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from hum import ids
from hum.clock import now
from storage import campaigns, forecasts, recipients
from storage.db import Tx
from storage.forecasts import Exclusions
from tests.storage.conftest import Two
from tests.storage.test_plans import Planner, planning

#: Two hundred small campaigns and a large one.
GROW = """
    INSERT INTO campaigns (id, org_id, name, body_template, status, look_at)
    SELECT gen_random_uuid(), $1, 'small', 'x', CASE WHEN n % 4 = 0 THEN 'running' ELSE 'completed' END,
           CASE WHEN n % 4 = 0 THEN now() END
      FROM generate_series(1, 200) n;
"""
LARGE = ids.new()
ADD_LARGE = f"""
    INSERT INTO campaigns (id, org_id, name, body_template, status) VALUES ('{LARGE}', $1, 'large', 'x', 'running')
"""
RECIPIENTS = """
    INSERT INTO campaign_recipients (id, org_id, campaign_id, contact_e164, status)
    SELECT gen_random_uuid(), $1, c.id, '+1317' || n,
           (ARRAY['pending', 'sent', 'delivered', 'delivered', 'failed'])[1 + n % 5]
      FROM campaigns c, generate_series(1, CASE c.name WHEN 'large' THEN 20000 ELSE 50 END) n
"""

SORTED = re.compile(r"Sort  \(.*\n\s+Sort Key: .*\n\s+->  (\w+ \w+ on \w+)")


@pytest.fixture
async def planner(two: Two) -> AsyncIterator[Planner]:
    grow = [each.replace("$1", f"'{two.mine}'") for each in (GROW, ADD_LARGE, RECIPIENTS)]
    async with planning(two.url, two.mine, "SET ROLE hum_system", *grow, "RESET ROLE") as planner:
        yield planner


@pytest.mark.strain
@pytest.mark.parametrize("analyzed", [False, True])
async def test_no_question_reads_all_recipients(planner: Planner, analyzed: bool) -> None:
    """Also while the statistics know nothing of a campaign that was just made."""
    if analyzed:
        await planner.connection.execute("ANALYZE campaigns, campaign_recipients, campaign_counts")
    of_status = "campaign_recipients_status" if analyzed else "campaign_recipients_"
    questions: list[tuple[str, Callable[[Tx], Awaitable[object]], str, str]] = [
        ("a campaign", lambda tx: campaigns.get(tx, LARGE), "", "hum_app"),
        ("campaigns", lambda tx: campaigns.page(tx, None, None, 51), "", "hum_app"),
        ("running ones", lambda tx: campaigns.page(tx, "running", None, 51), "", "hum_app"),
        ("recipients", lambda tx: recipients.page(tx, LARGE, None, 500, 51), "campaign_recipients_page", "hum_app"),
        ("failed ones", lambda tx: recipients.page(tx, LARGE, "failed", 500, 51), of_status, "hum_app"),
        ("the next", lambda tx: recipients.due(tx, LARGE, 25), "campaign_recipients_due", "hum_system"),
        ("when the next", lambda tx: recipients.next_due_seconds(tx, LARGE), "campaign_recipients_due", "hum_system"),
        ("outcomes", lambda tx: recipients.outcomes(tx, LARGE, now(), 500), "campaign_recipients_latest", "hum_system"),
        ("the erased", lambda tx: recipients.end_erased(tx, LARGE), "campaign_recipients_sending", "hum_system"),
        (
            "an end",
            lambda tx: recipients.end_pending(tx, LARGE, "canceled", "canceled", 100),
            "campaign_recipients_",
            "hum_system",
        ),
        ("an opt-out", _opt_out, "campaign_recipients_contact", "hum_app"),
        (
            "a forecast",
            lambda tx: forecasts.texts(tx, LARGE, 100, Exclusions(), own_only=False),
            "campaign_recipients_",
            "hum_app",
        ),
    ]
    for name, question, index, role in questions:
        plan = await planner.ask(question, role)
        assert index in plan, f"{name}:\n{plan}"
        assert "Seq Scan on campaign_recipients" not in plan, f"{name}:\n{plan}"
        # The rows of a page alone are sorted.
        assert set(SORTED.findall(plan)) <= {"CTE Scan on measured"} or index != "campaign_recipients_page", (
            f"{name}:\n{plan}"
        )


async def _opt_out(tx: Tx) -> None:
    await tx.execute(
        "INSERT INTO opt_outs (org_id, contact_e164, opted_out, source) VALUES (hum.org_id(), '+131715', true, 'api')"
    )
