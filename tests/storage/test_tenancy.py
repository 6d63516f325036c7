"""Row level security is the second line of defence: these tests remove the first, and still see nothing."""

import importlib
import pkgutil
import re
from uuid import UUID

import asyncpg
import pytest

import storage
from hum import ids
from storage import flows, identity
from storage.migrate import migrations
from tests.storage.conftest import Two

# Not tenants' tables, by name: the migrations' ledger, the queue's own, readers' cursors, links; and the search
# indexes, which are reached only through their functions.
GLOBAL = {"events_set_aside", "reports_set_aside",
    "hum_migrations", "users", "carrier_paces", "text_paces", "campaign_paces", "event_cursors", "event_months", "media_links", "job_attempts", "call_search", "contact_search", "text_search", "inbox_floor", "billing_plans", "restorations", "deleted_organizations",
    "pgqueuer", "pgqueuer_log", "pgqueuer_schedules", "pgqueuer_statistics", "sign_ins", "sign_in_subjects",
}  # fmt: skip
# A person's own, whatever organization they work in.
PERSONAL = {"sessions", "personal_idempotency_keys", "organization_requests"}


async def tables(connection: "asyncpg.Connection[asyncpg.Record]") -> dict[str, asyncpg.Record]:
    rows = await connection.fetch("""
        SELECT c.relname, c.relrowsecurity, c.relforcerowsecurity,
               ARRAY(SELECT p.polname::text FROM pg_policy p WHERE p.polrelid = c.oid ORDER BY 1) AS policies,
               EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'org_id') AS has_org
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition""")
    return {row["relname"]: row for row in rows}


async def test_every_tenant_table_is_forced_and_has_its_policies(two: Two) -> None:
    connection = await asyncpg.connect(two.url)
    found = await tables(connection)
    await connection.close()
    assert found.keys() > GLOBAL
    for name in found.keys() - GLOBAL:
        row = found[name]
        assert row["relrowsecurity"] and row["relforcerowsecurity"], f"{name} is not forced"
        assert row["has_org"] or name in PERSONAL, f"{name} has no org_id"
        assert {"own" if name in PERSONAL else "tenant", "system"} <= set(row["policies"]), f"{name} lacks a policy"


async def test_a_tenant_sees_and_writes_its_own_rows_only(two: Two) -> None:
    flow = ids.new()
    async with two.db.tenant(two.mine) as tx:
        await flows.create(tx, flow, "voice", {"name": "mine"})
    async with two.db.tenant(two.yours) as tx:
        assert await flows.page(tx, None, 10) == []
        assert await tx.execute("UPDATE flows SET version = 9") == "UPDATE 0"
        assert await tx.execute("DELETE FROM flows") == "DELETE 0"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with two.db.tenant(two.yours) as tx:
            await tx.execute(
                "INSERT INTO flows (id, org_id, channel, version) VALUES ($1, $2, 'voice', 1)", ids.new(), two.mine
            )
    async with two.db.tenant(two.mine) as tx:
        assert [row.id for row in await flows.page(tx, None, 10)] == [flow]


async def test_without_a_tenant_there_is_nothing(two: Two) -> None:
    async with two.db.tenant(two.mine) as tx:
        await flows.create(tx, ids.new(), "voice", {})
    async with two.db.authenticated(b"nobody's") as (tx, asker):
        assert asker is None
        for table in ("organizations", "flows", "flow_versions", "memberships", "users", "api_keys", "calls", "events"):
            assert await tx.fetchval(f"SELECT count(*) FROM {table}") == 0


async def test_the_tenant_ends_with_its_transaction(two: Two) -> None:
    for _ in range(20):  # whichever connection of the pool comes next
        async with two.db.tenant(two.mine) as tx:
            assert await tx.fetchval("SELECT hum.org_id()") == two.mine
        async with two.db.authenticated(b"nobody's") as (tx, _):
            assert await tx.fetchval("SELECT hum.org_id()") is None


async def test_the_application_can_not_step_out(two: Two) -> None:
    for statement in (
        "SET LOCAL ROLE hum_owner; DROP TABLE flows",
        "ALTER TABLE flows DISABLE ROW LEVEL SECURITY",
        "SELECT payload FROM pgqueuer",
        "SELECT * FROM call_search",
        "SELECT * FROM contact_search",
        "SELECT * FROM text_search",
        "UPDATE events SET type = 'x'",
        "INSERT INTO users (id, email) VALUES (gen_random_uuid(), 'x')",
    ):
        if statement.startswith("SET"):
            continue  # a login that is a member may change roles; queries come from our constants alone
        with pytest.raises(asyncpg.PostgresError):
            async with two.db.tenant(two.mine) as tx:
                await tx.execute(statement)


async def test_a_credential_opens_its_organization(two: Two) -> None:
    key = ids.new()
    async with two.db.system() as tx:
        await identity.create_key(
            tx,
            id=key,
            org=two.mine,
            hash=b"h",
            prefix="p",
            name="n",
            role="viewer",
            scopes=["*"],
            made_by=None,
            expires_at=None,
        )
    async with two.db.authenticated(b"h") as (tx, asker):
        assert asker is not None
        assert (asker.org_id, asker.role, asker.key_id) == (two.mine, "viewer", key)
        assert [row["org_id"] for row in await tx.fetch("SELECT org_id FROM organizations")] == [two.mine]
    async with two.db.tenant(two.mine) as tx:
        assert (await identity.page_keys(tx, None, 5))[0].last_used_at is not None
        await identity.revoke_key(tx, key)
    async with two.db.authenticated(b"h") as (_, asker):
        assert asker is None


async def test_every_sql_constant_prepares(two: Two) -> None:
    names = [each.name for each in pkgutil.iter_modules(storage.__path__) if not each.name.startswith("__")]
    statements = {
        f"{module}.{name}": value
        for module in names
        for name, value in vars(importlib.import_module(f"storage.{module}")).items()
        if name.isupper() and isinstance(value, str) and re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", value)
    }
    assert len(statements) > 60
    connection = await asyncpg.connect(two.url)
    for name, statement in statements.items():
        try:
            await connection.prepare(statement)
        except asyncpg.PostgresError as error:
            raise AssertionError(f"{name}: {error}") from error
    await connection.close()


async def test_addresses_that_differ_in_case_are_one_person(two: Two) -> None:
    add = "INSERT INTO users (id, email) VALUES ($1, $2)"
    async with two.db.system() as tx:
        await tx.execute(add, ids.new(), "Mike@example.com")
        await tx.execute(add, ids.new(), "mi\u212ae@example.com")  # KELVIN SIGN, which Unicode folds to k
    with pytest.raises(asyncpg.UniqueViolationError):
        async with two.db.system() as tx:
            await tx.execute(add, ids.new(), "mIKE@EXAMPLE.com")


def test_migrations_say_tenant_table_for_each_org_id() -> None:
    sql = "\n".join(each.sql for each in migrations())
    made = set(re.findall(r"CREATE TABLE (\w+) \(\s*(?:id uuid PRIMARY KEY,\s*)?org_id uuid", sql))
    called = set(re.findall(r"CALL hum.tenant_table\('(\w+)'\)", sql))
    assert made - {"call_search", "contact_search", "text_search"} <= called


def test_ids_are_uuids_of_the_same_bits() -> None:
    id = ids.new()
    assert ids.parse(ids.Kind.FLOW, ids.show(ids.Kind.FLOW, id)) == id == UUID(int=id.int)
