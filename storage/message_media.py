"""The files of texts that came in: which are still to be fetched, and what became of each."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from hum.errors import NotFound
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
# Whoever deletes the message then owes the file (hum.owe_media), stored or not.
NAMED = """
    UPDATE message_media SET path = $3 WHERE message_id = $1 AND index = $2 AND status IN ('fetching', 'stored')
"""
STORED = """
    UPDATE message_media SET status = 'stored', content_type = $3, path = $4, size_bytes = $5
     WHERE message_id = $1 AND index = $2 AND status IN ('fetching', 'stored')
"""
FAILED = """
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
class FetchingRow:
    """A file that is still at the carrier; `stored_bytes`: of the message's others."""

    index: int
    url: str
    content_type: str
    created_at: datetime
    #: The carrier's account that holds it; empty: ours.
    account: str
    stored_bytes: int


@dataclass(frozen=True, slots=True)
class FileRow:
    content_type: str
    path: str
    size_bytes: int


async def fetching(tx: Tx, message: UUID) -> list[FetchingRow]:
    """As the tenant: a message's files that are still to be fetched."""
    return [FetchingRow(**row) for row in await tx.fetch(FETCHING, message)]


async def named(tx: Tx, message: UUID, index: int, path: str) -> bool:
    """A file is about to be written; False if the message is gone."""
    return bool(await tx.execute(NAMED, message, index, path) == "UPDATE 1")


async def stored(tx: Tx, message: UUID, index: int, content_type: str, path: str, size_bytes: int) -> bool:
    """A file is on disk; False if the message is gone."""
    return bool(await tx.execute(STORED, message, index, content_type, path, size_bytes) == "UPDATE 1")


async def failed(tx: Tx, message: UUID, index: int, status: str) -> None:
    """A file is not kept: it is `refused` or `lost`.  What an earlier attempt may have written of it is owed."""
    await tx.execute(FAILED, message, index, status)


async def find(tx: Tx, message: UUID, index: int) -> FileRow:
    """As the tenant: a stored file.  Raises NotFound."""
    row = await tx.fetchrow(FIND, message, index)
    if row is None:
        raise NotFound("There is no such file, or it is not kept.")
    return FileRow(**row)
