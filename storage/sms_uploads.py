"""Files that are stored for texts, until a text sends them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from storage.db import Tx

LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('sms uploads ' || hum.org_id()::text, 0))"
PENDING = """
    SELECT count(*) FILTER (WHERE made_by = $1) AS own_files, count(*) AS files, coalesce(sum(size_bytes), 0)::bigint AS bytes
      FROM sms_uploads WHERE org_id = hum.org_id() AND message_id IS NULL
"""
ADD = """
    INSERT INTO sms_uploads (id, org_id, made_by, content_type, size_bytes, path)
    VALUES ($1, hum.org_id(), $2, $3, $4, $5) RETURNING created_at
"""
SET_STORED = "UPDATE sms_uploads SET stored = true WHERE id = $1"
DELETE = "DELETE FROM sms_uploads WHERE id = $1 AND message_id IS NULL"
LOCK_READY = """
    SELECT id, size_bytes FROM sms_uploads
     WHERE id = ANY ($1) AND message_id IS NULL AND stored AND created_at > now() - $2::interval
     ORDER BY id FOR NO KEY UPDATE
"""
# The message's row of the file, then the upload's.
ATTACH = """
    WITH sent AS (
        UPDATE sms_uploads u SET message_id = $1 FROM unnest($2::uuid[]) WITH ORDINALITY AS given (id, place)
         WHERE u.id = given.id AND u.message_id IS NULL
        RETURNING u.org_id, u.content_type, u.path, u.size_bytes, given.place)
    INSERT INTO message_media (message_id, index, org_id, url, content_type, status, path, size_bytes)
    SELECT $1, $3 + place - 1, org_id, '', content_type, 'stored', path, size_bytes FROM sent
"""
SWEEP = """
    DELETE FROM sms_uploads WHERE id IN (
        SELECT id FROM sms_uploads WHERE created_at < now() - $1::interval ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)
"""
OUTBOUND_FILE = """
    SELECT a.content_type, a.path, a.size_bytes
      FROM message_media a JOIN messages m ON m.id = a.message_id
     WHERE a.message_id = $1 AND a.index = $2 AND a.status = 'stored' AND m.direction = 'outbound'
"""


@dataclass(frozen=True, slots=True)
class PendingUploads:
    """The files that wait for their texts: one principal's, and all of the organization's."""

    own_files: int
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class OutboundFileRow:
    content_type: str
    path: str
    size_bytes: int


async def lock_pending(tx: Tx, made_by: str) -> PendingUploads:
    """Lock the organization's uploads against further ones; return what waits."""
    await tx.execute(LOCK)
    row = await tx.fetchrow(PENDING, made_by)
    assert row is not None, "a count"
    return PendingUploads(**row)


async def add(tx: Tx, id: UUID, made_by: str, content_type: str, size_bytes: int, path: str) -> datetime:
    """Record a file that is about to be stored; return when."""
    created_at: datetime = await tx.fetchval(ADD, id, made_by, content_type, size_bytes, path)
    return created_at


async def record_stored(tx: Tx, id: UUID) -> bool:
    """Record that a file is in the store; return False if its row is gone."""
    return bool(await tx.execute(SET_STORED, id) == "UPDATE 1")


async def delete(tx: Tx, id: UUID) -> bool:
    """Delete a file that no text has sent, and owe its deletion; return False if there is none."""
    return bool(await tx.execute(DELETE, id) == "DELETE 1")


async def lock_ready(tx: Tx, uploads: Sequence[UUID], lifetime: timedelta) -> dict[UUID, int]:
    """Lock those of the uploads that a text may send; return their sizes in bytes."""
    return {row["id"]: row["size_bytes"] for row in await tx.fetch(LOCK_READY, uploads, lifetime)}


async def attach(tx: Tx, message: UUID, uploads: Sequence[UUID], first_index: int) -> None:
    """Give locked uploads to a message, as its files from `first_index` on."""
    await tx.execute(ATTACH, message, uploads, first_index)


async def sweep(tx: Tx, lifetime: timedelta, limit: int) -> int:
    """Delete old uploads; those that no text has sent leave rows that owe their files.  Return how many.  Runs as the system."""
    status = await tx.execute(SWEEP, lifetime, limit)
    return int(status.rpartition(" ")[2])


async def outbound_file(tx: Tx, message: UUID, index: int) -> OutboundFileRow | None:
    """Return an uploaded file of an outbound message, or None.  Runs as the system."""
    row = await tx.fetchrow(OUTBOUND_FILE, message, index)
    return OutboundFileRow(**row) if row else None
