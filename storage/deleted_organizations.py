"""Deletion of organizations, as the system: obstacles, what ends at once, and then every row."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from graphlib import TopologicalSorter
from uuid import UUID

from storage.db import Tx

# Any new row refers to the organization, and waits for this lock.
LOCK = "SELECT name FROM organizations WHERE org_id = $1 FOR UPDATE"
HINDRANCES = """
    SELECT (SELECT count(*) FROM calls WHERE org_id = $1 AND status IN ('ringing', 'in_progress'))
           + (SELECT count(*) FROM outbound_attempts
               WHERE org_id = $1 AND status IN ('dialling', 'under_way')) AS calls,
           (SELECT count(*) FROM message_attempts WHERE org_id = $1 AND state = 'posting') AS texts,
           (SELECT count(*) FROM numbers WHERE org_id = $1 AND status = 'releasing')
           + (SELECT count(*) FROM number_purchases WHERE org_id = $1 AND status IN ('buying', 'returning')) AS orders,
           (SELECT count(*) FROM billing_accounts
             WHERE org_id = $1 AND subscription_id IS NOT NULL AND status <> ALL ($2)) AS subscriptions,
           (SELECT count(*) FROM billing_checkouts
             WHERE org_id = $1 AND ended_at IS NULL AND coalesce(expires_at > now() - $3::interval, true)) AS checkouts
"""
BEGIN = """
    INSERT INTO deleted_organizations (id, name, actor, numbers)
    SELECT org_id, name, $2, ARRAY(SELECT e164 FROM numbers WHERE org_id = $1 ORDER BY e164)
      FROM organizations WHERE org_id = $1
"""
GET = "SELECT name, numbers, rows, ended_at IS NOT NULL AS is_done FROM deleted_organizations WHERE id = $1"
LOCK_OPEN = "SELECT true FROM deleted_organizations WHERE id = $1 AND ended_at IS NULL FOR NO KEY UPDATE"
OPEN = "SELECT id FROM deleted_organizations WHERE ended_at IS NULL ORDER BY begun_at"
ENDED = "SELECT id FROM deleted_organizations WHERE id = ANY($1) AND ended_at IS NOT NULL"
COUNT = "UPDATE deleted_organizations SET rows = rows + $2 WHERE id = $1"
# A file that arrives late reopens a deletion, which continues until that file is gone, too.
REOPEN = "UPDATE deleted_organizations SET ended_at = NULL WHERE id = $1"
SCHEDULE_FILES = """
    INSERT INTO erased_calls (org_id, call_id, called_at, paths) VALUES ($1, $2, now(), '{}')
    ON CONFLICT (call_id) DO UPDATE SET files_gone_at = NULL
"""
END = "UPDATE deleted_organizations SET ended_at = now() WHERE id = $1"

# Such a number neither receives nor sends; its row is deleted after those that refer to it.
STOP_NUMBERS = "UPDATE numbers SET status = 'gone', flow_id = NULL, sms_flow_id = NULL WHERE org_id = $1"
END_KEYS = "DELETE FROM api_keys WHERE org_id = $1 RETURNING id"
END_MEMBERSHIPS = "DELETE FROM memberships WHERE org_id = $1 RETURNING user_id"
END_INVITES = "DELETE FROM invites WHERE org_id = $1"
LEAVE = "UPDATE sessions SET org_id = NULL WHERE org_id = $1"
DROP_JOBS = "DELETE FROM pgqueuer WHERE headers ->> 'organization' = $1 AND status <> 'picked'"

CALLS = "SELECT id FROM calls WHERE org_id = hum.org_id() ORDER BY id LIMIT $1 FOR UPDATE"
FILES_LEFT = """
    SELECT EXISTS (SELECT FROM erased_calls WHERE org_id = $1 AND files_gone_at IS NULL)
        OR EXISTS (SELECT FROM dropped_recordings WHERE org_id = $1 AND gone_at IS NULL)
        OR EXISTS (SELECT FROM erased_media WHERE org_id = $1)
"""
#: A session is a person's; it belongs to an organization only while the person works in it.
TABLES = """
    SELECT c.relname::text AS name,
           ARRAY(SELECT p.relname::text FROM pg_constraint k JOIN pg_class p ON p.oid = k.confrelid
                  WHERE k.conrelid = c.oid AND k.contype = 'f' AND k.confrelid <> c.oid) AS parents
      FROM pg_class c
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
       AND c.relname NOT IN ('organizations', 'sessions')
       AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'org_id' AND NOT a.attisdropped)
     ORDER BY c.relname
