"""Templates of texts, and the values of their variables."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from hum.contract.errors import AlreadyExists, NotFound
from storage import largerows
from storage.db import Tx

COLUMNS = "id, name, body, created_at, updated_at"
CREATE = "INSERT INTO sms_templates (id, org_id, name, body) VALUES ($1, hum.org_id(), $2, $3)"
COUNT_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('sms templates ' || hum.org_id()::text, 0))"
COUNT = "SELECT count(*) FROM sms_templates"
GET = f"SELECT {COLUMNS} FROM sms_templates WHERE id = $1"
LOCK = GET + " FOR NO KEY UPDATE"
PAGE = largerows.page(
    f"""
    SELECT {COLUMNS} FROM sms_templates
     WHERE id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
     ORDER BY id DESC
     LIMIT $2
""",
    ["body"],
    "id DESC",
)
CHANGE = "UPDATE sms_templates SET name = $2, body = $3, updated_at = now() WHERE id = $1"
DELETE = "DELETE FROM sms_templates WHERE id = $1"
VALUES = """
    SELECT k.name, k.company, k.email, c.contact_e164 AS phone, o.name AS organization, c.number_e164 AS number
      FROM conversations c
      JOIN organizations o ON o.org_id = c.org_id
      LEFT JOIN contacts k ON k.id = c.contact_id
     WHERE c.id = $1
"""
NAME_TAKEN = "Another template has this name."


@dataclass(frozen=True, slots=True)
class TemplateRow:
    id: UUID
    name: str
    body: str
    created_at: datetime
    updated_at: datetime
    #: Bytes, in a list.
    size: int = 0


@dataclass(frozen=True, slots=True)
class ValuesRow:
    """The values of the variables in a conversation."""

    name: str | None
    company: str | None
    email: str | None
    phone: str
    organization: str
    number: str


async def create(tx: Tx, id: UUID, name: str, body: str) -> TemplateRow:
    """Create a template.  Raises AlreadyExists."""
    try:
        await tx.execute(CREATE, id, name, body)
    except asyncpg.UniqueViolationError as error:
        raise AlreadyExists(NAME_TAKEN) from error
    return await get(tx, id)


async def count(tx: Tx) -> int:
    """Return how many templates the organization has, which no other transaction changes before this one ends."""
    await tx.execute(COUNT_LOCK)
    number: int = await tx.fetchval(COUNT)
    return number


async def get(tx: Tx, id: UUID, *, lock: bool = False) -> TemplateRow:
    """Return a template.  Raises NotFound."""
    row = await tx.fetchrow(LOCK if lock else GET, id)
    if row is None:
        raise NotFound
    return TemplateRow(**row)


async def page(tx: Tx, before: UUID | None, limit: int) -> list[TemplateRow]:
    """Return templates newest first, below `before`."""
    return [TemplateRow(**row) for row in await tx.fetch(PAGE, before, limit)]


async def change(tx: Tx, id: UUID, name: str, body: str) -> TemplateRow:
    """Change a template.  Raises AlreadyExists."""
    try:
        await tx.execute(CHANGE, id, name, body)
    except asyncpg.UniqueViolationError as error:
        raise AlreadyExists(NAME_TAKEN) from error
    return await get(tx, id)


async def delete(tx: Tx, id: UUID) -> None:
    """Delete a template.  Raises NotFound."""
    if await tx.execute(DELETE, id) == "DELETE 0":
        raise NotFound


async def values(tx: Tx, conversation: UUID) -> ValuesRow:
    """Return the values of the variables in a conversation.  Raises NotFound."""
    row = await tx.fetchrow(VALUES, conversation)
    if row is None:
        raise NotFound
    return ValuesRow(**row)
