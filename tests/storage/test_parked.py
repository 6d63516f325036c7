"""Sessions that outlive their test are as new for the next one."""

import asyncio

import asyncpg
import pytest

PID = "SELECT pg_backend_pid()"
#: What one session may leave to the next.
LEFT = """
    SELECT current_user::text, session_user::text,
           current_setting('statement_timeout'), current_setting('hum.org_id', true),
           (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()),
           (SELECT count(*) FROM pg_class WHERE relpersistence = 't' AND relnamespace = pg_my_temp_schema()),
           (SELECT count(*) FROM pg_prepared_statements WHERE name <> ''),
           (SELECT count(*) FROM pg_listening_channels()),
           (SELECT count(*) FROM pg_cursors WHERE is_holdable)
"""
CHANGES = """
    SET ROLE hum_app;
    SET statement_timeout = '7s';
    SELECT set_config('hum.org_id', 'somebody', false);
    SELECT pg_advisory_lock(7);
    RESET ROLE;
    CREATE TEMP TABLE scratch (number int);
    PREPARE mine AS SELECT 1;
    LISTEN news;
    DECLARE held CURSOR WITH HOLD FOR SELECT 1;
    SET ROLE hum_app;
"""


async def state(connection: "asyncpg.Connection[asyncpg.Record]") -> list[object]:
    """Asked without a prepared statement of asyncpg's."""
    (row,) = await connection.fetch(LEFT)
    return [*row]


async def test_a_session_goes_on_as_if_it_were_new(database_url: str) -> None:
    first = await asyncpg.connect(database_url, statement_cache_size=0)
    pid, fresh = await first.fetchval(PID), await state(first)
    await first.execute(CHANGES)
    assert await state(first) != fresh
    await first.close()
    second = await asyncpg.connect(database_url, statement_cache_size=0)
    assert await second.fetchval(PID) == pid
    assert [None if value == "" else value for value in await state(second)] == fresh
    await second.close()


async def test_one_in_a_transaction_ends(database_url: str) -> None:
    first = await asyncpg.connect(database_url)
    pid = await first.fetchval(PID)
    await first.execute("BEGIN; CREATE TABLE half_made (number int)")
    await first.close()
    second = await asyncpg.connect(database_url)
    assert await second.fetchval(PID) != pid
    assert await second.fetchval("SELECT to_regclass('half_made')") is None
    await second.close()


async def test_one_that_was_ended_meanwhile_is_not_lent(database_url: str) -> None:
    first, other = await asyncpg.connect(database_url), await asyncpg.connect(database_url)
    pid = await first.fetchval(PID)
    await first.close()
    assert await other.fetchval("SELECT pg_terminate_backend($1, 10000)", pid)
    second = await asyncpg.connect(database_url)
    assert await second.fetchval(PID) != pid
    await asyncio.gather(other.close(), second.close())


async def test_another_login_gets_another_session(database_url: str) -> None:
    first = await asyncpg.connect(database_url)
    pid = await first.fetchval(PID)
    await first.close()
    second = await asyncpg.connect(database_url, server_settings={"application_name": "another"})
    assert await second.fetchval(PID) != pid
    await second.close()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(database_url, password="a guess")


async def test_its_statements_go_on_with_it(database_url: str) -> None:
    prepared = "SELECT count(*) FROM pg_prepared_statements WHERE statement = $1"
    query = "SELECT 40 + $1::int"
    first = await asyncpg.connect(database_url)
    assert await first.fetchval(query, 2) == 42
    await first.close()
    second = await asyncpg.connect(database_url)
    assert await second.fetchval(query, 3) == 43
    assert await second.fetchval(prepared, query) == 1
    await second.close()
    without = await asyncpg.connect(database_url, statement_cache_size=0)
    assert await without.fetchval(prepared, query) == 0
    await without.close()
