"""KnowledgeService (proto/hum/v1/knowledge.proto)."""

from control.base import paging
from control.base.wire import timestamp, value, word
from control.boundary import ActionContext, TransactionContext
from control.knowledge import formats, usecases
from control.knowledge.search import DocumentSearch, Hit
from control.knowledge.tools import PASSAGES
from control.knowledge.usecases import DocumentBounds, DocumentSource, with_changes
from hum import ids
from hum.contract.errors import FieldError, InvalidRequest
from hum.ids import Kind
from hum.v1 import knowledge_pb2 as pb
from storage import knowledge
from storage.db import Db
from storage.knowledge import DocumentRow, NewDocument


class KnowledgeServicer:
    def __init__(self, db: Db, cursors: paging.Cursors, search: DocumentSearch, bounds: DocumentBounds) -> None:
        self._db, self._cursors, self._search, self._bounds = db, cursors, search, bounds

    async def ListKnowledge(
        self, request: pb.ListKnowledgeRequest, ctx: TransactionContext
    ) -> pb.ListKnowledgeResponse:
        fetched = await knowledge.page(ctx.tx, self._cursors.after(request), paging.rows_to_fetch(request))
        rows, more = self._cursors.cut(request, fetched, lambda row: (row.id,))
        return pb.ListKnowledgeResponse(documents=[present(row) for row in rows], next_cursor=more)

    async def CreateKnowledge(
        self, request: pb.CreateKnowledgeRequest, ctx: TransactionContext
    ) -> pb.CreateKnowledgeResponse:
        language = request.language or formats.DEFAULT_LANGUAGE
        url = request.url if request.HasField("url") else None
        values = NewDocument(
            request.name,
            language,
            formats.config(language),
            url,
            request.refetch_hours,
            word(pb.KnowledgeFormat, request.format),
        )
        row = await usecases.create(ctx.tx, ctx.principal, values, _source(request, url), self._bounds)
        return pb.CreateKnowledgeResponse(document=present(row))

    async def GetKnowledge(self, request: pb.GetKnowledgeRequest, ctx: TransactionContext) -> pb.GetKnowledgeResponse:
        return pb.GetKnowledgeResponse(
            document=present(await knowledge.get(ctx.tx, ids.require(Kind.KNOWLEDGE, request.id)))
        )

    async def UpdateKnowledge(
        self, request: pb.UpdateKnowledgeRequest, ctx: TransactionContext
    ) -> pb.UpdateKnowledgeResponse:
        before = await knowledge.get(ctx.tx, ids.require(Kind.KNOWLEDGE, request.id), lock=True)
        paths = set(request.update_mask.paths) or {field.name for field, _ in request.document.ListFields()}
        document = request.document
        after = with_changes(
            before,
            name=document.name if "name" in paths else before.name,
            language=(document.language or formats.DEFAULT_LANGUAGE) if "language" in paths else before.language,
            refetch_hours=document.refetch_hours if "refetch_hours" in paths else before.refetch_hours,
        )
        row, size = await usecases.change(ctx.tx, ctx.principal, before, after)
        ctx.incoming.count_stored(size)
        return pb.UpdateKnowledgeResponse(document=present(row))

    async def ReplaceKnowledge(
        self, request: pb.ReplaceKnowledgeRequest, ctx: TransactionContext
    ) -> pb.ReplaceKnowledgeResponse:
        id = ids.require(Kind.KNOWLEDGE, request.id)
        row = await usecases.replace_content(ctx.tx, ctx.principal, id, _source(request, None), self._bounds.settings)
        return pb.ReplaceKnowledgeResponse(document=present(row))

    async def DeleteKnowledge(
        self, request: pb.DeleteKnowledgeRequest, ctx: TransactionContext
    ) -> pb.DeleteKnowledgeResponse:
        await usecases.delete(ctx.tx, ctx.principal, ids.require(Kind.KNOWLEDGE, request.id))
        return pb.DeleteKnowledgeResponse()

    async def RefetchKnowledge(
        self, request: pb.RefetchKnowledgeRequest, ctx: TransactionContext
    ) -> pb.RefetchKnowledgeResponse:
        row = await usecases.refetch(ctx.tx, ctx.principal, ids.require(Kind.KNOWLEDGE, request.id))
        return pb.RefetchKnowledgeResponse(document=present(row))

    async def ListKnowledgePassages(
        self, request: pb.ListKnowledgePassagesRequest, ctx: TransactionContext
    ) -> pb.ListKnowledgePassagesResponse:
        document = await knowledge.get(ctx.tx, ids.require(Kind.KNOWLEDGE, request.id))
        after, count = self._cursors.after(request) or 0, paging.rows_to_fetch(request)
        fetched = await knowledge.passages(ctx.tx, document.id, after, count)
        rows, more = self._cursors.cut(request, fetched, lambda row: (row.position,))
        passages = [pb.KnowledgePassage(heading=row.heading, text=row.text, position=row.position) for row in rows]
        return pb.ListKnowledgePassagesResponse(passages=passages, next_cursor=more)

    async def SearchKnowledge(
        self, request: pb.SearchKnowledgeRequest, ctx: ActionContext
    ) -> pb.SearchKnowledgeResponse:
        parsed = [ids.parse(Kind.KNOWLEDGE, text) for text in request.knowledge_ids]
        documents = [id for id in parsed if id is not None] if parsed else None
        if documents is not None:
            async with self._db.tenant(ctx.organization) as tx:
                existing = await knowledge.lock_existing(tx, documents)
            missing = [n for n, id in enumerate(parsed) if id not in existing]
            if missing:
                raise InvalidRequest(
                    [FieldError(f"knowledge_ids[{n}]", "is not knowledge of this organization") for n in missing]
                )
        limit = request.limit if request.HasField("limit") else PASSAGES
        answer = await self._search.find(ctx.organization, documents, request.query, limit)
        return pb.SearchKnowledgeResponse(
            passages=[present_hit(hit) for hit in answer.hits], by_meaning=answer.by_meaning
        )


def _source(request: pb.CreateKnowledgeRequest | pb.ReplaceKnowledgeRequest, url: str | None) -> DocumentSource:
    return DocumentSource(
        content=request.content if request.HasField("content") else None,
        text=request.text if request.HasField("text") else None,
        url=url,
        format=word(pb.KnowledgeFormat, request.format),
    )


def present(row: DocumentRow) -> pb.KnowledgeDocument:
    return pb.KnowledgeDocument(
        id=ids.show(Kind.KNOWLEDGE, row.id),
        name=row.name,
        language=row.language,
        url=row.url,
        refetch_hours=row.refetch_hours,
        format=value(pb.KnowledgeFormat, row.format),
        status=value(pb.KnowledgeStatus, row.status),
        failure=row.failure,
        passages=row.passages,
        embedded=row.embedded_by is not None,
        content_bytes=row.content_bytes,
        created_at=timestamp(row.created_at),
        updated_at=timestamp(row.updated_at),
        converted_at=timestamp(row.converted_at),
        next_fetch_at=timestamp(row.next_fetch_at),
    )


def present_hit(hit: Hit) -> pb.FoundPassage:
    return pb.FoundPassage(
        document_id=ids.show(Kind.KNOWLEDGE, hit.row.place.document),
        source=hit.row.name,
        heading=hit.row.heading,
        text=hit.row.text,
        rank_by_words=hit.by_words,
        rank_by_meaning=hit.by_meaning,
    )
