"""An organization's changes in commit order, and the unread counts of its inbox.

As for events (`storage.events`), a reader reads below the transaction horizon.  Its position is a transaction: all changes
up to and including it were read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from storage.db import Tx
from storage.inbox import SHOWN, ThreadRow
from storage.messages import COLUMNS, MessageRow, read

# A transaction that commits after this query is at or above `below`.
CHANGED = """
    SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS below,
           ARRAY(SELECT w.org_id FROM unnest($1::uuid[]) AS w (org_id)
                  WHERE EXISTS (SELECT FROM inbox_changes c WHERE c.org_id = w.org_id AND c.xid >= $2::text::xid8)) AS orgs
"""
HORIZON = """
    SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS xmin, (SELECT xid::text FROM inbox_floor) AS floor
"""
# A row about texts tells its kind by the column that is set, any other row by `kind`.
AFTER = """
    SELECT xid::text AS xid, id,
           coalesce(kind, CASE WHEN message_id IS NOT NULL THEN 'message'
                               WHEN conversation_id IS NOT NULL THEN 'conversation'
                               ELSE 'campaign' END) AS kind,
           coalesce(thing_id, message_id, conversation_id, campaign_id) AS thing_id, made
      FROM inbox_changes
     WHERE org_id = (SELECT hum.org_id()) AND (xid, id) > ($1::text::xid8, $2) AND xid < $3::text::xid8
     ORDER BY inbox_changes.xid, inbox_changes.id
     LIMIT $4
"""
IS_MORE = "SELECT EXISTS (SELECT FROM inbox_changes WHERE org_id = (SELECT hum.org_id()) AND xid >= $1::text::xid8)"
MESSAGES = f"SELECT {COLUMNS} FROM messages m WHERE m.id = ANY ($1)"
THREADS = f"SELECT {SHOWN} FROM conversations c LEFT JOIN contacts k ON k.id = c.contact_id WHERE c.id = ANY ($1)"
PRUNE = """
    WITH old AS (
        DELETE FROM inbox_changes
         WHERE id IN (SELECT id FROM inbox_changes WHERE changed_at < now() - $1::interval ORDER BY changed_at LIMIT $2)
        RETURNING xid),
    raised AS (
        UPDATE inbox_floor f SET xid = greatest(f.xid, o.xid) FROM (SELECT xid FROM old ORDER BY xid DESC LIMIT 1) o)
    SELECT count(*) FROM old
"""
# Each count reads at most $1 + 1 entries of one index, however many wait.
COUNT_UNREAD = """
    WITH RECURSIVE has AS (
        (SELECT assignee_id AS id FROM conversations
          WHERE org_id = (SELECT hum.org_id()) AND unread_count > 0 AND status = 'open' AND assignee_id IS NOT NULL
          ORDER BY assignee_id LIMIT 1)
        UNION ALL
        SELECT (SELECT assignee_id FROM conversations
                 WHERE org_id = (SELECT hum.org_id()) AND unread_count > 0 AND status = 'open' AND assignee_id > has.id
                 ORDER BY assignee_id LIMIT 1)
          FROM has WHERE has.id IS NOT NULL)
    SELECT 'all' AS whose, NULL::uuid AS assignee_id,
           (SELECT count(*) FROM (SELECT FROM conversations
                                   WHERE org_id = (SELECT hum.org_id()) AND unread_count > 0 AND status = 'open'
                                   LIMIT $1 + 1) found) AS unread
    UNION ALL
    SELECT 'nobody', NULL,
           (SELECT count(*) FROM (SELECT FROM conversations
                                   WHERE org_id = (SELECT hum.org_id()) AND unread_count > 0 AND status = 'open'
                                     AND assignee_id IS NULL
                                   LIMIT $1 + 1) found)
    UNION ALL
    (SELECT 'member', has.id,
           (SELECT count(*) FROM (SELECT FROM conversations
                                   WHERE org_id = (SELECT hum.org_id()) AND unread_count > 0 AND status = 'open'
                                     AND assignee_id = has.id
                                   LIMIT $1 + 1) found)
      FROM has WHERE has.id IS NOT NULL
     LIMIT $2)
"""


@dataclass(frozen=True, slots=True)
class Horizon:
    """`below`: all transactions before this one have ended.  `floor`: changes up to this one may be pruned."""

    below: int
    floor: int


@dataclass(frozen=True, slots=True)
class InboxChange:
    """A change of a thing; `kind`: such as `message`; `made`: the thing is new."""

    xid: int
    id: int
    kind: str
    thing_id: UUID
    made: bool


@dataclass(frozen=True, slots=True)
class UnreadCounts:
    """Numbers of unread open conversations; each count stops at one above its limit."""

    total: int
    unassigned: int
    members: dict[UUID, int]


async def horizon(tx: Tx) -> Horizon:
    row = await tx.fetchrow(HORIZON)
    assert row is not None
    return Horizon(int(row["xmin"]), int(row["floor"]))


async def after(tx: Tx, position: tuple[int, int], below: int, limit: int) -> Sequence[InboxChange]:
    """Return the organization's changes after a transaction and id, of transactions below `below`."""
    rows = await tx.fetch(AFTER, str(position[0]), position[1], str(below), limit)
    return [InboxChange(**{**row, "xid": int(row["xid"])}) for row in rows]


async def changed_organizations(tx: Tx, orgs: Sequence[UUID], since: str) -> tuple[Sequence[UUID], str]:
    """Return those of these organizations with changes of transaction `since` or later, and the `since` of the next query.

    Runs as the system.
    """
    row = await tx.fetchrow(CHANGED, orgs, since)
    assert row is not None
    return row["orgs"], row["below"]


async def has_more(tx: Tx, below: int) -> bool:
    """Return whether the organization has changes that can't be read before an older transaction has ended."""
    return bool(await tx.fetchval(IS_MORE, str(below)))


async def messages(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, MessageRow]:
    """Return those of these messages that exist."""
    rows = [read(row) for row in await tx.fetch(MESSAGES, ids)] if ids else []
    return {row.id: row for row in rows}


async def threads(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, ThreadRow]:
    """Return those of these conversations that exist."""
    rows = [ThreadRow(**row) for row in await tx.fetch(THREADS, ids)] if ids else []
    return {row.id: row for row in rows}


async def prune(tx: Tx, keep: timedelta, limit: int) -> int:
    """Prune at most `limit` changes that are older than `keep`; return how many.  Runs as the system."""
    pruned: int = await tx.fetchval(PRUNE, keep, limit)
    return pruned


async def unread_counts(tx: Tx, limit: int, members: int) -> UnreadCounts:
    """Count unread open conversations, each count up to `limit` + 1, and for at most `members` members."""
    rows = await tx.fetch(COUNT_UNREAD, limit, members)
    by = {row["whose"]: row["unread"] for row in rows}
    return UnreadCounts(
        by["all"], by["nobody"], {row["assignee_id"]: row["unread"] for row in rows if row["whose"] == "member"}
    )
