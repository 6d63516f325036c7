"""`python -m storage.facts`: what `hum doctor` wants to know of HUM_DATABASE_URL, as one JSON object.

Reads only, and waits for nothing longer than `LOOK_SECONDS`.  When it can't look, the object has only `fault`.
"""

import asyncio
import json
import sys
from typing import Any

import asyncpg

from hum import settings
from hum.clock import now
from hum.network import shown_url
from hum.settings import DatabaseSettings
from storage.db import AWAY, REFUSED
from storage.migrate import APPLIED, MISSING_ROLES, migrations

LOOK_SECONDS = 5.0
MOST_NUMBERS = 1000
NAMES = (
    "max_connections",
    "fsync",
    "full_page_writes",
    "synchronous_commit",
    "autovacuum",
    "default_transaction_read_only",
)
SETTINGS = "SELECT name, setting FROM pg_settings WHERE name = ANY($1)"
SERVER = """
    SELECT current_setting('server_version_num')::integer AS version, current_setting('server_encoding') AS encoding,
           pg_is_in_recovery() AS is_standby, clock_timestamp() AS at, to_regclass('hum_migrations') IS NOT NULL AS has_ledger
"""
NUMBERS = "SELECT e164 FROM numbers WHERE status = 'active' ORDER BY e164 LIMIT $1"


async def facts(url: str) -> dict[str, Any]:
    """As `hum.cli.doctor.facts.Database` has them."""
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            connection = await asyncpg.connect(url, timeout=LOOK_SECONDS)
            try:
                return await _facts(connection)
            finally:
                await connection.close(timeout=1)
    except (*AWAY, *REFUSED, asyncpg.PostgresError, TimeoutError) as error:
        return {"fault": f"can't use {shown_url(url)}: {error or type(error).__name__}"}


async def _facts(connection: "asyncpg.Connection[asyncpg.Record]") -> dict[str, Any]:
    server = await connection.fetchrow(SERVER)
    assert server is not None
    skew_seconds = (server["at"] - now()).total_seconds()
    missing = [row["name"] for row in await connection.fetch(MISSING_ROLES)]
    found: dict[str, Any] = {
        "version": server["version"],
        "encoding": server["encoding"],
        "is_standby": server["is_standby"],
        "settings": {row["name"]: row["setting"] for row in await connection.fetch(SETTINGS, NAMES)},
        "missing_roles": missing,
        "skew_seconds": skew_seconds,
    }
    known = {each.version: each.name for each in migrations()}
    applied: set[int] = set()
    if server["has_ledger"] and not missing:
        async with connection.transaction(readonly=True):
            await connection.execute("SET LOCAL ROLE hum_owner")
            applied = {row["version"] for row in await connection.fetch(APPLIED)}
    found |= {
        "unapplied": [name for version, name in known.items() if version not in applied],
        "is_newer": bool(applied - known.keys()),
    }
    if applied == known.keys():
        async with connection.transaction(readonly=True):
            await connection.execute("SET LOCAL ROLE hum_system")
            found["numbers"] = [row["e164"] for row in await connection.fetch(NUMBERS, MOST_NUMBERS)]
    return found


def main() -> None:
    url = settings.load(DatabaseSettings).database_url
    sys.stdout.write(json.dumps(asyncio.run(facts(url))) + "\n")


if __name__ == "__main__":
    main()
