"""How many calls an organization has ordered, and how often it has called a number, within 24 hours."""

from datetime import datetime
from uuid import UUID

from storage.db import Tx

#: Serializes the orders of one organization, so that each counts the others.
LOCK_ORGANIZATION = "SELECT FROM organizations WHERE org_id = hum.org_id() FOR NO KEY UPDATE"
COUNT = """
    SELECT count(*) AS of_organization, count(*) FILTER (WHERE to_e164 = $1) AS of_callee
      FROM outbound_calls
     WHERE org_id = hum.org_id() AND created_at > now() - interval '1 day'
"""
#: The end of the 24 hours after the attempt before which $3 others were begun since.
FREE_AT = """
    SELECT started_at + interval '1 day' FROM outbound_attempts
     WHERE org_id = $1 AND to_e164 = $2 AND status <> 'not_placed' AND started_at > now() - interval '1 day'
     ORDER BY started_at DESC OFFSET $3 LIMIT 1
"""
DUE_SECONDS = """
    SELECT extract(epoch FROM min(greatest(o.due_at, coalesce(t.waits_until, '-infinity'))) - now())::float8
      FROM outbound_calls o LEFT JOIN outbound_turns t ON t.org_id = o.org_id
     WHERE o.due_at IS NOT NULL AND greatest(o.due_at, coalesce(t.waits_until, '-infinity')) > now()
"""


async def counts(tx: Tx, to_e164: str) -> tuple[int, int]:
    """Lock the organization; return its number of orders within 24 hours, and of those to this number."""
    await tx.execute(LOCK_ORGANIZATION)
    row = await tx.fetchrow(COUNT, to_e164)
    assert row is not None, "an aggregate has a row"
    return row["of_organization"], row["of_callee"]


async def free_at(tx: Tx, org: UUID, to_e164: str, a_day: int) -> datetime | None:
    """Return when a number may be called again that may be called `a_day` times in 24 hours, or None: now.

    Runs as the system.
    """
    at: datetime | None = await tx.fetchval(FREE_AT, org, to_e164, max(a_day, 1) - 1)
    return at


async def due_seconds(tx: Tx) -> float | None:
    """Return the seconds until the next call that is not due yet is; None if there is none.  Runs as the system."""
    seconds: float | None = await tx.fetchval(DUE_SECONDS)
    return seconds
