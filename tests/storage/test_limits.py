"""Members who see some numbers and agents only: every tenant's table has a policy for them, or a reason."""

from uuid import UUID

import asyncpg

from hum import ids
from hum.contract.principal import Limits
from storage.db import LIMITS
from tests.storage.conftest import Two
from tests.storage.test_tenancy import GLOBAL, PERSONAL, tables

ORGANIZATIONS = "the organization's own settings and people, without calls, texts or contacts"
ADMINS = "read by admins alone, who are never limited"
SYSTEM = "read by the system alone"
RULE = "a rule for the whole organization, which sending and calling must see; its list is of the whole organization"
#: Tables without a policy for limits, and why.
SEEN_BY_ALL = {
    **dict.fromkeys(("organizations", "memberships", "notification_wishes", "studio_uses", "clips", "voice_previews"), ORGANIZATIONS),
    **dict.fromkeys(("sms_templates", "http_tools", "http_tool_versions", "mcp_servers", "mcp_tools"), ORGANIZATIONS),
    **dict.fromkeys(("knowledge_contents", "knowledge_documents", "knowledge_passages", "knowledge_vectors"), ORGANIZATIONS),
    **dict.fromkeys(("crm_connectors", "triggers", "lookup_days", "idempotency_keys"), ORGANIZATIONS),
    **dict.fromkeys(("api_keys", "invites", "audit_log", "audit_seals", "emails", "tool_secrets", "erasures"), ADMINS),
    **dict.fromkeys(("number_purchases", "billing_accounts", "billing_checkouts"), ADMINS),
    **dict.fromkeys(("blocklist", "opt_outs"), RULE),
    **dict.fromkeys(("booking_resources", "booking_services", "booking_requirements", "booking_time_off"), ORGANIZATIONS),
    "booking_claims": "without it a time would be given twice; it has no personal data",
    "flow_versions": "read with its flow, or with the call that the agent answers",
}  # fmt: skip


async def test_every_table_has_a_policy_for_limits_or_a_reason(two: Two) -> None:
    connection = await asyncpg.connect(two.url)
    found = await tables(connection)
    unread = {
        row["relname"]
        for row in await connection.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
            " AND NOT has_table_privilege('hum_app', oid, 'SELECT')"
        )
    }
    await connection.close()
    without = {name for name, row in found.items() if "limits" not in row["policies"]}
    assert without - GLOBAL - PERSONAL - unread - SYSTEM_TABLES == SEEN_BY_ALL.keys()


#: Of these, requests read nothing.
SYSTEM_TABLES = {
    "billing_events", "billing_meter_hours", "billing_warnings", "dropped_recordings", "erased_call_rollups", "erased_calls",
    "erased_latency_rollups", "erased_media", "event_ids", "events_unplaced", "message_statuses", "notices", "outbound_turns",
    "parked_jobs", "text_generations", "trigger_days", "webhook_queues", "webhook_streams",
}  # fmt: skip


async def test_a_limited_transaction_sees_the_rows_of_its_numbers_and_agents_alone(two: Two) -> None:
    seen, hidden = ids.new(), ids.new()
    async with two.db.tenant(two.mine) as tx:
        for number, e164 in ((seen, "+13175550100"), (hidden, "+13175550101")):
            await tx.execute(
                "INSERT INTO numbers (id, org_id, e164, carrier_sid, capabilities) VALUES ($1, $2, $3, 'PN' || $3, '{voice}')",
                number,
                two.mine,
                e164,
            )
            await call_at(tx, two.mine, number)
    token = LIMITS.set(Limits((seen,), ()))
    try:
        async with two.db.tenant(two.mine) as tx:
            assert [row["number_id"] for row in await tx.fetch("SELECT number_id FROM calls")] == [seen]
            assert [row["id"] for row in await tx.fetch("SELECT id FROM numbers")] == [seen]
            assert await tx.execute("UPDATE calls SET summary = NULL") == "UPDATE 1"
        try:
            async with two.db.tenant(two.mine) as tx:
                await call_at(tx, two.mine, hidden)
        except asyncpg.InsufficientPrivilegeError:
            pass
        else:
            raise AssertionError("a call at a hidden number was written")
    finally:
        LIMITS.reset(token)
    async with two.db.tenant(two.mine) as tx:
        assert await tx.fetchval("SELECT count(*) FROM calls") == 2


async def call_at(tx: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]", org: UUID, number: UUID) -> None:
    await tx.execute(
        "INSERT INTO calls (id, org_id, direction, status, from_e164, to_e164, number_id)"
        " VALUES ($1, $2, 'inbound', 'completed', '+1', '+2', $3)",
        ids.new(),
        org,
        number,
    )
