"""Two organizations with documents, and what converts and finds them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import numpy as np
import pytest

from control.base.egress import Policy
from control.clients.embeddings import EmbeddingAnswer
from control.clients.http import GuardedClient
from control.clients.openai import ModelError, ModelUsage
from control.knowledge import formats
from control.knowledge.jobs import Conversions
from control.knowledge.search import DocumentSearch, SearchResult
from control.knowledge.vectors import VectorCache
from hum import ids
from hum.network import parse_networks
from hum.settings.knowledge import KnowledgeSettings
from sandbox.openai import embeddings
from storage import knowledge
from storage.db import Db
from storage.knowledge import DocumentContent, DocumentRow, NewDocument
from tests.storage.conftest import Two, two

__all__ = ["two"]


@dataclass
class StandIn:
    """The sandbox's embeddings, without a socket; slow or away when a test wants it."""

    name: str = "stand-in/256"
    fails: bool = False
    seconds: float = 0.0
    tokens: int = 10
    asked: list[Sequence[str]] = field(default_factory=list)

    async def embed(self, texts: Sequence[str], seconds: float) -> EmbeddingAnswer:
        self.asked.append(list(texts))
        await asyncio.sleep(self.seconds)
        if self.fails:
            raise ModelError("away")
        vectors = np.array([embeddings.vector(text, 256) for text in texts], dtype=np.float32)
        return EmbeddingAnswer(vectors, ModelUsage("stand-in", text_in=self.tokens * len(texts)))


@dataclass
class House:
    """What stands behind the feature, in one organization at a time."""

    db: Db
    mine: UUID
    yours: UUID
    web: GuardedClient
    embedder: StandIn
    settings: KnowledgeSettings
    held: VectorCache = field(default_factory=lambda: VectorCache(1 << 20))

    def conversions(self, *, embedder: StandIn | None = None, **limits: float) -> Conversions:
        settings = self.settings.model_copy(update=limits)
        return Conversions(self.db, self.web, embedder, settings)

    async def add(self, org: UUID, name: str, text: str = "", language: str = "en", url: str | None = None) -> UUID:
        """A document that is pending."""
        new = NewDocument(name, language, formats.config(language), url, 1 if url else 0)
        content = None if url else DocumentContent("markdown", text.encode())
        async with self.db.tenant(org) as tx:
            return (await knowledge.create(tx, ids.new(), new, content)).id

    async def ready(self, org: UUID, name: str, text: str, language: str = "en", *, embed: bool = False) -> UUID:
        """A document that agents find."""
        id, conversions = await self.add(org, name, text, language), self.conversions(embedder=self.embedder)
        await conversions.convert(org, id)
        if embed:
            await conversions.embed(org, id)
        assert (await self.row(org, id)).status == "ready"
        return id

    async def row(self, org: UUID, id: UUID) -> DocumentRow:
        async with self.db.tenant(org) as tx:
            return await knowledge.get(tx, id)

    async def find(
        self, question: str, documents: Sequence[UUID] | None = None, *, by_meaning: bool = False, seconds: float = 5.0
    ) -> SearchResult:
        embedder = self.embedder if by_meaning else None
        return await DocumentSearch(self.db, embedder, seconds, self.held).find(self.mine, documents, question, 5)


@pytest.fixture
async def house(two: Two) -> AsyncIterator[House]:
    web = GuardedClient(Policy(parse_networks("127.0.0.0/8")))
    yield House(two.db, two.mine, two.yours, web, StandIn(), KnowledgeSettings())
    await web.close()
