"""Numbers.  Each belongs to at most one organization of the deployment: a unique index over all tenants says so."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import asyncpg

from hum.errors import AlreadyExists, NotFound
from storage.db import Tx

COLUMNS = """
    id, e164, carrier_sid, friendly_name, flow_id, sms_flow_id, sms_enabled, capabilities, status, created_at
"""
CREATE = """
    INSERT INTO numbers (id, org_id, e164, carrier_sid, friendly_name, flow_id, sms_flow_id, sms_enabled, capabilities)
    VALUES ($1, hum.org_id(), $2, $3, $4, $5, $6, $7, $8)
    RETURNING created_at
"""
GET = f"SELECT {COLUMNS} FROM numbers WHERE id = $1"
LOCK = f"SELECT {COLUMNS} FROM numbers WHERE id = $1 FOR UPDATE"
PAGE = f"""
    SELECT {COLUMNS} FROM numbers
     WHERE id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
     ORDER BY id DESC
     LIMIT $2
"""
UPDATE = """
    UPDATE numbers SET friendly_name = $2, flow_id = $3, sms_flow_id = $4, sms_enabled = $5 WHERE id = $1
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


async def create(tx: Tx, row: NumberRow) -> NumberRow:
    """Raises AlreadyExists when any organization has the number."""
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
        )
    except asyncpg.UniqueViolationError as error:
        raise AlreadyExists("an organization has this number already") from error
    return replace(row, created_at=created_at)


async def get(tx: Tx, id: UUID, *, lock: bool = False) -> NumberRow:
    """Raises NotFound."""
    row = await tx.fetchrow(LOCK if lock else GET, id)
    if row is None:
        raise NotFound("there is no such number")
    return NumberRow(**row)


async def page(tx: Tx, before: UUID | None, limit: int) -> list[NumberRow]:
    """Newest first, below `before`."""
    return [NumberRow(**row) for row in await tx.fetch(PAGE, before, limit)]


async def update(tx: Tx, row: NumberRow) -> None:
    await tx.execute(UPDATE, row.id, row.friendly_name, row.flow_id, row.sms_flow_id, row.sms_enabled)
