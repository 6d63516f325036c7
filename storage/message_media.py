"""Files of inbound texts: which are still to be fetched, and the result of each fetch."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from hum.contract.errors import NotFound
from storage.db import Tx

FETCHING = """
    SELECT a.index, a.url, a.content_type, m.created_at, coalesce(n.account_sid, '') AS account,
           (SELECT coalesce(sum(k.size_bytes), 0)::bigint FROM message_media k
             WHERE k.message_id = a.message_id AND k.status = 'stored') AS stored_bytes
      FROM message_media a
      JOIN messages m ON m.id = a.message_id
      JOIN conversations c ON c.id = m.conversation_id
      LEFT JOIN numbers n ON n.id = c.number_id
     WHERE a.message_id = $1 AND a.status = 'fetching'
     ORDER BY a.index
"""
# From now on, the deletion of the message schedules the file's deletion (hum.owe_media), stored or not.
SET_PATH = """
    UPDATE message_media SET path = $3 WHERE message_id = $1 AND index = $2 AND status IN ('fetching', 'stored')
"""
SET_STORED = """
    UPDATE message_media SET status = 'stored', content_type = $3, path = $4, size_bytes = $5
     WHERE message_id = $1 AND index = $2 AND status IN ('fetching', 'stored')
"""
SET_FAILED = """
    WITH owed AS (
        INSERT INTO erased_media (org_id, path)
        SELECT org_id, path FROM message_media
         WHERE message_id = $1 AND index = $2 AND status = 'fetching' AND path IS NOT NULL)
    UPDATE message_media SET status = $3, path = NULL WHERE message_id = $1 AND index = $2 AND status = 'fetching'
"""
FIND = """
    SELECT content_type, path, size_bytes FROM message_media WHERE message_id = $1 AND index = $2 AND status = 'stored'
"""


@dataclass(frozen=True, slots=True)
class PendingFileRow:
    """A file that is still at the carrier; `stored_bytes`: size of the message's stored files."""

    index: int
    url: str
    content_type: str
    created_at: datetime
    #: The carrier account that holds it; empty: ours.
    account: str
    stored_bytes: int


@dataclass(frozen=True, slots=True)
class FileRow:
    content_type: str
    path: str
    size_bytes: int


async def pending(tx: Tx, message: UUID) -> list[PendingFileRow]:
    """Return a message's files that are still to be fetched.  Runs as the tenant."""
    return [PendingFileRow(**row) for row in await tx.fetch(FETCHING, message)]


async def set_path(tx: Tx, message: UUID, index: int, path: str) -> bool:
    """Record the path of a file before it is written; return False if the message is gone."""
    return bool(await tx.execute(SET_PATH, message, index, path) == "UPDATE 1")


async def record_stored(tx: Tx, message: UUID, index: int, content_type: str, path: str, size_bytes: int) -> bool:
    """Record that a file is on disk; return False if the message is gone."""
    return bool(await tx.execute(SET_STORED, message, index, content_type, path, size_bytes) == "UPDATE 1")


async def record_failure(tx: Tx, message: UUID, index: int, status: str) -> None:
    """Record that a file is not kept: it is `refused` or `lost`; schedule the deletion of a partly written one."""
    await tx.execute(SET_FAILED, message, index, status)


async def find(tx: Tx, message: UUID, index: int) -> FileRow:
    """Return a stored file.  Runs as the tenant.  Raises NotFound."""
    row = await tx.fetchrow(FIND, message, index)
    if row is None:
        raise NotFound("There is no such file, or it is not kept.")
    return FileRow(**row)
