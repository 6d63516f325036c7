"""Migrations: once, in order, by one of several processes, and on a database that has rows."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from control.calls.stream import streamed
from hum import ids
from hum.v1 import calls_pb2
from storage import call_events, flows, tool_runs
from storage import migrate as module
from storage.db import Db
from storage.migrate import CannotMigrate, Migration, migrate, migrations


async def test_of_many_one_works(empty_database: str) -> None:
    done = await asyncio.gather(*(migrate(empty_database) for _ in range(4)))
    assert sorted(len(each) for each in done) == [0, 0, 0, len(migrations())]
    assert await migrate(empty_database) == []


async def test_a_changed_migration_is_refused(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first, *rest = migrations()
    monkeypatch.setattr(module, "migrations", lambda: [first._replace(sql=first.sql + "\n-- later"), *rest])
    with pytest.raises(CannotMigrate, match="changed after it was applied"):
        await migrate(database_url)


async def test_a_newer_database_is_refused(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "migrations", lambda: migrations()[:1])
    with pytest.raises(CannotMigrate, match="newer than this program"):
        await migrate(database_url)


async def test_a_failing_migration_leaves_nothing(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = Migration(900, "bad", "CREATE TABLE half (id int); SELECT 1/0")
    monkeypatch.setattr(module, "migrations", lambda: [*migrations(), bad])
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(database_url)
    connection = await asyncpg.connect(database_url)
    assert await connection.fetchval("SELECT to_regclass('half')") is None
    await connection.close()


async def test_a_data_step_sees_the_rows_of_all_tenants(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "INSERT INTO organizations (org_id, name) SELECT gen_random_uuid(), 'O' || n FROM generate_series(1, 3) n"
    )
    step = "UPDATE organizations SET name = name || '!'"
    blind = Migration(900, "blind", step)
    seeing = Migration(901, "seeing", f"SET LOCAL ROLE hum_system; {step}")
    monkeypatch.setattr(module, "migrations", lambda: [*migrations(), blind, seeing])
    assert await migrate(database_url) == ["0900_blind", "0901_seeing"]
    names = {row["name"] for row in await connection.fetch("SELECT name FROM organizations")}
    assert names == {"O1!", "O2!", "O3!"}, "the owner's step changed nothing, the system's changed all"
    await connection.close()


async def test_a_calls_own_stream_is_taken_out_of_the_outbox(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = migrations()
    monkeypatch.setattr(module, "migrations", lambda: [each for each in everything if each.version < 11])
    await migrate(empty_database)
    connection = await asyncpg.connect(empty_database)
    org, call = ids.new(), ids.new()
    await connection.execute("INSERT INTO organizations (org_id, name) VALUES ($1, 'O')", org)
    await connection.execute(
        """INSERT INTO calls (id, org_id, direction, status, from_e164, to_e164, event_seq)
           VALUES ($1, $2, 'inbound', 'completed', '+1', '+2', 2)""",
        call,
        org,
    )
    for type, subject, seq, data in (
        ("transcript.turn", call, 1, '{"seq": 1, "role": "caller", "text": "Hi", "start_ms": 5}'),
        ("call.ended", call, 2, '{"status": "completed", "reason": "caller"}'),
        ("flow.created", ids.new(), None, '{"by": "Ada"}'),
    ):
        await connection.execute(
            "INSERT INTO events (org_id, type, subject_id, subject_seq, data) VALUES ($1, $2, $3, $4, $5)",
            org,
            type,
            subject,
            seq,
            data,
        )
    monkeypatch.setattr(module, "migrations", lambda: everything)
    await migrate(empty_database)
    left = await connection.fetch("SELECT type, public_id IS NOT NULL AS named, version FROM events ORDER BY id")
    assert [tuple(row) for row in left] == [("call.ended", True, 1), ("flow.created", True, 1)]
    await connection.close()
    db = await Db.open(empty_database, size=1)
    async with db.tenant(org) as tx:
        found = [streamed(row) for row in await call_events.after(tx, call, 0)]
    await db.close()
    assert [(each.seq, each.WhichOneof("event")) for each in found] == [(1, "turn"), (2, "ended")]
    assert (found[0].turn.text, found[0].turn.role) == ("Hi", calls_pb2.SPEAKER_CALLER)
    assert (found[1].ended.reason, found[1].ended.status) == ("caller", calls_pb2.CALL_STATUS_COMPLETED)


async def test_runs_of_tools_from_before_are_listed_in_their_order(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = migrations()
    monkeypatch.setattr(module, "migrations", lambda: [each for each in everything if each.version < 47])
    await migrate(empty_database)
    connection = await asyncpg.connect(empty_database)
    org, call = ids.new(), ids.new()
    await connection.execute("INSERT INTO organizations (org_id, name) VALUES ($1, 'O')", org)
    await connection.execute(
        """INSERT INTO calls (id, org_id, direction, status, from_e164, to_e164)
           VALUES ($1, $2, 'inbound', 'in_progress', '+1', '+2')""",
        call,
        org,
    )
    for age, name in ((3, "older"), (1, "newer")):
        await connection.execute(
            """INSERT INTO tool_runs (org_id, call_id, tool_call_id, name, status, output, started_at, finished_at)
               VALUES ($1, $2, $3, $3, 'ok', '{"a": 1}', now() - make_interval(mins => $4),
                       now() - make_interval(mins => $4) + interval '250 ms')""",
            org,
            call,
            name,
            age,
        )
    monkeypatch.setattr(module, "migrations", lambda: everything)
    await migrate(empty_database)
    await connection.close()
    db = await Db.open(empty_database, size=1)
    async with db.tenant(org) as tx:
        found = await tool_runs.page(tx, None, 10, tool_runs.Wanted())
        again = await tool_runs.get(tx, call, "older")
    await db.close()
    assert [(row.name, row.duration_ms, row.arguments) for row in found] == [("newer", 250, "{}"), ("older", 250, "{}")]
    assert (again.status, again.output) == ("ok", '{"a": 1}'), "a call that goes on may repeat its request"


async def test_versions_of_flows_from_before_say_what_they_changed(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = migrations()
    monkeypatch.setattr(module, "migrations", lambda: [each for each in everything if each.version < 61])
    await migrate(empty_database)
    connection = await asyncpg.connect(empty_database)
    org, flow = ids.new(), ids.new()
    await connection.execute("INSERT INTO organizations (org_id, name) VALUES ($1, 'O')", org)
    await connection.execute("INSERT INTO flows (id, org_id, channel, version) VALUES ($1, $2, 'voice', 3)", flow, org)
    definitions = ({"name": "F", "voice": "cedar"}, {"name": "F", "greeting": "Hi", "voice": "ash"}, {"name": "F"})
    for version, definition in enumerate(definitions, 1):
        await connection.execute(
            "INSERT INTO flow_versions (org_id, flow_id, version, definition) VALUES ($1, $2, $3, $4)",
            org, flow, version, json.dumps(definition),
        )  # fmt: skip
    monkeypatch.setattr(module, "migrations", lambda: everything)
    await migrate(empty_database)
    await connection.close()
    db = await Db.open(empty_database, size=1)
    async with db.tenant(org) as tx:
        found = await flows.versions(tx, flow, None, 10)
    await db.close()
    assert [row.changed for row in found] == [["greeting", "voice"], ["greeting", "voice"], []]


async def test_keys_and_answers_from_before_keep_no_power_that_nobody_has(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of a database before 0013: a key that was kept when its maker left, one that an operator made, a stored secret."""
    everything = migrations()
    monkeypatch.setattr(module, "migrations", lambda: [each for each in everything if each.version < 12])
    await migrate(empty_database)
    connection = await asyncpg.connect(empty_database)
    org, ada, gone = ids.new(), ids.new(), ids.new()
    kept, operators, revoked = ids.new(), ids.new(), ids.new()
    await connection.execute("INSERT INTO organizations (org_id, name) VALUES ($1, 'O')", org)
    for user, email in ((ada, "Ada@example.com"), (gone, "gone@example.com")):
        await connection.execute("INSERT INTO users (id, email) VALUES ($1, $2)", user, email)
    await connection.execute("INSERT INTO memberships (org_id, user_id, role) VALUES ($1, $2, 'admin')", org, ada)
    for id, maker, scopes, ended in (
        (kept, gone, ["*", "site:admin"], None),
        (operators, None, ["*"], None),
        (revoked, gone, ["*"], datetime.now(UTC)),
    ):
        await connection.execute(
            """INSERT INTO api_keys (id, org_id, hash, prefix, name, role, scopes, made_by, revoked_at)
               VALUES ($1, $2, $3, 'p', 'n', 'admin', $4, $5, $6)""",
            id, org, id.bytes, scopes, maker, ended,
        )  # fmt: skip
    for key, method, answer in (("a", "CreateApiKey", b"hum_live_secret"), ("b", "OnboardOrganization", b"x")):
        await connection.execute(
            "INSERT INTO idempotency_keys (org_id, key, method, body_hash, answer) VALUES ($1, $2, $3, '', $4)",
            org, key, f"/hum.v1.IdentityService/{method}", answer,
        )  # fmt: skip
    monkeypatch.setattr(module, "migrations", lambda: everything)
    await migrate(empty_database)
    stored = await connection.fetch("SELECT key, actor, answer FROM idempotency_keys ORDER BY key")
    assert [tuple(row) for row in stored] == [("a", "", b""), ("b", "", b"x")]
    with pytest.raises(asyncpg.UniqueViolationError):
        await connection.execute("INSERT INTO users (id, email) VALUES ($1, 'aDA@EXAMPLE.com')", ids.new())
    for email in ("mike@example.com", "mi\u212ae@example.com"):  # KELVIN SIGN, which Unicode folds to k
        await connection.execute("INSERT INTO users (id, email) VALUES ($1, $2)", ids.new(), email)
    await connection.close()
    db = await Db.open(empty_database, size=1)
    for id, maker in ((kept, ada), (operators, None)):
        async with db.as_credential(id.bytes) as (_, who):
            assert who is not None
            assert (who.role, who.user_id, who.scopes, who.site_admin) == ("admin", maker, ("*",), False)
    async with db.as_credential(revoked.bytes) as (_, who):
        assert who is None
    await db.close()


