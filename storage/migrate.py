"""Migrations: numbered SQL files, each in one transaction, once, under an advisory lock.

They run as hum_owner.  A step that moves data begins with `SET LOCAL ROLE hum_system`: under FORCE ROW LEVEL SECURITY
even a table's owner updates no rows, and gets no error.
"""

import hashlib
from importlib import resources
from typing import NamedTuple

import asyncpg

from storage.servers import DatabaseServer, Timeouts

LOCK_ID = 0x48554D  # "HUM"

ROLES = """\
-- Run once, as a superuser (or the managed database's administrator), connected to HUM's database.
-- <login> is the user of HUM_DATABASE_URL.
CREATE ROLE hum_owner NOLOGIN;
CREATE ROLE hum_app NOLOGIN;
CREATE ROLE hum_system NOLOGIN;
GRANT hum_owner, hum_app, hum_system TO <login>;
GRANT CREATE ON DATABASE <database> TO hum_owner;
GRANT USAGE, CREATE ON SCHEMA public TO hum_owner;
GRANT USAGE ON SCHEMA public TO hum_app, hum_system;

-- Only for a pooler in transaction mode (HUM_DATABASE_APP_URL, HUM_DATABASE_SYSTEM_URL): two more logins, which bring with them what a
-- session can't ask a pooler for.  The limits are those of hum/settings/database.py.
CREATE ROLE <app_login> LOGIN NOINHERIT PASSWORD '<password>' IN ROLE hum_app;
ALTER ROLE <app_login> SET role = 'hum_app';
CREATE ROLE <system_login> LOGIN NOINHERIT PASSWORD '<password>' IN ROLE hum_system;
ALTER ROLE <system_login> SET role = 'hum_system';
ALTER ROLE <app_login> SET statement_timeout = '15s';
ALTER ROLE <app_login> SET lock_timeout = '5s';
ALTER ROLE <app_login> SET idle_in_transaction_session_timeout = '60s';
ALTER ROLE <system_login> SET statement_timeout = '15s';
ALTER ROLE <system_login> SET lock_timeout = '5s';
ALTER ROLE <system_login> SET idle_in_transaction_session_timeout = '60s';

-- To measure how far standbys are behind; nothing else needs it.
GRANT pg_read_all_stats TO hum_system;
"""

LEDGER = """
    CREATE TABLE IF NOT EXISTS hum_migrations (
        version integer PRIMARY KEY,
        name text NOT NULL,
        sha256 bytea NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now()
    )
"""
APPLIED = "SELECT version, name, sha256 FROM hum_migrations ORDER BY version"
APPLY = "INSERT INTO hum_migrations (version, name, sha256) VALUES ($1, $2, $3)"
MISSING_ROLES = """
    SELECT name FROM unnest(ARRAY['hum_owner', 'hum_app', 'hum_system']) AS name
     WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name AND pg_has_role(current_user, oid, 'MEMBER'))
"""


#: Extensions that migrations create.
EXTENSIONS = ("btree_gist",)
# Those that the server can't create, because its files are missing.
MISSING_EXTENSIONS = """
    SELECT name FROM unnest($1::text[]) AS name WHERE name NOT IN (SELECT e.name FROM pg_available_extensions e) ORDER BY name
"""
NO_EXTENSION = (
    "the server has no extension {}, which the book needs; install PostgreSQL's contrib modules (postgresql-contrib), or "
    "have the managed database allow it"
)
FORBIDDEN_EXTENSION = "the login may not create the extension {}; as an administrator, connected to HUM's database, run CREATE EXTENSION {}"

POOLED = (
    "HUM_DATABASE_URL leads to a pooler ({}); it must lead to the server itself, and a pooler's URLs are HUM_DATABASE_APP_URL and "
    "HUM_DATABASE_SYSTEM_URL (docs/failover.md)"
)
LOCK_TIMEOUT_MS = "SELECT setting::integer FROM pg_settings WHERE name = 'lock_timeout'"

RESTORED = "INSERT INTO restorations DEFAULT VALUES"

