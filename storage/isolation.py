"""The check at start that row level security keeps organizations apart.

Row level security binds only sessions with the right role.  Poolers often drop the role that a client asks for; such a session
keeps its login's role, and every query silently sees every organization.
"""

from collections.abc import Sequence

import asyncpg

from storage.db import ROLES, Db, Tx

SESSION = """
    SELECT current_user::text AS role, rolsuper OR rolbypassrls AS bypasses FROM pg_roles WHERE rolname = current_user
"""
SEES_AN_ORGANIZATION = "SELECT EXISTS (SELECT FROM organizations)"
#: Organizations' tables without policies that bind this session.
UNBOUND = """
    SELECT relname::text AS name FROM pg_class c
     WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT row_security_active(c.oid)
       AND has_table_privilege(c.oid, 'SELECT')
       AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attname = 'org_id')
     ORDER BY relname LIMIT 5
"""
UNLIMITED = """
    SELECT name FROM unnest(ARRAY['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout']) AS name
     WHERE current_setting(name) = '0'
"""
#: No credential has this hash.
NO_CREDENTIAL = bytes(32)
APP, SYSTEM = ROLES
SETTINGS = {APP: "HUM_DATABASE_APP_URL", SYSTEM: "HUM_DATABASE_SYSTEM_URL"}
SEE = "`hum migrate --print-roles` and docs/failover.md say how logins are set up"


class NotIsolated(Exception):  # noqa: N818
    """Sessions of this process could see other organizations' rows; the message says why and what to do."""


async def check_isolation(db: Db) -> None:
    """Check every kind of session.

    Raises NotIsolated if a query without an organization sees one, or if a session lacks its role or its time limits.
    """
    try:
        async with db.authenticated(NO_CREDENTIAL) as (tx, _):
            await _check_session(tx, APP)
            if unbound := _names(await tx.fetch(UNBOUND)):
                raise NotIsolated(f"the policies of {', '.join(unbound)} don't bind the role {APP}; {SEE}")
            if await tx.fetchval(SEES_AN_ORGANIZATION):
                raise NotIsolated(f"a query without an organization sees one: organizations are not kept apart; {SEE}")
        async with db.system() as tx:
            await _check_session(tx, SYSTEM)
        listening = await db.listen()
        try:
            role = await listening.fetchval("SELECT current_user::text")
        finally:
            await listening.close()
    except asyncpg.InsufficientPrivilegeError as error:
        raise NotIsolated(f"a login of the database lacks its role: {error}; {SEE}") from error
    if role != SYSTEM:
        raise NotIsolated(
            f"HUM_DATABASE_URL: a session that asks for the role {SYSTEM} has {role}; it must reach the server itself, not a pooler; {SEE}"
        )


async def _check_session(tx: Tx, role: str) -> None:
    session = await tx.fetchrow(SESSION)
    assert session is not None, "a session has a role"
    where = f"{SETTINGS[role]}, or HUM_DATABASE_URL where that is not set"
    if session["role"] != role or session["bypasses"]:
        role_name = f"{session['role']}, which bypasses all policies" if session["bypasses"] else session["role"]
        raise NotIsolated(
            f"{where}: a session has the role {role_name}, and needs {role}; organizations would not be kept apart; {SEE}"
        )
    if unlimited := _names(await tx.fetch(UNLIMITED)):
        raise NotIsolated(f"{where}: the login has no {', '.join(unlimited)}; {SEE}")


def _names(rows: Sequence[asyncpg.Record]) -> list[str]:
    return [row["name"] for row in rows]
