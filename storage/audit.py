"""The audit log: changes, appended in their own transaction, and reads; sealed into a hash chain afterwards."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from hum.audit import GENESIS
from storage import events
from storage.db import Tx
from storage.events import ReaderStart

APPEND = """
    INSERT INTO audit_log (org_id, actor, actor_name, action, subject, fields, request_id)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
# A read repeated within five minutes is one entry: the index ensures that within a slot, even for concurrent transactions, and the
# time condition across two slots.
APPEND_READ = """
    WITH this AS (SELECT floor(extract(epoch FROM now()) / 300)::bigint AS slot)
    INSERT INTO audit_log (org_id, actor, actor_name, action, subject, fields, request_id, read_slot)
    SELECT $1, $2, $3, $4, $5, '{}', $6, slot
      FROM this
     WHERE NOT EXISTS (SELECT FROM audit_log l
                        WHERE l.org_id = $1 AND l.subject = $5 AND l.action = $4 AND l.actor = $2 AND l.read_slot = slot - 1
                          AND l.at > now() - interval '5 minutes')
    ON CONFLICT (org_id, subject, action, actor, read_slot) WHERE read_slot IS NOT NULL DO NOTHING
"""
APPEND_ALL = """
    INSERT INTO audit_log (org_id, actor, actor_name, action, subject, fields, request_id)
    SELECT m.org_id, $2, u.email, $3, $4, '{}', $5
      FROM memberships m JOIN users u ON u.id = m.user_id
     WHERE m.user_id = $1
"""
APPEND_IN_MY_ORGANIZATIONS = "SELECT hum.note_in_my_organizations($1, $2, $3, $4, $5)"
COLUMNS = """
    l.id, l.org_id, l.at, l.actor, l.actor_name, l.action, l.subject, l.fields, l.request_id, s.seq, s.previous_hash, s.hash
"""
# A plan for each set of filters: most have an index in the list's order, and a generic plan would use none.
PLAN_ANEW = "SET LOCAL plan_cache_mode = force_custom_plan"
FILTERED = """
       l.id < coalesce($1::bigint, 9223372036854775807) AND ($2 = '' OR l.actor = $2) AND ($3 = '' OR l.subject = $3)
"""
# Ids ascend with the time of insertion, and `at` is when the transaction began.  So what a transaction of up to a quarter of an
# hour wrote before a time has a lower id than any entry of a quarter of an hour later, which the index on `at` finds.
WITHIN = """
       AND l.id < coalesce(
           (SELECT x.id FROM audit_log x WHERE x.at >= $6::timestamptz + interval '15 minutes' ORDER BY x.at LIMIT 1),
           9223372036854775807)
       AND l.id > coalesce(
           (SELECT x.id FROM audit_log x WHERE x.at < $5::timestamptz - interval '15 minutes' ORDER BY x.at DESC LIMIT 1), 0)
       AND ($5::timestamptz IS NULL OR l.at >= $5) AND ($6::timestamptz IS NULL OR l.at < $6)
"""
NEWEST = "ORDER BY l.id DESC LIMIT $4"
PAGE = f"""
    SELECT {COLUMNS} FROM audit_log l LEFT JOIN audit_seals s ON s.entry_id = l.id WHERE {FILTERED} {NEWEST}
"""
PAGE_OF_TIME = f"""
    SELECT {COLUMNS} FROM audit_log l LEFT JOIN audit_seals s ON s.entry_id = l.id WHERE {FILTERED} {WITHIN} {NEWEST}
"""
# The newest of each operation, and of these the newest: each operation has an index in the list's order.
PAGE_OF_ACTIONS = f"""
    SELECT {COLUMNS}
      FROM unnest($5::text[]) AS wanted (action)
     CROSS JOIN LATERAL (SELECT l.* FROM audit_log l WHERE l.action = wanted.action AND {FILTERED} {NEWEST}) l
      LEFT JOIN audit_seals s ON s.entry_id = l.id
     {NEWEST}
"""
PAGE_OF_ACTIONS_AND_TIME = f"""
    SELECT {COLUMNS}
      FROM unnest($7::text[]) AS wanted (action)
     CROSS JOIN LATERAL (SELECT l.* FROM audit_log l WHERE l.action = wanted.action AND {FILTERED} {WITHIN} {NEWEST}) l
      LEFT JOIN audit_seals s ON s.entry_id = l.id
     {NEWEST}
"""
SEALED = """
    SELECT l.id, l.org_id, l.at, l.actor, l.actor_name, l.action, l.subject, l.fields, l.request_id,
           s.seq, s.previous_hash, s.hash
      FROM audit_seals s JOIN audit_log l ON l.id = s.entry_id
     WHERE s.seq > $1
     ORDER BY s.seq
     LIMIT $2
"""
# Below the transaction horizon, so that a transaction that commits late is not skipped.
UNSEALED = """
    SELECT id, xid::text AS xid, org_id, at, actor, actor_name, action, subject, fields, request_id
      FROM audit_log
     WHERE (xid, id) > ($1::text::xid8, $2) AND xid < pg_snapshot_xmin(pg_current_snapshot())
     ORDER BY audit_log.xid, audit_log.id
     LIMIT $3
"""
HEADS = """
    SELECT DISTINCT ON (org_id) org_id, seq, hash
      FROM audit_seals
     WHERE org_id = ANY ($1::uuid[])
     ORDER BY org_id, seq DESC
"""
SEAL = "INSERT INTO audit_seals (org_id, seq, entry_id, previous_hash, hash) VALUES ($1, $2, $3, $4, $5)"
READER = "audit"
EXPORT_ROWS = 500


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """The filters of a page of the log; an empty one matches all.  `actions`: None matches all, no actions match none."""

    actor: str = ""
    subject: str = ""
    actions: Sequence[str] | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class AuditEntryRow:
    id: int
    org_id: UUID
    at: datetime
    actor: str
    actor_name: str
    action: str
    subject: str
    fields: Sequence[str]
    request_id: str
    seq: int | None = None
    previous_hash: bytes | None = None
    hash: bytes | None = None


