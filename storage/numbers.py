"""Phone numbers.  Each belongs to at most one organization: a unique index over all tenants ensures it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from hum.contract.errors import AlreadyExists, NotFound
from storage.db import Tx

COLUMNS = """
    id, e164, carrier_sid, friendly_name, flow_id, sms_flow_id, sms_enabled, capabilities, status, created_at,
    account_sid, missed_call_text
"""
CREATE = """
    INSERT INTO numbers (id, org_id, e164, carrier_sid, friendly_name, flow_id, sms_flow_id, sms_enabled, capabilities,
                         account_sid, missed_call_text)
    VALUES ($1, hum.org_id(), $2, $3, $4, $5, $6, $7, $8, $9, $10)
    RETURNING created_at
"""
GET = f"SELECT {COLUMNS} FROM numbers WHERE id = $1"
LOCK = f"SELECT {COLUMNS} FROM numbers WHERE id = $1 FOR NO KEY UPDATE"
PAGE = f"""
    SELECT {COLUMNS} FROM numbers
     WHERE id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
     ORDER BY id DESC
     LIMIT $2
"""
PAGE_ALL = f"SELECT {COLUMNS} FROM numbers ORDER BY id FOR NO KEY UPDATE"
ADOPT = """
    INSERT INTO numbers (id, org_id, e164, carrier_sid, friendly_name, capabilities, account_sid)
    VALUES ($1, hum.org_id(), $2, $3, $4, $5, $6)
    ON CONFLICT (e164) DO NOTHING
    RETURNING id
"""
REFRESH = "UPDATE numbers SET carrier_sid = $2, capabilities = $3, status = $4, account_sid = $5 WHERE id = $1"
COUNT_HELD = "SELECT count(*) FROM numbers WHERE e164 = ANY($1) AND org_id <> $2"
IS_ONLY = "SELECT hum.is_only_organization()"
# A ringing or answered call.
IS_BUSY = """
    SELECT EXISTS (SELECT FROM calls
                    WHERE number_id = $1 AND status IN ('ringing', 'in_progress') AND ended_at IS NULL)
"""
BEGIN_RELEASE = "UPDATE numbers SET status = 'releasing', releasing_since = now() WHERE id = $1"
CANCEL_RELEASE = "UPDATE numbers SET status = 'active', releasing_since = NULL WHERE id = $1 AND status = 'releasing'"
DELETE = "DELETE FROM numbers WHERE id = $1 AND status = 'releasing'"
ACTIVE = "SELECT e164 FROM numbers WHERE status = 'active'"
#: The unique index over all tenants decides between a hold and a registration.
RESERVE = """
    WITH made AS (INSERT INTO numbers (id, org_id, e164, carrier_sid, capabilities, status, releasing_since)
                  VALUES ($1, hum.org_id(), $2, $3, '{}', 'releasing', now())
                  ON CONFLICT (e164) DO NOTHING
                  RETURNING id)
    SELECT EXISTS (SELECT FROM made) OR EXISTS (SELECT FROM numbers WHERE carrier_sid = $3 AND status = 'releasing')
"""
LET_GO = "DELETE FROM numbers WHERE carrier_sid = $1 AND status = 'releasing'"
#: Numbers that a purchase gives back are released by that purchase.
UNRELEASED = """
    UPDATE numbers SET releasing_since = now()
     WHERE id IN (SELECT id FROM numbers
                   WHERE status = 'releasing' AND releasing_since < now() - $1::interval
                     AND NOT EXISTS (SELECT FROM number_purchases p
                                      WHERE p.e164 = numbers.e164 AND p.status = 'returning')
                   ORDER BY releasing_since LIMIT 20 FOR UPDATE SKIP LOCKED)
    RETURNING id, org_id, e164, carrier_sid
"""
UPDATE = """
    UPDATE numbers SET friendly_name = $2, flow_id = $3, sms_flow_id = $4, sms_enabled = $5, missed_call_text = $6
     WHERE id = $1
