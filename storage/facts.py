"""`python -m storage.facts`: facts about the database of HUM_DATABASE_URL for `hum doctor`, as one JSON object.

It only reads, within `TIMEOUT_SECONDS`.  If the database can't be used, the object has only `fault`.
"""

import asyncio
import json
import sys
from typing import Any

import asyncpg

from hum import settings
from hum.clock import now
from hum.network import redacted_url
from hum.settings import DatabaseSettings
from storage.db import REFUSED, UNAVAILABLE
from storage.migrate import APPLIED, EXTENSIONS, MISSING_EXTENSIONS, MISSING_ROLES, migrations
from storage.servers import DatabaseServer

TIMEOUT_SECONDS = 5.0
MOST_NUMBERS = 1000
MEDIA_SILENT_SECONDS = 30.0
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
#: Live media processes; those without a recent heartbeat are gone.
MEDIA = """
    SELECT coalesce(refuses, '') AS refuses, zone, version, coalesce(places, 0) AS places FROM media_links
     WHERE link IS NOT NULL AND seen_at > now() - make_interval(secs => $1)
     ORDER BY node LIMIT 100
"""
LAST_CALL = """
    SELECT extract(epoch FROM now() - created_at) AS seconds_ago, status, coalesce(end_reason, '') AS reason
      FROM calls ORDER BY created_at DESC LIMIT 1
"""
SILENT = """
    SELECT e164 FROM numbers n LEFT JOIN flows f ON f.id = n.flow_id AND f.deleted_at IS NULL
     WHERE n.status = 'active' AND f.id IS NULL
     ORDER BY e164 LIMIT $1
"""
NUMBERS = "SELECT e164 FROM numbers WHERE status = 'active' ORDER BY e164 LIMIT $1"


async def facts(url: str) -> dict[str, Any]:
    """Return the facts, in the shape of `cli.doctor.facts.DatabaseFacts`."""
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            connection = await _connect(DatabaseServer(url))
            try:
                return await _facts(connection)
            finally:
                await connection.close(timeout=1)
    except (*UNAVAILABLE, *REFUSED, asyncpg.PostgresError, TimeoutError) as error:
        return {"fault": f"can't use {redacted_url(url)}: {error or type(error).__name__}"}


async def _connect(server: DatabaseServer) -> "asyncpg.Connection[asyncpg.Record]":
    """Connect to the primary, or to any server if there is none."""
    try:
        return await server.connect()
    except asyncpg.TargetServerAttributeNotMatched:
        return await server.connect(target_session_attrs="any")


async def _facts(connection: "asyncpg.Connection[asyncpg.Record]") -> dict[str, Any]:
    server = await connection.fetchrow(SERVER)
    assert server is not None
    skew_seconds = (server["at"] - now()).total_seconds()
    missing = [row["name"] for row in await connection.fetch(MISSING_ROLES)]
    result: dict[str, Any] = {
        "version": server["version"],
        "encoding": server["encoding"],
        "is_standby": server["is_standby"],
        "settings": {row["name"]: row["setting"] for row in await connection.fetch(SETTINGS, NAMES)},
        "missing_roles": missing,
        "missing_extensions": [row["name"] for row in await connection.fetch(MISSING_EXTENSIONS, EXTENSIONS)],
        "skew_seconds": skew_seconds,
    }
    names_by_version = {file.version: file.name for file in migrations()}
    applied: set[int] = set()
    if server["has_ledger"] and not missing:
        async with connection.transaction(readonly=True):
            await connection.execute("SET LOCAL ROLE hum_owner")
            applied = {row["version"] for row in await connection.fetch(APPLIED)}
    result |= {
        "unapplied": [name for version, name in names_by_version.items() if version not in applied],
        "is_newer": bool(applied - names_by_version.keys()),
    }
    if applied == names_by_version.keys():
        async with connection.transaction(readonly=True):
            await connection.execute("SET LOCAL ROLE hum_system")
            result["numbers"] = [row["e164"] for row in await connection.fetch(NUMBERS, MOST_NUMBERS)]
            result["silent"] = [row["e164"] for row in await connection.fetch(SILENT, MOST_NUMBERS)]
            result["media"] = [dict(row) for row in await connection.fetch(MEDIA, MEDIA_SILENT_SECONDS)]
            call = await connection.fetchrow(LAST_CALL)
            result["last_call"] = None if call is None else {**call, "seconds_ago": float(call["seconds_ago"])}
    return result


def main() -> None:
    url = settings.load(DatabaseSettings).database_url
    sys.stdout.write(json.dumps(asyncio.run(facts(url))) + "\n")


if __name__ == "__main__":
    main()
