"""Migrations: applied once, in order, by one of several processes."""

import asyncio
from pathlib import Path

import asyncpg
import pytest

from storage import migrate as module
from storage import schema
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


async def test_a_login_without_the_roles_is_told_what_to_do(database_url: str) -> None:
    owner = await asyncpg.connect(database_url)
    await owner.execute("DROP ROLE IF EXISTS stranger; CREATE ROLE stranger LOGIN PASSWORD 'x'")
    host = database_url.rpartition("@")[2]
    with pytest.raises(CannotMigrate, match="print-roles"):
        await migrate(f"postgresql://stranger:x@{host}")
    await owner.execute("DROP ROLE stranger")
    await owner.close()


async def test_no_function_of_the_database_notifies(database_url: str) -> None:
    """A trigger's NOTIFY would be sent inside its transaction, and by PostgreSQL where another bus is configured: only
    `storage.db.notify` publishes.
    """
    query = "SELECT proname::text FROM pg_proc WHERE prosrc ~* 'notify' AND pronamespace IN ('hum'::regnamespace, 'public'::regnamespace)"
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "CREATE FUNCTION hum.notifies() RETURNS void LANGUAGE sql AS $$ SELECT pg_notify('x', '') $$"
    )
    assert [row[0] for row in await connection.fetch(query)] == ["notifies"], "the query finds one"
    await connection.execute("DROP FUNCTION hum.notifies")
    assert await connection.fetch(query) == []
    await connection.close()


def test_migrations_are_numbered_without_a_gap() -> None:
    assert [each.version for each in migrations()] == list(range(1, len(migrations()) + 1))
    assert all(Path(each.name).name == each.name for each in migrations())


def test_the_schema_file_is_the_sum_of_the_migrations(database_url: str) -> None:
    stored = (Path(module.__file__).parent / "schema.sql").read_text()
    assert schema.dump(database_url) == stored, "run: python -m storage.schema > storage/schema.sql"