"""
DELETE_ROWS = "SELECT hum.delete_rows_of($1, $2::text::regclass, $3)"
#: Deleted only with the organization, and by the owner role.
AUDIT = ("audit_log", "audit_seals")
DELETE_AUDIT = "SELECT hum.delete_audit_of($1, $2::text::regclass, $3)"
DELETE_ORGANIZATION = "DELETE FROM organizations WHERE org_id = $1"
#: Tables that list the files to delete; they are deleted after the files.
FILE_TABLES = ("erased_calls", "dropped_recordings", "erased_media")


@dataclass(frozen=True, slots=True)
class HindrancesRow:
    """An organization's activities that block its deletion, as counts."""

    calls: int
    texts: int
    orders: int
    subscriptions: int
    checkouts: int


@dataclass(frozen=True, slots=True)
class DeletionRow:
    """A deletion that is in progress or done; `rows`: how many were deleted so far."""

    name: str
    numbers: Sequence[str]
    rows: int
    is_done: bool


async def lock(tx: Tx, org: UUID) -> str | None:
    """Lock an organization against new activities; return its name, or None if there is no such organization."""
    name: str | None = await tx.fetchval(LOCK, org)
    return name


async def hindrances(tx: Tx, org: UUID, ended_subscriptions: Sequence[str], late: timedelta) -> HindrancesRow:
    """Count the activities that block a deletion; a subscription with one of these statuses is over, and a checkout that
    has expired longer than `late` ago.
    """
    row = await tx.fetchrow(HINDRANCES, org, list(ended_subscriptions), late)
    assert row is not None, "counts have a row"
    return HindrancesRow(**row)


async def begin(tx: Tx, org: UUID, actor: str) -> Sequence[UUID]:
    """Begin a deletion: end numbers, keys, memberships, invitations, queued jobs; return the keys and people cut off."""
    await tx.execute(BEGIN, org, actor)
    await tx.execute(STOP_NUMBERS, org)
    ended = [row[0] for row in await tx.fetch(END_KEYS, org)]
    ended += [row[0] for row in await tx.fetch(END_MEMBERSHIPS, org)]
    await tx.execute(END_INVITES, org)
    await tx.execute(LEAVE, org)
    await tx.execute(DROP_JOBS, str(org))
    return ended


async def get(tx: Tx, org: UUID) -> DeletionRow | None:
    """Return a deletion that has begun, or None."""
    row = await tx.fetchrow(GET, org)
    return DeletionRow(**row) if row else None


async def lock_open(tx: Tx, org: UUID) -> bool:
    """Lock a deletion; return False if it is done."""
    return bool(await tx.fetchval(LOCK_OPEN, org))


async def unfinished(tx: Tx) -> Sequence[UUID]:
    """Return the organizations with an unfinished deletion."""
    return [row["id"] for row in await tx.fetch(OPEN)]


async def ended(tx: Tx, orgs: Sequence[UUID]) -> Sequence[UUID]:
    """Return those of these organizations that are deleted completely."""
    return [row["id"] for row in await tx.fetch(ENDED, list(orgs))]


async def lock_calls(tx: Tx, limit: int) -> Sequence[UUID]:
    """Lock and return some of the tenant's calls.  Runs as the tenant."""
    return [row["id"] for row in await tx.fetch(CALLS, limit)]


async def tables(tx: Tx) -> Sequence[str]:
    """Return every table with organizations' rows: referring tables before the referred ones, and the lists of files last."""
    rows = await tx.fetch(TABLES)
    names = {row["name"] for row in rows}
    # Safe, because no deletion from another table cascades to the lists of files.
    graph = TopologicalSorter({row["name"]: names.intersection(row["parents"]) for row in rows})
    ordered = [name for name in reversed(list(graph.static_order())) if name not in FILE_TABLES]
    return [*ordered, *FILE_TABLES]


async def delete_rows(tx: Tx, org: UUID, table: str, limit: int) -> int:
    """Delete some of an organization's rows of a table; return how many."""
    deleted: int = await tx.fetchval(DELETE_AUDIT if table in AUDIT else DELETE_ROWS, org, table, limit)
    return deleted


async def count(tx: Tx, org: UUID, rows: int) -> None:
    """Count deleted rows."""
    await tx.execute(COUNT, org, rows)


async def has_files(tx: Tx, org: UUID) -> bool:
    """Return whether files of the organization may still exist."""
    return bool(await tx.fetchval(FILES_LEFT, org))


async def schedule_late_files(tx: Tx, org: UUID, call: UUID) -> bool:
    """Schedule the deletion of a call's late files; return False if no such organization was deleted."""
    if await tx.execute(REOPEN, org) != "UPDATE 1":
        return False
    await tx.execute(SCHEDULE_FILES, org, call)
    return True


async def end(tx: Tx, org: UUID) -> None:
    """Delete the organization itself, of which nothing else is left."""
    await tx.execute(DELETE_ORGANIZATION, org)
    for table in await tables(tx):
        while await delete_rows(tx, org, table, 1000):
            pass
    await tx.execute(END, org)
