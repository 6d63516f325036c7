"""Knowledge: documents, their uploaded contents, and their passages.  `knowledge_search` finds passages."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from hum.contract.errors import NotFound
from storage.db import Tx

COLUMNS = """
    id, org_id, name, language, config, url, refetch_hours, next_fetch_at, named_format, format, status, failure, revision,
    converted_at, content_bytes, content_hash, passages, embedded_by, created_at, updated_at
"""
CREATE = f"""
    INSERT INTO knowledge_documents (id, org_id, name, language, config, url, refetch_hours, named_format, format, content_bytes)
    VALUES ($1, hum.org_id(), $2, $3, $4, $5, $6, $7, $8, $9)
    RETURNING {COLUMNS}
"""
# Serializes creations, so that an organization stays within its limit.
COUNT = "SELECT count(*) FROM knowledge_documents"
LOCK_CREATING = "SELECT pg_advisory_xact_lock(hashtextextended('knowledge ' || hum.org_id(), 0))"
GET = f"SELECT {COLUMNS} FROM knowledge_documents WHERE id = $1"
LOCK = GET + " FOR NO KEY UPDATE"
PAGE = f"""
    SELECT {COLUMNS} FROM knowledge_documents
     WHERE id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
     ORDER BY id DESC
     LIMIT $2
"""
CHANGE = f"""
    UPDATE knowledge_documents
       SET name = $2, language = $3, config = $4, refetch_hours = $5, updated_at = now(),
           next_fetch_at = CASE WHEN $5 > 0 AND status <> 'pending'
                                THEN coalesce(converted_at, now()) + $5 * interval '1 hour' END
     WHERE id = $1
    RETURNING {COLUMNS}
"""
# There is new content to convert; the old passages stay until then.
REQUEST = f"""
    UPDATE knowledge_documents
       SET status = 'pending', failure = NULL, revision = revision + 1, requested_at = now(), next_fetch_at = NULL,
           updated_at = now(), content_bytes = coalesce($2, content_bytes), format = $3
     WHERE id = $1
    RETURNING {COLUMNS}
"""
KEEP_CONTENT = """
    INSERT INTO knowledge_contents (org_id, document_id, format, body) VALUES (hum.org_id(), $1, $2, $3)
    ON CONFLICT (document_id) DO UPDATE SET format = excluded.format, body = excluded.body
"""
CONTENT = "SELECT format, body FROM knowledge_contents WHERE document_id = $1"
DROP_CONTENT = "DELETE FROM knowledge_contents WHERE document_id = $1"
DELETE = "DELETE FROM knowledge_documents WHERE id = $1"
NAMED_BY = """
    SELECT v.definition ->> 'name'
      FROM flows f
      JOIN flow_versions v ON v.flow_id = f.id AND v.version = f.version
     WHERE f.deleted_at IS NULL AND (v.definition -> 'knowledge_ids')::jsonb ? $1
     LIMIT 1
"""
LOCK_EXISTING = "SELECT id FROM knowledge_documents WHERE id = ANY ($1::uuid[]) ORDER BY id FOR SHARE"
PASSAGES = """
    SELECT position, heading, text FROM knowledge_passages
     WHERE document_id = $1 AND position > $2
     ORDER BY position
     LIMIT $3
"""
TOTAL = "SELECT coalesce(sum(passages), 0) FROM knowledge_documents WHERE id <> $1"
EMPTY = "DELETE FROM knowledge_passages WHERE document_id = $1"
DROP_VECTORS = "DELETE FROM knowledge_vectors WHERE document_id = $1"
ADD = """
    INSERT INTO knowledge_passages (org_id, document_id, position, heading, text, words)
    SELECT hum.org_id(), $1, ordinality, heading, text,
           setweight(to_tsvector($2::text::regconfig, $3), 'B') || setweight(to_tsvector($2::text::regconfig, heading), 'A')
           || to_tsvector($2::text::regconfig, text)
      FROM unnest($4::text[], $5::text[]) WITH ORDINALITY AS new (heading, text, ordinality)