# Positions of readers beyond any transaction of this server.
AHEAD = """
    SELECT EXISTS (SELECT FROM event_cursors WHERE xid > pg_snapshot_xmax(pg_current_snapshot()))
"""


class Migration(NamedTuple):
    version: int
    name: str
    sql: str

    @property
    def sha256(self) -> bytes:
        return hashlib.sha256(self.sql.encode()).digest()


class CannotMigrate(Exception):  # noqa: N818
    """Migrations can't be applied to this database; the message says why."""


def migrations() -> list[Migration]:
    """Return all migrations, in order."""
    files = sorted(resources.files("storage").joinpath("migrations").iterdir(), key=lambda file: file.name)
    return [
        Migration(int(file.name[:4]), file.name[5:-4], file.read_text()) for file in files if file.name.endswith(".sql")
    ]


async def migrate(
    url: str,
    *,
    lock_seconds: float = 30.0,
    statement_seconds: float = 300.0,
    timeouts: Timeouts | None = None,
    restored: bool = False,
) -> list[str]:
    """Bring the database up to date; return the names of the applied migrations.  Raises CannotMigrate.

    `restored`: record that the database was restored from a backup, so that nothing sent since the backup is sent again.

    Processes may call this concurrently: one migrates, the others wait and find nothing to do.
    """
    limits = {"lock_timeout": f"{lock_seconds:.0f}s", "statement_timeout": f"{statement_seconds:.0f}s"}
    try:
        connection = await DatabaseServer(url, timeouts).connect(server_settings=limits)
    except asyncpg.ProtocolViolationError as error:
        raise CannotMigrate(POOLED.format(error)) from error
    try:
        if await connection.fetchval(LOCK_TIMEOUT_MS) != round(lock_seconds) * 1000:
            raise CannotMigrate(POOLED.format("it drops the settings that a session asks for"))
        if missing := [row["name"] for row in await connection.fetch(MISSING_ROLES)]:
            raise CannotMigrate(f"the login lacks the roles {', '.join(missing)}; see `hum migrate --print-roles`")
        if absent := [row["name"] for row in await connection.fetch(MISSING_EXTENSIONS, EXTENSIONS)]:
            raise CannotMigrate(NO_EXTENSION.format(", ".join(absent)))
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK_ID)
        await connection.execute("SET ROLE hum_owner")
        await connection.execute(LEDGER)
        applied = await _apply(connection, migrations())
        await _refuse_foreign_positions(connection)
        if restored:
            await connection.execute(RESTORED)
        return applied
    except asyncpg.InsufficientPrivilegeError as error:
        denied = [name for name in EXTENSIONS if f'extension "{name}"' in str(error)]
        if not denied:
            raise
        raise CannotMigrate(FORBIDDEN_EXTENSION.format(denied[0], denied[0])) from error
    except asyncpg.LockNotAvailableError as error:
        raise CannotMigrate("another process is migrating this database; try again when it is done") from error
    finally:
        await connection.close()


async def _refuse_foreign_positions(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Raise CannotMigrate if readers' positions are beyond this server's transactions: they would wait for ever."""
    if await connection.fetchval(AHEAD):
        raise CannotMigrate(
            "this database was dumped from another server with higher transaction numbers than this one's; restore "
            "a physical backup instead (docs/backup.md)"
        )


async def _apply(connection: "asyncpg.Connection[asyncpg.Record]", files: list[Migration]) -> list[str]:
    applied = {row["version"]: row for row in await connection.fetch(APPLIED)}
    if newer := sorted(applied.keys() - {file.version for file in files}):
        raise CannotMigrate(f"the database is newer than this program: it has migration {newer[-1]}; run that release")
    names = []
    for file in files:
        if (row := applied.get(file.version)) is not None:
            if bytes(row["sha256"]) != file.sha256:
                raise CannotMigrate(f"migration {file.version} was changed after it was applied; restore its file")
            continue
        async with connection.transaction():
            await connection.execute(file.sql)
            await connection.execute("SET LOCAL ROLE hum_owner")
            await connection.execute(APPLY, file.version, file.name, file.sha256)
        names.append(f"{file.version:04d}_{file.name}")
    return names
