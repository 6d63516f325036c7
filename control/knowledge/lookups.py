"""Looking things up: by words and, where there are embeddings, by meaning; both at once, and joined."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from prometheus_client import Histogram

from control.clients.embeddings import Embedded, Embedder, Vectors
from control.clients.openai import ModelError, Spent
from control.knowledge import rules
from control.knowledge.vectors import Held, nearest, unpacked
from control.usage import other
from hum import ids
from hum.telemetry import log
from storage import knowledge_search
from storage.db import AWAY, BUSY, Db
from storage.knowledge_search import FoundRow, Made, Place
from storage.usage import Owner

LOG = log(__name__)
SECONDS = Histogram("hum_knowledge_lookup_seconds", "Seconds that a look-up in the knowledge took", ["by"])


@dataclass(frozen=True, slots=True)
class Found:
    row: FoundRow
    #: Its place in each order, from 1; None: it is not in it.
    by_words: int | None
    by_meaning: int | None


@dataclass(frozen=True, slots=True)
class Answer:
    """Best first."""

    found: Sequence[Found]
    by_meaning: bool


class Lookups:
    """`seconds`: how long a look-up waits for the meaning of what is asked."""

    def __init__(self, db: Db, embedder: Embedder | None, seconds: float, held: Held) -> None:
        self._db, self._embedder, self._seconds, self._held = db, embedder, seconds, held

    async def find(
        self, org: UUID, documents: Sequence[UUID] | None, question: str, limit: int, owner: Owner | None = None
    ) -> Answer:
        """The passages of these documents, or of all, that answer a question.

        `owner`: whose use it is that the question's meaning was asked for; None: the organization's.
        """
        question = question.replace("\0", " ").strip()
        asking = asyncio.create_task(self._embedded(question))
        try:
            scope, by_words = await self._by_words(org, documents, question)
            embedded = await asking
        finally:
            asking.cancel()
        if embedded is None:
            return await self._answer(org, scope, by_words, None, limit)
        # Beside the answer, which waits for no more than it would alone.
        answer, _ = await asyncio.gather(
            self._answer(org, scope, by_words, embedded.vectors[0], limit),
            self._count(owner or Owner(org, ids.new()), embedded.spent),
        )
        return answer

    async def _answer(
        self, org: UUID, scope: list[UUID], by_words: list[Place], vector: Vectors | None, limit: int
    ) -> Answer:
        by_meaning = list[Place]()
        if scope and vector is not None:
            by_meaning = await self._by_meaning(org, scope, vector)
        order = rules.fused([each for each in (by_words, by_meaning) if each])[:limit]
        async with self._db.tenant(org) as tx:
            texts = await knowledge_search.texts(tx, order)
        found = [
            Found(texts[place], _rank(by_words, place), _rank(by_meaning, place)) for place in order if place in texts
        ]
        return Answer(found, bool(by_meaning))

    async def _count(self, owner: Owner, spent: Spent) -> None:
        try:
            async with self._db.tenant(owner.org_id) as tx:
                await other.asked(tx, owner, spent)
        except (*AWAY, *BUSY) as error:  # whoever asks gets an answer all the same
            LOG.warning("what a look-up used is not counted", error=repr(error)[:200])

    async def _embedded(self, question: str) -> Embedded | None:
        """What is asked, as a vector; None if there are no embeddings, or none in time."""
        if self._embedder is None or not question:
            return None
        try:
            with SECONDS.labels("embedding").time():
                async with asyncio.timeout(self._seconds):
                    return await self._embedder.embed([question], self._seconds)
        except (ModelError, TimeoutError) as error:
            LOG.warning("a look-up goes by words only", error=repr(error)[:200])
            return None

    async def _by_words(
        self, org: UUID, documents: Sequence[UUID] | None, question: str
    ) -> tuple[list[UUID], list[Place]]:
        with SECONDS.labels("words").time():
            async with self._db.tenant(org) as tx:
                scope = await knowledge_search.scope(tx, documents)
                if not scope or not question:
                    return scope, []
                return scope, await knowledge_search.by_words(tx, scope, question, rules.CANDIDATES)

    async def _by_meaning(self, org: UUID, scope: list[UUID], vector: Vectors) -> list[Place]:
        assert self._embedder is not None
        with SECONDS.labels("meaning").time():
            async with self._db.tenant(org) as tx:
                wanted = await knowledge_search.made(tx, scope, self._embedder.name)
                missing = [each.document for each in wanted if self._held.get(each) is None]
                read = await knowledge_search.vectors(tx, missing) if missing else {}
            # Beside the event loop, which has calls.
            return await asyncio.to_thread(self._nearest, wanted, read, vector)

    def _nearest(self, wanted: Sequence[Made], read: Mapping[Made, bytes], vector: Vectors) -> list[Place]:
        documents = list[tuple[UUID, Vectors]]()
        for each in wanted:
            rows = self._held.get(each)
            if rows is None and each in read:
                rows = unpacked(read[each], len(vector))
                self._held.put(each, rows)
            if rows is not None:  # else it was made anew, or fell out, a moment ago
                documents.append((each.document, rows))
        return nearest(documents, vector, rules.CANDIDATES)


def _rank(order: Sequence[Place], place: Place) -> int | None:
    return order.index(place) + 1 if place in order else None
