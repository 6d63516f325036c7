"""Hybrid search: by words and, with embeddings, by meaning; both run concurrently, and their rankings are fused."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from prometheus_client import Histogram

from control.clients.embeddings import Embedder, EmbeddingAnswer, Vectors
from control.clients.openai import ModelError, ModelUsage
from control.knowledge import ranking
from control.knowledge.vectors import VectorCache, nearest, unpacked
from control.usage import otherentries
from hum import ids
from hum.observe.logs import log
from storage import knowledge_search
from storage.db import BUSY, UNAVAILABLE, Db
from storage.knowledge_search import PassagePlace, PassageRow, VectorVersion
from storage.usage import Owner

LOG = log(__name__)
SECONDS = Histogram("hum_knowledge_lookup_seconds", "Seconds that a look-up in the knowledge took", ["by"])


@dataclass(frozen=True, slots=True)
class Hit:
    row: PassageRow
    #: The rank in each order, from 1; None if it is not in it.
    by_words: int | None
    by_meaning: int | None


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The hits, best first."""

    hits: Sequence[Hit]
    by_meaning: bool


class DocumentSearch:
    """The search in documents.  `seconds`: the timeout of a question's embedding."""

    def __init__(self, db: Db, embedder: Embedder | None, seconds: float, cache: VectorCache) -> None:
        self._db, self._embedder, self._seconds, self._cache = db, embedder, seconds, cache

    async def find(
        self, org: UUID, documents: Sequence[UUID] | None, question: str, limit: int, owner: Owner | None = None
    ) -> SearchResult:
        """Return the passages of these documents, or of all, that answer a question.

        `owner`: the owner of the usage for the question's embedding; None: the organization.
        """
        question = question.replace("\0", " ").strip()
        embedding = asyncio.create_task(self._embed(question))
        try:
            scope, by_words = await self._by_words(org, documents, question)
            embedded = await embedding
        finally:
            embedding.cancel()
        if embedded is None:
            return await self._answer(org, scope, by_words, None, limit)
        # Concurrently, so that recording the usage does not delay the answer.
        answer, _ = await asyncio.gather(
            self._answer(org, scope, by_words, embedded.vectors[0], limit),
            self._count(owner or Owner(org, ids.new()), embedded.spent),
        )
        return answer

    async def _answer(
        self, org: UUID, scope: list[UUID], by_words: list[PassagePlace], vector: Vectors | None, limit: int
    ) -> SearchResult:
        by_meaning = list[PassagePlace]()
        if scope and vector is not None:
            by_meaning = await self._by_meaning(org, scope, vector)
        order = ranking.fused([places for places in (by_words, by_meaning) if places])[:limit]
        async with self._db.tenant(org) as tx:
            texts = await knowledge_search.texts(tx, order)
        hits = [
            Hit(texts[place], _rank(by_words, place), _rank(by_meaning, place)) for place in order if place in texts
        ]
        return SearchResult(hits, bool(by_meaning))

    async def _count(self, owner: Owner, spent: ModelUsage) -> None:
        try:
            async with self._db.tenant(owner.org_id) as tx:
                await otherentries.record_question(tx, owner, spent)
        except (*UNAVAILABLE, *BUSY) as error:  # the answer is returned anyway
            LOG.warning("could not record the usage of a look-up", error=repr(error)[:200])

    async def _embed(self, question: str) -> EmbeddingAnswer | None:
        """Return a question's vector; None without embeddings, or if it is not ready in time."""
        if self._embedder is None or not question:
            return None
        try:
            with SECONDS.labels("embedding").time():
                async with asyncio.timeout(self._seconds):
                    return await self._embedder.embed([question], self._seconds)
        except (ModelError, TimeoutError) as error:
            LOG.warning("could not embed a question; the look-up uses words only", error=repr(error)[:200])
            return None

    async def _by_words(
        self, org: UUID, documents: Sequence[UUID] | None, question: str
    ) -> tuple[list[UUID], list[PassagePlace]]:
        with SECONDS.labels("words").time():
            async with self._db.tenant(org) as tx:
                scope = await knowledge_search.scope(tx, documents)
                if not scope or not question:
                    return scope, []
                return scope, await knowledge_search.by_words(tx, scope, question, ranking.CANDIDATES)

    async def _by_meaning(self, org: UUID, scope: list[UUID], vector: Vectors) -> list[PassagePlace]:
        assert self._embedder is not None
        with SECONDS.labels("meaning").time():
            async with self._db.tenant(org) as tx:
                keys = await knowledge_search.vector_versions(tx, scope, self._embedder.name)
                missing = [key.document for key in keys if self._cache.get(key) is None]
                stored = await knowledge_search.vectors(tx, missing) if missing else {}
            # In a thread: the event loop serves calls.
            return await asyncio.to_thread(self._nearest, keys, stored, vector)

    def _nearest(
        self, keys: Sequence[VectorVersion], stored: Mapping[VectorVersion, bytes], vector: Vectors
    ) -> list[PassagePlace]:
        documents = list[tuple[UUID, Vectors]]()
        for key in keys:
            rows = self._cache.get(key)
            if rows is None and key in stored:
                rows = unpacked(stored[key], len(vector))
                self._cache.put(key, rows)
            # None if the document was embedded anew, or evicted, a moment ago.
            if rows is not None:
                documents.append((key.document, rows))
        return nearest(documents, vector, ranking.CANDIDATES)


def _rank(order: Sequence[PassagePlace], place: PassagePlace) -> int | None:
    return order.index(place) + 1 if place in order else None