"""
INDEX_AGAIN = """
    WITH indexed AS (
        UPDATE knowledge_passages
           SET words = setweight(to_tsvector($2::text::regconfig, $3), 'B')
                       || setweight(to_tsvector($2::text::regconfig, heading), 'A') || to_tsvector($2::text::regconfig, text)
         WHERE document_id = $1
        RETURNING octet_length(text) + octet_length(words::text) AS size)
    SELECT coalesce(sum(size), 0) FROM indexed
"""
NEXT_FETCH = "CASE WHEN url IS NOT NULL AND refetch_hours > 0 THEN now() + refetch_hours * interval '1 hour' END"
# Language and name may have changed during the conversion.
READY = f"""
    UPDATE knowledge_documents
       SET status = 'ready', failure = NULL, converted_at = now(), format = $3, content_bytes = $4, content_hash = $5,
           passages = coalesce($6, passages), embedded_by = CASE WHEN $6 IS NULL THEN embedded_by END,
           embed_at = CASE WHEN $6 IS NULL THEN embed_at ELSE now() + $7::interval END,
           next_fetch_at = {NEXT_FETCH}
     WHERE id = $1 AND revision = $2 AND status = 'pending'
    RETURNING config, name
"""
FAIL = f"""
    UPDATE knowledge_documents
       SET status = 'failed', failure = $3, next_fetch_at = {NEXT_FETCH}
     WHERE id = $1 AND revision = $2 AND status = 'pending'
"""
# Runs as the system.
DUE = """
    UPDATE knowledge_documents
       SET status = 'pending', revision = revision + 1, requested_at = now(), next_fetch_at = NULL
     WHERE id IN (SELECT id FROM knowledge_documents
                   WHERE next_fetch_at <= now() AND status <> 'pending'
                   ORDER BY next_fetch_at
                   LIMIT $1
                     FOR UPDATE SKIP LOCKED)
    RETURNING org_id, id
"""
STUCK_FAILURE = "No worker finished its conversion."
STUCK = f"""
    UPDATE knowledge_documents
       SET status = 'failed', failure = $2, next_fetch_at = {NEXT_FETCH}
     WHERE status = 'pending' AND requested_at < now() - $1::interval
    RETURNING org_id, id