"""


@dataclass(frozen=True, slots=True)
class NumberRow:
    id: UUID
    e164: str
    carrier_sid: str
    friendly_name: str | None
    flow_id: UUID | None
    sms_flow_id: UUID | None
    sms_enabled: bool
    capabilities: list[str]
    status: str
    created_at: datetime
    #: The carrier account that holds it, if known.
    account_sid: str | None = None
    #: The text to whoever calls and reaches nobody; None: they get none.
    missed_call_text: str | None = None


async def create(tx: Tx, row: NumberRow) -> NumberRow:
    """Store a number.  Raises AlreadyExists if any organization has it."""
    try:
        created_at = await tx.fetchval(
            CREATE,
            row.id,
            row.e164,
            row.carrier_sid,
            row.friendly_name,
            row.flow_id,
            row.sms_flow_id,
            row.sms_enabled,
            row.capabilities,
            row.account_sid,
            row.missed_call_text,
        )
    except asyncpg.UniqueViolationError as error:
        raise AlreadyExists("An organization already has this number.") from error
    return replace(row, created_at=created_at)


async def get(tx: Tx, id: UUID, *, lock: bool = False) -> NumberRow:
    """Return a number.  Raises NotFound."""
    row = await tx.fetchrow(LOCK if lock else GET, id)
    if row is None:
        raise NotFound("There is no such number.")
    return NumberRow(**row)


async def page(tx: Tx, before: UUID | None, limit: int) -> list[NumberRow]:
    """Return numbers newest first, below `before`."""
    return [NumberRow(**row) for row in await tx.fetch(PAGE, before, limit)]


async def active(tx: Tx) -> list[str]:
    """Return the organization's active numbers."""
    return [row["e164"] for row in await tx.fetch(ACTIVE)]


async def update(tx: Tx, row: NumberRow) -> None:
    values = row.friendly_name, row.flow_id, row.sms_flow_id, row.sms_enabled, row.missed_call_text
    await tx.execute(UPDATE, row.id, *values)


async def lock_all(tx: Tx) -> list[NumberRow]:
    """Lock and return all numbers of the organization."""
    return [NumberRow(**row) for row in await tx.fetch(PAGE_ALL)]


async def adopt(
    tx: Tx,
    id: UUID,
    e164: str,
    carrier_sid: str,
    friendly_name: str,
    capabilities: list[str],
    account_sid: str | None,
) -> bool:
    """Register a number that no organization has; return False if one has it."""
    return await tx.fetchval(ADOPT, id, e164, carrier_sid, friendly_name, capabilities, account_sid) is not None


async def refresh(
    tx: Tx, id: UUID, carrier_sid: str, capabilities: list[str], status: str, account_sid: str | None
) -> None:
    await tx.execute(REFRESH, id, carrier_sid, capabilities, status, account_sid)


async def is_only_organization(tx: Tx) -> bool:
    """Return whether the deployment has no other organization."""
    only: bool = await tx.fetchval(IS_ONLY)
    return only


async def count_of_others(tx: Tx, e164s: Sequence[str], org: UUID) -> int:
    """Return how many of these numbers other organizations have.  Runs as the system."""
    count: int = await tx.fetchval(COUNT_HELD, list(e164s), org)
    return count


async def is_busy(tx: Tx, id: UUID) -> bool:
    """Return whether the number has a live call."""
    busy: bool = await tx.fetchval(IS_BUSY, id)
    return busy


async def begin_release(tx: Tx, id: UUID) -> None:
    await tx.execute(BEGIN_RELEASE, id)


async def cancel_release(tx: Tx, id: UUID) -> None:
    """Cancel a release that has begun."""
    await tx.execute(CANCEL_RELEASE, id)


async def delete(tx: Tx, id: UUID) -> bool:
    """Delete a released number; return False if it was deleted before."""
    return await tx.execute(DELETE, id) == "DELETE 1"


async def reserve(tx: Tx, id: UUID, e164: str, carrier_sid: str) -> bool:
    """Hold a number that is given back right after its purchase, so that no organization registers it meanwhile.

    Holding it again changes nothing.  Returns False if an organization has it.
    """
    is_held: bool = await tx.fetchval(RESERVE, id, e164, carrier_sid)
    return is_held


async def cancel_reservation(tx: Tx, carrier_sid: str) -> None:
    """Undo `reserve`."""
    await tx.execute(LET_GO, carrier_sid)


@dataclass(frozen=True, slots=True)
class ReleaseRow:
    id: UUID
    org_id: UUID
    e164: str
    carrier_sid: str


async def claim_releases(tx: Tx, older: timedelta) -> list[ReleaseRow]:
    """Claim releases that have been idle for longer than `older`.  Runs as the system."""
    return [ReleaseRow(**row) for row in await tx.fetch(UNRELEASED, older)]
