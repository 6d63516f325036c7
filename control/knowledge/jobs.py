"""The jobs of documents: conversion, embedding, and fetching again.

document due ──▶ CONVERT: fetch, read in its own process, split, store in one transaction ──▶ EMBED: add vectors

No transaction is open while a document is fetched, converted or embedded.  A conversion that newer content or another
worker has overtaken stores nothing.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import numpy as np

from control import jobs
from control.base.egress import EgressError
from control.clients.embeddings import Embedder, EmbeddingAnswer
from control.clients.http import GuardedClient
from control.knowledge import formats, passages
from control.knowledge.converter import Unreadable
from control.knowledge.converting import Converter
from control.knowledge.passages import Passage
from control.knowledge.vectors import packed
from control.usage import otherentries
from hum import ids
from hum.contract.errors import NotFound
from hum.ids import Kind
from hum.settings.knowledge import KnowledgeSettings
from hum.v1 import events_pb2
from storage import events, knowledge, knowledge_search
from storage.db import Db
from storage.knowledge import Conversion, DocumentContent, DocumentRow

#: Seconds to wait for the embeddings of a batch of passages.
EMBEDDING_SECONDS = 30.0
#: Seconds until a document is embedded again whose embeddings failed, or are another model's.
EMBEDDING_RETRY_SECONDS = 900.0

#: Passages per request for embeddings and per page that is read, and documents per sweep.
BATCH, PAGE, MOST = 64, 500, 100
ACCEPT = "text/html, text/markdown, text/plain, text/csv, application/pdf, */*;q=0.5"


@dataclass(frozen=True, slots=True)
class FetchedDocument:
    body: bytes
    media_type: str


class Conversions:
    """The jobs and the sweep.  `embedder`: None if passages are found by words only."""

    def __init__(self, db: Db, web: GuardedClient, embedder: Embedder | None, settings: KnowledgeSettings) -> None:
        self._db, self._web, self._embedder, self._settings = db, web, embedder, settings
        self._converter = Converter(settings)

    async def convert(self, org: UUID, id: UUID) -> None:
        """Convert a pending document to passages."""
        async with self._db.tenant(org) as tx:
            try:
                row = await knowledge.get(tx, id)
            except NotFound:
                return
            content = await knowledge.content(tx, id)
        if row.status != "pending":
            return
        try:
            converted = await self._convert(row, content)
        except Unreadable as failure:
            await self._fail(row, str(failure))
            return
        await self._store(row, converted)

    async def embed(self, org: UUID, id: UUID) -> None:
        """Embed a document's passages.  Raises ModelError."""
        if self._embedder is None:
            return
        async with self._db.tenant(org) as tx:
            try:
                row = await knowledge.get(tx, id)
            except NotFound:
                return
        if row.status == "pending" or not row.passages or row.embedded_by == self._embedder.name:
            return
        batches = await self._vectors(self._embedder, row)
        vectors = np.concatenate([batch.vectors for batch in batches])
        async with self._db.tenant(org) as tx:
            try:
                current = await knowledge.get(tx, id, lock=True)
            except NotFound:
                return
            await otherentries.record_embedding(tx, org, [batch.spent for batch in batches])
            if current.revision == row.revision and current.passages == len(vectors):
                await knowledge_search.embed(tx, id, self._embedder.name, packed(vectors))

    async def enqueue_due_documents(self) -> None:
        """Enqueue documents that are due, fail stuck ones, and enqueue those without vectors of the present model."""
        settings = self._settings
        async with self._db.system() as tx:
            for org, id in await knowledge.claim_due(tx, MOST):
                await jobs.enqueue(tx, formats.CONVERT, org, id)
            for org, id in await knowledge.fail_stuck(tx, timedelta(seconds=settings.knowledge_stuck_seconds)):
                await events.append(tx, org, id, _failed(id, knowledge.STUCK_FAILURE))
            if self._embedder is not None:
                again = timedelta(seconds=EMBEDDING_RETRY_SECONDS)
                for org, id in await knowledge_search.claim_unembedded(tx, self._embedder.name, again, MOST):
                    await jobs.enqueue(tx, formats.EMBED, org, id)

    # --- converting -----------------------------------------------------------------------------------------------

    async def _convert(self, row: DocumentRow, content: DocumentContent | None) -> Conversion:
        """Fetch and convert a document; passages are None if its content is unchanged.  Raises Unreadable."""
        media_type, form = "", row.named_format if content is None else content.format
        if content is not None:
            body = content.body
        elif row.url is not None:
            answer = await self._fetch(row.org_id, row.url)
            body, media_type = answer.body, answer.media_type
        else:
            raise Unreadable("What was sent is no longer there; send it again.")
        form = form or formats.format_of(body, row.url or row.name, media_type)
        hash = hashlib.sha256(form.encode() + b"\0" + body).digest()
        if hash == row.content_hash and row.passages:
            return Conversion(form, len(body), hash, None)
        blocks = await self._converter.blocks(body, form)
        found = await asyncio.to_thread(passages.split, blocks)
        if not found:
            raise Unreadable("There is no text in the document.")
        return Conversion(form, len(body), hash, [(passage.heading, passage.text) for passage in found])

    async def _fetch(self, org: UUID, url: str) -> FetchedDocument:
        """Fetch a document from its URL.  Raises Unreadable."""
        try:
            answer = await self._web.request(
                "GET",
                url,
                org=org,
                headers={"Accept": ACCEPT},
                total_seconds=self._settings.knowledge_fetch_seconds,
                response_bytes=self._settings.knowledge_bytes,
            )
        except EgressError as error:
            raise Unreadable(error.message) from error
        if 300 <= answer.status < 400:
            raise Unreadable(f"The server answered {answer.status}; redirects are not followed, name the final url.")
        if answer.status != 200:
            raise Unreadable(f"The server answered {answer.status}.")
        if not answer.body.strip():
            raise Unreadable("The server's answer is empty.")
        return FetchedDocument(answer.body, answer.headers.get("content-type", ""))

    async def _store(self, row: DocumentRow, converted: Conversion) -> None:
        async with self._db.tenant(row.org_id) as tx:
            limit = self._settings.knowledge_passages - await knowledge.others_passages(tx, row.id)
            if converted.passages is not None and len(converted.passages) > limit:
                failure = f"The organization would have more than {self._settings.knowledge_passages} passages."
            else:
                failure = ""
                later = timedelta(seconds=EMBEDDING_RETRY_SECONDS)
                if await knowledge.store(tx, row, converted, later) and converted.passages is not None:
                    shown_id = ids.show(Kind.KNOWLEDGE, row.id)
                    event = events_pb2.KnowledgeReadyEvent(knowledge_id=shown_id, passages=len(converted.passages))
                    await events.append(tx, row.org_id, row.id, event)
                    if self._embedder is not None:
                        await jobs.enqueue(tx, formats.EMBED, row.org_id, row.id)
        if failure:
            await self._fail(row, failure)

    async def _fail(self, row: DocumentRow, failure: str) -> None:
        async with self._db.tenant(row.org_id) as tx:
            if await knowledge.fail(tx, row, failure):
                await events.append(tx, row.org_id, row.id, _failed(row.id, failure))

    # --- embedding ------------------------------------------------------------------------------------------------

    async def _vectors(self, embedder: Embedder, row: DocumentRow) -> list[EmbeddingAnswer]:
        """Embed all passages of a document.  Raises ModelError."""
        texts = await self._texts(row)
        return [await embedder.embed(texts[at : at + BATCH], EMBEDDING_SECONDS) for at in range(0, len(texts), BATCH)]

    async def _texts(self, row: DocumentRow) -> Sequence[str]:
        texts, after = list[str](), 0
        while True:
            async with self._db.tenant(row.org_id) as tx:
                rows = await knowledge.passages(tx, row.id, after, PAGE)
            texts += (embedding_text(row.name, Passage(passage.heading, passage.text)) for passage in rows)
            if len(rows) < PAGE:
                return texts
            after = rows[-1].position


def _failed(id: UUID, failure: str) -> events_pb2.KnowledgeFailedEvent:
    return events_pb2.KnowledgeFailedEvent(knowledge_id=ids.show(Kind.KNOWLEDGE, id), failure=failure)


def embedding_text(name: str, passage: Passage) -> str:
    """Return a passage with its document's name and headings, so that its vector reflects its context."""
    return f"{passages.SEPARATOR.join(part for part in (name, passage.heading) if part)}\n{passage.text}"
