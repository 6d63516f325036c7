"""Search for passages: by their words, and by their vectors."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from storage.db import Tx

#: Distinct words of a question that count; it rarely has more.
MOST_WORDS = 40
SCOPE = """
    SELECT id FROM knowledge_documents WHERE passages > 0 AND ($1::uuid[] IS NULL OR id = ANY ($1::uuid[]))
"""
# Any word may match.  A word weighs more if fewer passages of these documents have it (as in BM25), and if a passage has it more
# often, up to a bound; it weighs more in a heading.
BY_WORDS = f"""
    WITH scope AS MATERIALIZED (
        SELECT id, config, passages FROM knowledge_documents WHERE id = ANY ($1::uuid[])
    ), wanted AS MATERIALIZED (
        SELECT config, lexeme,
               ('''' || replace(replace(lexeme, '\\', '\\\\'), '''', '''''') || '''')::tsquery AS query
          FROM (SELECT DISTINCT config FROM scope) c,
               LATERAL (SELECT lexeme FROM unnest(to_tsvector(c.config::regconfig, $2)) LIMIT {MOST_WORDS}) l
    ), matching AS MATERIALIZED (
        SELECT p.document_id, p.position, w.lexeme,
               ts_rank('{{0.4, 0.4, 0.4, 0.6}}', p.words, w.query, 1) AS weight
          FROM scope s
          JOIN knowledge_passages p ON p.document_id = s.id
          JOIN wanted w ON w.config = s.config AND p.words @@ w.query
    ), rarity AS (
        SELECT lexeme, ln(1 + ((SELECT sum(passages) FROM scope) - count(*) + 0.5) / (count(*) + 0.5)) AS idf
          FROM matching
         GROUP BY lexeme
    )
    SELECT m.document_id, m.position
      FROM matching m
      JOIN rarity r USING (lexeme)
     GROUP BY m.document_id, m.position
     ORDER BY sum(m.weight * r.idf) DESC, m.document_id, m.position
     LIMIT $3
"""
VECTOR_VERSIONS = """
    SELECT v.document_id, v.made_at
      FROM knowledge_documents d
      JOIN knowledge_vectors v ON v.document_id = d.id
     WHERE d.id = ANY ($1::uuid[]) AND d.embedded_by = $2
     ORDER BY v.document_id
"""
VECTORS = "SELECT document_id, made_at, embeddings FROM knowledge_vectors WHERE document_id = ANY ($1::uuid[])"
TEXTS = """
    SELECT p.document_id, p.position, d.name, p.heading, p.text
      FROM unnest($1::uuid[], $2::integer[]) AS wanted (document_id, position)
      JOIN knowledge_passages p USING (document_id, position)
      JOIN knowledge_documents d ON d.id = p.document_id
"""
STORE_VECTORS = """
    INSERT INTO knowledge_vectors (org_id, document_id, made_at, embeddings)
    VALUES (hum.org_id(), $1, clock_timestamp(), $2)
    ON CONFLICT (document_id) DO UPDATE SET made_at = excluded.made_at, embeddings = excluded.embeddings
"""
EMBEDDED = "UPDATE knowledge_documents SET embedded_by = $2 WHERE id = $1"
# Runs as the system.
TO_EMBED = """
    UPDATE knowledge_documents
       SET embed_at = now() + $2::interval
     WHERE id IN (SELECT id FROM knowledge_documents
                   WHERE status = 'ready' AND passages > 0 AND embed_at <= now() AND embedded_by IS DISTINCT FROM $1
                   ORDER BY embed_at
                   LIMIT $3
                     FOR UPDATE SKIP LOCKED)
    RETURNING org_id, id
"""


class PassagePlace(NamedTuple):
    """A passage's position."""

    document: UUID
    position: int


class VectorVersion(NamedTuple):
    """A version of a document's vectors: when they were created."""

    document: UUID
    at: datetime


@dataclass(frozen=True, slots=True)
class PassageRow:
    place: PassagePlace
    name: str
    heading: str
    text: str


async def scope(tx: Tx, documents: Sequence[UUID] | None) -> list[UUID]:
    """Return those of the documents that have passages; None: all that have."""
    return [row["id"] for row in await tx.fetch(SCOPE, None if documents is None else list(documents))]


async def by_words(tx: Tx, documents: Sequence[UUID], question: str, limit: int) -> list[PassagePlace]:
    """Return the positions of matching passages, best first."""
    return [PassagePlace(*row) for row in await tx.fetch(BY_WORDS, list(documents), question, limit)]


async def vector_versions(tx: Tx, documents: Sequence[UUID], model: str) -> list[VectorVersion]:
    """Return which of these documents have vectors of this model."""
    return [VectorVersion(*row) for row in await tx.fetch(VECTOR_VERSIONS, list(documents), model)]


async def vectors(tx: Tx, documents: Sequence[UUID]) -> dict[VectorVersion, bytes]:
    return {VectorVersion(row[0], row[1]): row[2] for row in await tx.fetch(VECTORS, list(documents))}


async def texts(tx: Tx, places: Sequence[PassagePlace]) -> dict[PassagePlace, PassageRow]:
    rows = await tx.fetch(TEXTS, [place.document for place in places], [place.position for place in places])
    passages = (PassageRow(PassagePlace(row[0], row[1]), row["name"], row["heading"], row["text"]) for row in rows)
    return {passage.place: passage for passage in passages}


async def embed(tx: Tx, document: UUID, model: str, embeddings: bytes) -> None:
    """Store the vectors of all passages of a locked document, in their order."""
    await tx.execute(STORE_VECTORS, document, embeddings)
    await tx.execute(EMBEDDED, document, model)


async def claim_unembedded(tx: Tx, model: str, again_after: timedelta, limit: int) -> list[tuple[UUID, UUID]]:
    """Claim documents (organization, id) that lack vectors of this model.  Runs as the system."""
    return [(row["org_id"], row["id"]) for row in await tx.fetch(TO_EMBED, model, again_after, limit)]