"""


@dataclass(frozen=True, slots=True)
class DocumentRow:
    id: UUID
    org_id: UUID
    name: str
    language: str
    config: str
    url: str | None
    refetch_hours: int
    next_fetch_at: datetime | None
    named_format: str | None
    format: str | None
    status: str
    failure: str | None
    revision: int
    converted_at: datetime | None
    content_bytes: int
    content_hash: bytes | None
    passages: int
    embedded_by: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class DocumentPassageRow:
    position: int
    heading: str
    text: str


@dataclass(frozen=True, slots=True)
class DocumentContent:
    """A document's content, and its format, if it was given."""

    format: str | None
    body: bytes


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A document before it is stored."""

    name: str
    language: str
    config: str
    url: str | None
    refetch_hours: int
    named_format: str | None = None


@dataclass(frozen=True, slots=True)
class Conversion:
    """A converted document.  `passages`: headings and texts; None: the content is unchanged."""

    format: str
    content_bytes: int
    content_hash: bytes
    passages: Sequence[tuple[str, str]] | None


async def create(tx: Tx, id: UUID, new: NewDocument, content: DocumentContent | None) -> DocumentRow:
    row = await tx.fetchrow(
        CREATE,
        id,
        new.name,
        new.language,
        new.config,
        new.url,
        new.refetch_hours,
        new.named_format,
        content.format if content else None,
        len(content.body) if content else 0,
    )
    assert row is not None
    if content is not None:
        await tx.execute(KEEP_CONTENT, id, content.format, content.body)
    return DocumentRow(**row)


async def count(tx: Tx) -> int:
    """Return how many documents the organization has; none is added before this transaction ends."""
    await tx.execute(LOCK_CREATING)
    number: int = await tx.fetchval(COUNT)
    return number


async def get(tx: Tx, id: UUID, *, lock: bool = False) -> DocumentRow:
    """Return a document.  Raises NotFound."""
    row = await tx.fetchrow(LOCK if lock else GET, id)
    if row is None:
        raise NotFound
    return DocumentRow(**row)


async def page(tx: Tx, before: UUID | None, limit: int) -> list[DocumentRow]:
    """Return documents newest first, below `before`."""
    return [DocumentRow(**row) for row in await tx.fetch(PAGE, before, limit)]


async def change(tx: Tx, before: DocumentRow, new: NewDocument) -> tuple[DocumentRow, int]:
    """Change a locked document, and index its passages by the new name and language; return how many bytes of them."""
    row = await tx.fetchrow(CHANGE, before.id, new.name, new.language, new.config, new.refetch_hours)
    assert row is not None
    size = 0
    if (before.name, before.config) != (new.name, new.config):
        size = int(await tx.fetchval(INDEX_AGAIN, before.id, new.config, new.name))
    return DocumentRow(**row), size


async def request(tx: Tx, before: DocumentRow, content: DocumentContent | None) -> DocumentRow:
    """Request the conversion of new content, or, without any, of what the URL has."""
    row = await tx.fetchrow(
        REQUEST, before.id, len(content.body) if content else None, content.format if content else before.format
    )
    assert row is not None
    if content is not None:
        await tx.execute(KEEP_CONTENT, before.id, content.format, content.body)
    return DocumentRow(**row)


async def content(tx: Tx, id: UUID) -> DocumentContent | None:
    row = await tx.fetchrow(CONTENT, id)
    return DocumentContent(row["format"], row["body"]) if row else None


async def delete(tx: Tx, id: UUID) -> None:
    """Delete a document.  Raises NotFound."""
    if await tx.execute(DELETE, id) != "DELETE 1":
        raise NotFound


async def named_by(tx: Tx, shown: str) -> str | None:
    """Return the name of a flow that names a document by its public id, or None."""
    name: str | None = await tx.fetchval(NAMED_BY, shown)
    return name


async def lock_existing(tx: Tx, ids: Sequence[UUID]) -> set[UUID]:
    """Return those of these documents that the organization has; none of them is deleted before this transaction ends."""
    return {row["id"] for row in await tx.fetch(LOCK_EXISTING, list(ids))}


async def passages(tx: Tx, id: UUID, after: int, limit: int) -> list[DocumentPassageRow]:
    return [DocumentPassageRow(**row) for row in await tx.fetch(PASSAGES, id, after, limit)]


async def others_passages(tx: Tx, id: UUID) -> int:
    """Return how many passages the organization's other documents have."""
    total: int = await tx.fetchval(TOTAL, id)
    return total


async def store(tx: Tx, row: DocumentRow, new: Conversion, embed_within: timedelta) -> bool:
    """Store a conversion; return False if the document was changed meanwhile."""
    number = None if new.passages is None else len(new.passages)
    document = await tx.fetchrow(
        READY, row.id, row.revision, new.format, new.content_bytes, new.content_hash, number, embed_within
    )
    if document is None:
        return False
    await tx.execute(DROP_CONTENT, row.id)
    if new.passages is not None:
        await tx.execute(DROP_VECTORS, row.id)
        await tx.execute(EMPTY, row.id)
        headings, texts = [heading for heading, _ in new.passages], [text for _, text in new.passages]
        await tx.execute(ADD, row.id, document["config"], document["name"], headings, texts)
    return True


async def fail(tx: Tx, row: DocumentRow, failure: str) -> bool:
    """Record why a conversion failed; return False if the document was changed meanwhile."""
    if await tx.execute(FAIL, row.id, row.revision, failure) != "UPDATE 1":
        return False
    await tx.execute(DROP_CONTENT, row.id)
    return True


async def claim_due(tx: Tx, limit: int) -> list[tuple[UUID, UUID]]:
    """Claim documents (organization, id) that are due to be fetched again.  Runs as the system."""
    return [(row["org_id"], row["id"]) for row in await tx.fetch(DUE, limit)]


async def fail_stuck(tx: Tx, after: timedelta) -> list[tuple[UUID, UUID]]:
    """End conversions that no worker has finished as failed; return them (organization, id).  Runs as the system."""
    documents = [(row["org_id"], row["id"]) for row in await tx.fetch(STUCK, after, STUCK_FAILURE)]
    for _, id in documents:
        await tx.execute(DROP_CONTENT, id)
    return documents
