"""A process that would see what it must not does not run."""

from pathlib import Path
from typing import Any

import asyncpg
import pytest

from control.app import database
from hum.refusal import StartupRefusal
from hum.settings import ControlSettings
from storage.db import Addresses, Db
from storage.isolation import NotIsolated, check_isolation

LIMITS = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")


async def test_the_walls_stand(database_url: str) -> None:
    db = await Db.open(database_url, size=2)
    await check_isolation(db)
    await db.close()


@pytest.mark.parametrize("names", [("app",), ("system",), ("app", "system")])
async def test_a_login_without_its_role_is_refused(database_url: str, names: tuple[str, ...]) -> None:
    urls: dict[str, Any] = dict.fromkeys(names, database_url)
    db = await Db.open(Addresses(database_url, **urls), size=2)
    with pytest.raises(
        NotIsolated, match=f"HUM_DATABASE_{names[0].upper()}_URL.*role hum, which bypasses all policies"
    ):
        await check_isolation(db)
    await db.close()


@pytest.mark.parametrize("forgets", [*LIMITS, "policies", ""])
async def test_whatever_is_forgotten_is_said(database_url: str, forgets: str) -> None:
    administrator = await asyncpg.connect(database_url)
    name = await administrator.fetchval("SELECT current_database()")
    login = f"login_{name}"
    await administrator.execute(f"CREATE ROLE {login} LOGIN NOINHERIT PASSWORD 'secret' IN ROLE hum_app")
    try:
        for each in {"role": "hum_app", **dict.fromkeys(LIMITS, "5s")}.items():
            if each[0] != forgets:
                await administrator.execute("ALTER ROLE {} SET {} = '{}'".format(login, *each))
        if forgets == "policies":
            await administrator.execute("ALTER TABLE calls DISABLE ROW LEVEL SECURITY")
        url = database_url.replace(database_url.split("//")[1].split("@", maxsplit=1)[0], f"{login}:secret")
        db = await Db.open(Addresses(database_url, app=url), size=2)
        if forgets:
            with pytest.raises(NotIsolated, match="calls" if forgets == "policies" else f"has no {forgets};"):
                await check_isolation(db)
        else:
            await check_isolation(db)
        await db.close()
    finally:
        await administrator.execute("ALTER TABLE calls ENABLE ROW LEVEL SECURITY")
        await administrator.execute(f"DROP ROLE {login}")
        await administrator.close()


async def test_a_policy_that_lets_everything_through_is_found(database_url: str) -> None:
    administrator = await asyncpg.connect(database_url)
    await administrator.execute("SET ROLE hum_system")
    await administrator.execute("INSERT INTO organizations (org_id, name) VALUES (gen_random_uuid(), 'one')")
    db = await Db.open(database_url, size=2)
    await check_isolation(db)
    await administrator.execute("RESET ROLE")
    await administrator.execute("CREATE POLICY careless ON organizations TO hum_app USING (true)")
    with pytest.raises(NotIsolated, match="a query without an organization sees one"):
        await check_isolation(db)
    await administrator.execute("DROP POLICY careless ON organizations")
    await administrator.close()
    await db.close()


@pytest.mark.parametrize("variable", ["HUM_DATABASE_APP_URL", "HUM_DATABASE_SYSTEM_URL"])
async def test_a_pooler_alone_is_not_enough(variable: str, tmp_path: Path) -> None:
    with pytest.raises(StartupRefusal, match="HUM_DATABASE_URL is not set; beside a pooler"):
        async with database(
            ControlSettings(**dict[str, Any](HUM_HOME=tmp_path, **{variable: "postgresql://pooler:6432/hum"}))
        ):
            pass
