"""Review: tags and notes on calls, and the blocklist."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from hum.contract.errors import NotFound
from storage import largerows
from storage.db import Tx

TAGS = "SELECT tag FROM call_tags WHERE call_id = $1 ORDER BY tag"
ADD_TAG = """
    INSERT INTO call_tags (org_id, call_id, tag, called_at) SELECT org_id, id, $2, created_at FROM calls WHERE id = $1
    ON CONFLICT DO NOTHING
"""
REMOVE_TAG = "DELETE FROM call_tags WHERE call_id = $1 AND tag = $2"
NOTES = largerows.page(
    """
    SELECT id, body, author, created_at, updated_at
      FROM call_notes
     WHERE call_id = $1 AND id < coalesce($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
     ORDER BY id DESC
     LIMIT $3
""",
    ["body"],
    "id DESC",
)
ADD_NOTE = """
    INSERT INTO call_notes (id, org_id, call_id, body, author) VALUES ($1, hum.org_id(), $2, $3, $4)
    RETURNING id, body, author, created_at, updated_at
"""
CHANGE_NOTE = """
    UPDATE call_notes SET body = coalesce($3, body), updated_at = now() WHERE call_id = $1 AND id = $2
    RETURNING id, body, author, created_at, updated_at
"""
DELETE_NOTE = "DELETE FROM call_notes WHERE call_id = $1 AND id = $2"
BLOCKED = """
    SELECT phone_e164, reason, created_at
      FROM blocklist
     WHERE (created_at, phone_e164) < (coalesce($1::timestamptz, 'infinity'), coalesce($2::text, ''))
        OR $1::timestamptz IS NULL
     ORDER BY created_at DESC, phone_e164 DESC
     LIMIT $3
"""
BLOCK = """
    INSERT INTO blocklist (org_id, phone_e164, reason) VALUES (hum.org_id(), $1, $2)
    ON CONFLICT (org_id, phone_e164) DO UPDATE SET reason = coalesce(excluded.reason, blocklist.reason)
    RETURNING phone_e164, reason, created_at
"""
UNBLOCK = "DELETE FROM blocklist WHERE phone_e164 = $1"


@dataclass(frozen=True, slots=True)
class NoteRow:
    id: UUID
    body: str
    author: str
    created_at: datetime
    updated_at: datetime | None
    #: Bytes, in a list.
    size: int = 0


@dataclass(frozen=True, slots=True)
class BlockedRow:
    phone_e164: str
    reason: str | None
    created_at: datetime


async def tags(tx: Tx, call: UUID) -> list[str]:
    return [row["tag"] for row in await tx.fetch(TAGS, call)]


async def add_tag(tx: Tx, call: UUID, tag: str) -> bool:
    """Add a tag; return False if the call had it."""
    return bool(await tx.execute(ADD_TAG, call, tag) == "INSERT 0 1")


async def remove_tag(tx: Tx, call: UUID, tag: str) -> None:
    """Remove a tag.  Raises NotFound."""
    if await tx.execute(REMOVE_TAG, call, tag) == "DELETE 0":
        raise NotFound("The call has no such tag.")


async def notes(tx: Tx, call: UUID, before: UUID | None, limit: int) -> list[NoteRow]:
    """Return notes newest first, below `before`."""
    return [NoteRow(**row) for row in await tx.fetch(NOTES, call, before, limit)]


async def add_note(tx: Tx, id: UUID, call: UUID, body: str, author: str) -> NoteRow:
    return _note(await tx.fetchrow(ADD_NOTE, id, call, body, author))


async def change_note(tx: Tx, call: UUID, id: UUID, body: str | None) -> NoteRow:
    """Change a note; `body` None: it keeps its text.  Raises NotFound."""
    return _note(await tx.fetchrow(CHANGE_NOTE, call, id, body))


async def delete_note(tx: Tx, call: UUID, id: UUID) -> None:
    """Delete a note.  Raises NotFound."""
    if await tx.execute(DELETE_NOTE, call, id) == "DELETE 0":
        raise NotFound("The call has no such note.")


def _note(row: asyncpg.Record | None) -> NoteRow:
    if row is None:
        raise NotFound("The call has no such note.")
    return NoteRow(**row)


async def blocked(tx: Tx, before: tuple[datetime, str] | None, limit: int) -> list[BlockedRow]:
    """Return blocked numbers newest first, below `before`."""
    return [BlockedRow(**row) for row in await tx.fetch(BLOCKED, before and before[0], before and before[1], limit)]


async def block(tx: Tx, phone_e164: str, reason: str | None) -> BlockedRow:
    row = await tx.fetchrow(BLOCK, phone_e164, reason)
    assert row is not None
    return BlockedRow(**row)


async def unblock(tx: Tx, phone_e164: str) -> None:
    """Unblock a number.  Raises NotFound."""
    if await tx.execute(UNBLOCK, phone_e164) == "DELETE 0":
        raise NotFound("This number is not blocked.")
