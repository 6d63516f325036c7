"""What has changed in an organization, in the order of commits, and how much waits in its inbox.

As for events (`storage.events`), a reader reads below the transaction horizon.  Its place is a transaction: all changes up to
and with it were read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from storage.db import Tx
from storage.inbox import SHOWN, ThreadRow
from storage.messages import COLUMNS, MessageRow, read

# Whatever commits after this look belongs to a transaction that is not over now.
CHANGED = """
    SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS below,
           ARRAY(SELECT w.org_id FROM unnest($1::uuid[]) AS w (org_id)
                  WHERE EXISTS (SELECT FROM inbox_changes c WHERE c.org_id = w.org_id AND c.xid >= $2::text::xid8)) AS orgs
"""
HORIZON = """
    SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS xmin, (SELECT xid::text FROM inbox_floor) AS floor
"""
# A row of texts says of what by the column that is set; a later one by its kind.
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
FORGET = """
    WITH old AS (
        DELETE FROM inbox_changes
         WHERE id IN (SELECT id FROM inbox_changes WHERE changed_at < now() - $1::interval ORDER BY changed_at LIMIT $2)
        RETURNING xid),
    raised AS (
        UPDATE inbox_floor f SET xid = greatest(f.xid, o.xid) FROM (SELECT xid FROM old ORDER BY xid DESC LIMIT 1) o)
    SELECT count(*) FROM old
"""
# Each count reads at most $2 + 1 entries of one index, however many wait.
WAITING = """
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
    """`below`: transactions before this one are over.  `floor`: changes up to this one may be forgotten."""

    below: int
    floor: int


@dataclass(frozen=True, slots=True)
class Change:
    """A thing of which something has changed: of a kind such as `message`; `made`: it is new."""

    xid: int
    id: int
    kind: str
    thing_id: UUID
    made: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many open conversations are unread; at most one more than was asked for."""

    all: int
    nobody: int
    members: dict[UUID, int]


async def horizon(tx: Tx) -> Horizon:
    row = await tx.fetchrow(HORIZON)
    assert row is not None
    return Horizon(int(row["xmin"]), int(row["floor"]))


async def after(tx: Tx, place: tuple[int, int], below: int, limit: int) -> Sequence[Change]:
    """The organization's changes after a transaction and id, of transactions below `below`."""
    rows = await tx.fetch(AFTER, str(place[0]), place[1], str(below), limit)
    return [Change(**{**row, "xid": int(row["xid"])}) for row in rows]


async def changed(tx: Tx, orgs: Sequence[UUID], since: str) -> tuple[Sequence[UUID], str]:
    """As the system: those of these organizations with changes of a transaction `since`, or a later one; and since which to ask
    next time.
    """
    row = await tx.fetchrow(CHANGED, orgs, since)
    assert row is not None
    return row["orgs"], row["below"]


async def is_more(tx: Tx, below: int) -> bool:
    """Whether there are changes of the organization that can't be read before an older transaction is over."""
    return bool(await tx.fetchval(IS_MORE, str(below)))


async def messages(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, MessageRow]:
    """Those of these messages that there are."""
    found = [read(row) for row in await tx.fetch(MESSAGES, ids)] if ids else []
    return {row.id: row for row in found}


async def threads(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, ThreadRow]:
    """Those of these conversations that there are."""
    found = [ThreadRow(**row) for row in await tx.fetch(THREADS, ids)] if ids else []
    return {row.id: row for row in found}


async def forget(tx: Tx, keep: timedelta, limit: int) -> int:
    """As the system: forget some of the changes that are older than this; return how many."""
    forgotten: int = await tx.fetchval(FORGET, keep, limit)
    return forgotten


async def waiting(tx: Tx, most: int, members: int) -> Waiting:
    """How many open conversations are unread: each count up to `most` and one more, and of so many members."""
    rows = await tx.fetch(WAITING, most, members)
    by = {row["whose"]: row["unread"] for row in rows}
    return Waiting(
        by["all"], by["nobody"], {row["assignee_id"]: row["unread"] for row in rows if row["whose"] == "member"}
    )
