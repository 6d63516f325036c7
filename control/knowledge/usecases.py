"""Adding, changing and deleting documents."""

from dataclasses import dataclass, replace
from uuid import UUID

from control import jobs
from control.base import egress
from control.base.egress import Outside, Policy
from control.knowledge import rules
from hum import ids
from hum.errors import FieldError, InUse, InvalidRequest, InvalidState, PlanLimit
from hum.ids import Kind
from hum.principal import Principal
from hum.settings.knowledge import KnowledgeSettings
from hum.v1 import events_pb2
from storage import events, knowledge
from storage.db import Tx
from storage.knowledge import Content, DocumentRow, New


@dataclass(frozen=True, slots=True)
class Sent:
    """What a request says that a document is: exactly one of these, and what it is, if it says so."""

    content: bytes | None
    text: str | None
    url: str | None
    format: str | None


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a document may be, and where it may be fetched."""

    settings: KnowledgeSettings
    policy: Policy


async def create(tx: Tx, who: Principal, new: New, sent: Sent, bounds: Bounds) -> DocumentRow:
    """Raises InvalidRequest, PlanLimit."""
    settings = bounds.settings
    content = _content(sent, new.name, settings, may_be_url=True)
    if sent.url is not None:
        _check_url(sent.url, bounds.policy)
    elif new.refetch_hours:
        raise InvalidRequest([FieldError("refetch_hours", "is only for a document with a url")])
    if await knowledge.count(tx) >= settings.knowledge_documents:
        raise PlanLimit(f"The organization has {settings.knowledge_documents} documents, which is the limit.")
    row = await knowledge.create(tx, ids.new(), new, content)
    await events.append(tx, who.org_id, row.id, events_pb2.KnowledgeCreatedEvent(by=who.name))
    await jobs.enqueue(tx, rules.CONVERT, who.org_id, row.id)
    return row


async def change(tx: Tx, who: Principal, before: DocumentRow, new: New) -> DocumentRow:
    """Raises InvalidRequest."""
    if new.refetch_hours and before.url is None:
        raise InvalidRequest([FieldError("document.refetch_hours", "is only for a document with a url")])
    row = await knowledge.change(tx, before, new)
    await events.append(tx, who.org_id, before.id, events_pb2.KnowledgeUpdatedEvent(by=who.name))
    return row


async def replace_content(tx: Tx, who: Principal, id: UUID, sent: Sent, settings: KnowledgeSettings) -> DocumentRow:
    """Raises NotFound, InvalidRequest, InvalidState."""
    before = await knowledge.get(tx, id, lock=True)
    if before.url is not None:
        raise InvalidState("The document is fetched from its url; fetch it again, or add another document.")
    content = _content(sent, before.name, settings, may_be_url=False)
    row = await knowledge.request(tx, before, content)
    await events.append(tx, who.org_id, id, events_pb2.KnowledgeUpdatedEvent(by=who.name))
    await jobs.enqueue(tx, rules.CONVERT, who.org_id, id)
    return row


async def refetch(tx: Tx, who: Principal, id: UUID) -> DocumentRow:
    """Raises NotFound, InvalidState.  One that is pending will be fetched anyway."""
    before = await knowledge.get(tx, id, lock=True)
    if before.url is None:
        raise InvalidState("The document was sent; it has no url to fetch it from.")
    if before.status == "pending":
        return before
    row = await knowledge.request(tx, before, None)
    await jobs.enqueue(tx, rules.CONVERT, who.org_id, id)
    return row


async def delete(tx: Tx, who: Principal, id: UUID) -> None:
    """Raises NotFound, InUse."""
    await knowledge.get(tx, id, lock=True)
    if (flow := await knowledge.named_by(tx, ids.show(Kind.KNOWLEDGE, id))) is not None:
        raise InUse(f"The flow {flow!r} names this document; change its knowledge_ids first.")
    await knowledge.delete(tx, id)
    await events.append(tx, who.org_id, id, events_pb2.KnowledgeDeletedEvent(by=who.name))


def _content(sent: Sent, name: str, settings: KnowledgeSettings, *, may_be_url: bool) -> Content | None:
    """What was sent; None: it is to be fetched.  Raises InvalidRequest."""
    choices = ("content", "text", "url") if may_be_url else ("content", "text")
    named = [each for each in choices if getattr(sent, each) is not None]
    if len(named) != 1:
        sentence = f"send exactly one of {', '.join(choices)}"
        raise InvalidRequest([FieldError(each, sentence) for each in (named or choices[:1])])
    if sent.url is not None:
        return None
    is_text = sent.text is not None
    body = (sent.text or "").encode() if is_text else sent.content or b""
    if not body.strip():
        raise InvalidRequest([FieldError(named[0], "is empty")])
    if len(body) > settings.knowledge_bytes:
        raise InvalidRequest([FieldError(named[0], f"is larger than {settings.knowledge_bytes} bytes")])
    if is_text and sent.format in {"pdf", "docx"}:
        raise InvalidRequest([FieldError("format", "is not a text; send the file as content")])
    return Content(sent.format or rules.format_of(body, name), body)


def _check_url(url: str, policy: Policy) -> None:
    """Raise InvalidRequest for a URL that could never be fetched."""
    try:
        target = egress.parse_url(url)
    except Outside as error:
        raise InvalidRequest([FieldError("url", error.message)]) from error
    if target.address is not None:
        refusal = policy.refusal(target.scheme, target.port, [target.address])
    else:
        refusal = policy.refusal_of_name(target.scheme, target.port)
    if refusal is not None:
        raise InvalidRequest([FieldError("url", refusal)])


def renamed(before: DocumentRow, *, name: str, language: str, refetch_hours: int) -> New:
    """What a document becomes."""
    was = New(before.name, before.language, before.config, before.url, before.refetch_hours)
    return replace(was, name=name, language=language, config=rules.config(language), refetch_hours=refetch_hours)
