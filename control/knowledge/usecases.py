"""Creating, changing, fetching again and deleting documents."""

from dataclasses import dataclass, replace
from uuid import UUID

from control import jobs
from control.base.egress import EgressError, Policy
from control.knowledge import formats
from hum import ids
from hum.contract.errors import FieldError, InUse, InvalidRequest, InvalidState, PlanLimit
from hum.contract.principal import Principal
from hum.ids import Kind
from hum.settings.knowledge import KnowledgeSettings
from hum.v1 import events_pb2
from storage import events, knowledge
from storage.db import Tx
from storage.knowledge import DocumentContent, DocumentRow, NewDocument


@dataclass(frozen=True, slots=True)
class DocumentSource:
    """The source of a document: exactly one of content, text and URL; and its format, if the request names it."""

    content: bytes | None
    text: str | None
    url: str | None
    format: str | None


@dataclass(frozen=True, slots=True)
class DocumentBounds:
    """Limits of documents, and the policy for their URLs."""

    settings: KnowledgeSettings
    policy: Policy


async def create(
    tx: Tx, principal: Principal, new: NewDocument, source: DocumentSource, bounds: DocumentBounds
) -> DocumentRow:
    """Create a document and enqueue its conversion.  Raises InvalidRequest, PlanLimit."""
    settings = bounds.settings
    content = _content(source, new.name, settings, may_be_url=True)
    if source.url is not None:
        _check_url(source.url, bounds.policy)
    elif new.refetch_hours:
        raise InvalidRequest([FieldError("refetch_hours", "is only for a document with a url")])
    if await knowledge.count(tx) >= settings.knowledge_documents:
        raise PlanLimit(f"The organization has {settings.knowledge_documents} documents, which is the limit.")
    row = await knowledge.create(tx, ids.new(), new, content)
    await events.append(tx, principal.org_id, row.id, events_pb2.KnowledgeCreatedEvent(by=principal.name))
    await jobs.enqueue(tx, formats.CONVERT, principal.org_id, row.id)
    return row


async def change(tx: Tx, principal: Principal, before: DocumentRow, new: NewDocument) -> tuple[DocumentRow, int]:
    """Change a document's name, language and interval of fetching; return it, and the bytes that are indexed again.

    Raises InvalidRequest.
    """
    if new.refetch_hours and before.url is None:
        raise InvalidRequest([FieldError("document.refetch_hours", "is only for a document with a url")])
    changed = await knowledge.change(tx, before, new)
    await events.append(tx, principal.org_id, before.id, events_pb2.KnowledgeUpdatedEvent(by=principal.name))
    return changed


async def replace_content(
    tx: Tx, principal: Principal, id: UUID, source: DocumentSource, settings: KnowledgeSettings
) -> DocumentRow:
    """Replace a document's content and enqueue its conversion.  Raises NotFound, InvalidRequest, InvalidState."""
    before = await knowledge.get(tx, id, lock=True)
    if before.url is not None:
        raise InvalidState("The document is fetched from its url; fetch it again, or add another document.")
    content = _content(source, before.name, settings, may_be_url=False)
    row = await knowledge.request(tx, before, content)
    await events.append(tx, principal.org_id, id, events_pb2.KnowledgeUpdatedEvent(by=principal.name))
    await jobs.enqueue(tx, formats.CONVERT, principal.org_id, id)
    return row


async def refetch(tx: Tx, principal: Principal, id: UUID) -> DocumentRow:
    """Enqueue another fetch, unless one is pending.  Raises NotFound, InvalidState."""
    before = await knowledge.get(tx, id, lock=True)
    if before.url is None:
        raise InvalidState("The document was sent; it has no url to fetch it from.")
    if before.status == "pending":
        return before
    row = await knowledge.request(tx, before, None)
    await jobs.enqueue(tx, formats.CONVERT, principal.org_id, id)
    return row


async def delete(tx: Tx, principal: Principal, id: UUID) -> None:
    """Delete a document.  Raises NotFound, InUse."""
    await knowledge.get(tx, id, lock=True)
    if (flow := await knowledge.named_by(tx, ids.show(Kind.KNOWLEDGE, id))) is not None:
        raise InUse(f"The flow {flow!r} names this document; change its knowledge_ids first.")
    await knowledge.delete(tx, id)
    await events.append(tx, principal.org_id, id, events_pb2.KnowledgeDeletedEvent(by=principal.name))


def _content(
    source: DocumentSource, name: str, settings: KnowledgeSettings, *, may_be_url: bool
) -> DocumentContent | None:
    """Check a source and return its content; None if it must be fetched.  Raises InvalidRequest."""
    choices = ("content", "text", "url") if may_be_url else ("content", "text")
    fields = [name for name in choices if getattr(source, name) is not None]
    if len(fields) != 1:
        reason = f"send exactly one of {', '.join(choices)}"
        raise InvalidRequest([FieldError(field, reason) for field in (fields or choices[:1])])
    if source.url is not None:
        return None
    is_text = source.text is not None
    body = (source.text or "").encode() if is_text else source.content or b""
    if not body.strip():
        raise InvalidRequest([FieldError(fields[0], "is empty")])
    if len(body) > settings.knowledge_bytes:
        raise InvalidRequest([FieldError(fields[0], f"is larger than {settings.knowledge_bytes} bytes")])
    if is_text and source.format in {"pdf", "docx"}:
        raise InvalidRequest([FieldError("format", "is not a text; send the file as content")])
    return DocumentContent(source.format or formats.format_of(body, name), body)


def _check_url(url: str, policy: Policy) -> None:
    """Raise InvalidRequest for a URL that could never be fetched."""
    try:
        policy.check_url(url)
    except EgressError as error:
        raise InvalidRequest([FieldError("url", error.message)]) from error


def with_changes(before: DocumentRow, *, name: str, language: str, refetch_hours: int) -> NewDocument:
    """Return a document's values with a change applied."""
    current = NewDocument(before.name, before.language, before.config, before.url, before.refetch_hours)
    return replace(current, name=name, language=language, config=formats.config(language), refetch_hours=refetch_hours)