async def append(
    tx: Tx,
    org: UUID,
    *,
    actor: str,
    actor_name: str,
    action: str,
    subject: str = "",
    fields: Sequence[str] = (),
    request_id: str = "",
) -> None:
    """Append a change, in the change's transaction."""
    await tx.execute(APPEND, org, actor, actor_name, action, subject, list(fields), request_id)


async def append_everywhere(tx: Tx, user: UUID, *, actor: str, action: str, subject: str, request_id: str) -> None:
    """Append a person's action to the log of each of their organizations.  Runs as the system."""
    await tx.execute(APPEND_ALL, user, actor, action, subject, request_id)


async def append_mine(tx: Tx, *, actor: str, actor_name: str, action: str, subject: str, request_id: str) -> None:
    """Append the current person's action to the log of each of their organizations."""
    await tx.execute(APPEND_IN_MY_ORGANIZATIONS, actor, actor_name, action, subject, request_id)


async def append_read(
    tx: Tx, org: UUID, *, actor: str, actor_name: str, action: str, subject: str, request_id: str
) -> None:
    """Append a read, unless the same actor's same read was logged within five minutes."""
    await tx.execute(APPEND_READ, org, actor, actor_name, action, subject, request_id)


async def page(tx: Tx, before: int | None, by: AuditFilter, limit: int) -> list[AuditEntryRow]:
    """Return entries newest first, below `before`."""
    await tx.execute(PLAN_ANEW)
    of_time = by.since is not None or by.until is not None
    parameters: list[object] = [before, by.actor, by.subject, limit, *((by.since, by.until) if of_time else ())]
    query = PAGE_OF_TIME if of_time else PAGE
    if by.actions is not None:
        query = PAGE_OF_ACTIONS_AND_TIME if of_time else PAGE_OF_ACTIONS
        parameters.append(list(by.actions))
    return [AuditEntryRow(**row) for row in await tx.fetch(query, *parameters)]


async def sealed_after(tx: Tx, seq: int) -> list[AuditEntryRow]:
    """Return the next sealed entries of the tenant's chain."""
    return [AuditEntryRow(**row) for row in await tx.fetch(SEALED, seq, EXPORT_ROWS)]


async def seal(tx: Tx, link: Callable[[bytes, int, AuditEntryRow], bytes], limit: int = 1000) -> int:
    """Seal what was committed since; return how many entries.  Runs as the system.

    `link` makes a hash from previous hash, sequence and entry.  The reader's row is locked, so one worker seals at a time.
    """
    at = await events.lock_position(tx, READER, ReaderStart.BEGINNING)
    rows = await tx.fetch(UNSEALED, *at, limit) if at else []
    if not rows:
        return 0
    orgs = list({row["org_id"] for row in rows})
    heads = {row["org_id"]: (row["seq"], bytes(row["hash"])) for row in await tx.fetch(HEADS, orgs)}
    seals = []
    for row in rows:
        entry = AuditEntryRow(**{name: value for name, value in row.items() if name != "xid"})
        seq, previous = heads.get(entry.org_id, (0, GENESIS))
        hash = link(previous, seq + 1, entry)
        seals.append((entry.org_id, seq + 1, entry.id, previous, hash))
        heads[entry.org_id] = (seq + 1, hash)
    await tx.executemany(SEAL, seals)
    await events.advance(tx, READER, rows[-1]["xid"], rows[-1]["id"])
    return len(rows)