async def test_a_login_without_the_roles_is_told_what_to_do(database_url: str) -> None:
    owner = await asyncpg.connect(database_url)
    await owner.execute("DROP ROLE IF EXISTS stranger; CREATE ROLE stranger LOGIN PASSWORD 'x'")
    host = database_url.rpartition("@")[2]
    with pytest.raises(CannotMigrate, match="print-roles"):
        await migrate(f"postgresql://stranger:x@{host}")
    await owner.execute("DROP ROLE stranger")
    await owner.close()


async def test_nothing_in_the_database_notifies_by_itself(
    database_url: str, empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trigger's notification leaves inside its transaction, and over PostgreSQL where the bus is another: `storage.db.notify` is the
    one way.
    """
    asked = "SELECT proname::text FROM pg_proc WHERE prosrc ~* 'notify' AND pronamespace IN ('hum'::regnamespace, 'public'::regnamespace)"
    before = [each for each in migrations() if each.version < 58]
    monkeypatch.setattr(module, "migrations", lambda: before)
    await migrate(empty_database)
    found = list[list[str]]()
    for url in (empty_database, database_url):
        connection = await asyncpg.connect(url)
        found.append(sorted(row[0] for row in await connection.fetch(asked)))
        await connection.close()
    assert found == [["approval_changed", "fn_pgqueuer_changed"], []]


def test_migrations_are_numbered_without_a_gap() -> None:
    assert [each.version for each in migrations()] == list(range(1, len(migrations()) + 1))
    assert all(Path(each.name).name == each.name for each in migrations())
