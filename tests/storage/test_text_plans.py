"""EXPLAIN guards of texts that come in: however many there are, none of these questions reads them from end to end."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

import pytest

from hum import ids
from hum.clock import now
from storage import billing, message_media, opt_outs, text_analytics, textroutes
from storage.analytics import AnalyticsSpan
from storage.db import Tx
from tests.storage.conftest import Two
from tests.storage.test_plans import Planner, planning

# Without the triggers that count and tell: only the plans matter here.
GROW = """
    SET session_replication_role = replica;
    INSERT INTO conversations (id, org_id, number_e164, contact_e164)
    SELECT gen_random_uuid(), $1, '+13175550100', '+1317' || n FROM generate_series(1, 500) n;
    INSERT INTO messages (id, org_id, conversation_id, direction, number_e164, contact_e164, body, status, segments, carrier_sid)
    SELECT gen_random_uuid(), $1, c.id, 'inbound', c.number_e164, c.contact_e164, 'x', 'received', 1, gen_random_uuid()
      FROM conversations c, generate_series(1, 40);
    INSERT INTO messages (id, org_id, conversation_id, direction, number_e164, contact_e164, body, status, segments, sent_by, due_at)
    SELECT gen_random_uuid(), $1, c.id, 'outbound', c.number_e164, c.contact_e164, 'x', 'scheduled', 1, 'api', now()
      FROM conversations c, generate_series(1, 10);
    INSERT INTO message_media (message_id, index, org_id, url, status)
    SELECT id, 0, $1, 'x', 'fetching' FROM messages;
    INSERT INTO opt_outs (org_id, contact_e164, opted_out, source, changed_at)
    SELECT $1, '+1765' || n, n % 3 > 0, 'api', now() - interval '1 minute' * n FROM generate_series(1, 20000) n;
    INSERT INTO usage_entries (org_id, subject_id, part, meter, item, flow_id, number_id, quantity, used_at, counted_quantity)
    SELECT $1, id, '', 'messages_sent', '', id, id, 1, now(), 1 FROM messages;
    RESET session_replication_role;
"""


@pytest.fixture
async def planner(two: Two) -> AsyncIterator[Planner]:
    async with planning(two.url, two.mine, GROW.replace("$1", f"'{two.mine}'"), "ANALYZE") as planner:
        yield planner


@pytest.mark.strain
async def test_no_question_reads_all_texts_or_all_opt_outs(planner: Planner) -> None:
    one, org, contact_e164 = ids.new(), planner.org, "+13175"
    span = AnalyticsSpan(now() - timedelta(days=30), now() - timedelta(days=20), "UTC", None)
    last = (now() - timedelta(days=3), "+17655000")
    questions: list[tuple[Callable[[Tx], Awaitable[object]], str, str]] = [
        (lambda tx: opt_outs.page(tx, None, 51), "opt_outs_page", "hum_app"),
        (lambda tx: opt_outs.page(tx, last, 51), "opt_outs_page", "hum_app"),
        (lambda tx: opt_outs.find(tx, org, contact_e164), "opt_outs_pkey", "hum_app"),
        (lambda tx: opt_outs.end_pending(tx, org, contact_e164), "messages_due_contact", "hum_system"),
        (
            lambda tx: textroutes.route(tx, "+13175550100", "+13175550199", "AC1", "SM1"),
            "messages_received",
            "hum_system",
        ),
        (lambda tx: textroutes.replies_since(tx, one, now()), "messages_system", "hum_system"),
        (lambda tx: message_media.pending(tx, one), "message_media", "hum_app"),
        (lambda tx: text_analytics.figures(tx, span), "messages_age", "hum_app"),
        (lambda tx: text_analytics.answered(tx, span), "messages_age", "hum_app"),
        (lambda tx: text_analytics.campaigns(tx, span), "messages_age", "hum_app"),
    ]
    for question, index, role in questions:
        plan = await planner.ask(question, role)
        assert index in plan, plan
        assert "Seq Scan on messages" not in plan and "Seq Scan on opt_outs" not in plan, plan
        assert "Seq Scan on message_media" not in plan, plan


@pytest.mark.strain
async def test_what_counts_against_a_plan_is_read_from_indexes(planner: Planner) -> None:
    day, org = timedelta(days=1), planner.org
    plan = await planner.ask(lambda tx: billing.count_messages(tx, org, now() - day, now() + day))
    assert "usage_entries_uncounted" in plan and "messages_in_flight" in plan, plan
    assert "Seq Scan on messages" not in plan and "Seq Scan on usage_entries" not in plan, plan
    plan = await planner.ask(lambda tx: billing.count_minutes(tx, org, now() - day, now() + day))
    assert "usage_entries_uncounted_minutes" in plan and "Seq Scan on usage_entries" not in plan, plan
