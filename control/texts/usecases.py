"""The use cases of the inbox: start, send, change, cancel."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from control.base import wire
from control.mms import mediatypes
from control.texts import inboxchecks, threads, writing
from control.texts.writing import TextDraft
from hum import ids
from hum.clock import now
from hum.contract.errors import FieldError, InvalidRequest, InvalidState, NotFound
from hum.contract.principal import Principal
from hum.ids import Kind
from hum.v1 import sms_pb2 as pb
from storage import contacts, conversations, inbox, messages, numbers, sms_uploads, team
from storage.conversations import ConversationState
from storage.db import Tx
from storage.inbox import ThreadRow
from storage.messages import MessageRow
from storage.numbers import NumberRow

HUMAN = "human"
#: The role that reads only: it may neither write texts nor be assigned a conversation.
VIEWER = "viewer"


@dataclass(frozen=True, slots=True)
class TextRequest:
    """A requested text; None: not specified."""

    body: str
    media_urls: Sequence[str]
    scheduled_at: datetime | None
    expires_at: datetime | None
    honors_hours: bool | None
    uploads: Sequence[str] = ()


async def start(
    tx: Tx, principal: Principal, number: str, contact_e164: str, request: TextRequest | None, countries: frozenset[str]
) -> tuple[ThreadRow, bool]:
    """Open the conversation of a number with a contact; return it, and whether it is new.  Raises InvalidRequest, InvalidState."""
    number_row = await _number(tx, number)
    if (bad := inboxchecks.bad_contact(contact_e164, number_row.e164, countries)) is not None:
        raise InvalidRequest([FieldError("contact_e164", bad)])
    if request is not None:
        await _check(tx, request, contact_e164, "initial_message.")
    contact = await contacts.find_or_create(tx, ids.new(), principal.org_id, contact_e164, None)
    thread, is_new = await conversations.find_or_create(
        tx, ids.new(), principal.org_id, number_row.id, number_row.e164, contact_e164, contact.id
    )
    await threads.reopen(tx, thread, threads.by(principal))
    if request is not None:
        await _write(tx, principal, thread, request)
    return await inbox.get(tx, thread.id), is_new


async def _number(tx: Tx, name: str) -> NumberRow:
    """Get one of the organization's numbers that can text.  Raises InvalidRequest, InvalidState."""
    id = ids.parse(Kind.NUMBER, name)
    try:
        row = await numbers.get(tx, id or UUID(int=0))
    except NotFound as error:
        raise InvalidRequest([FieldError("twilio_number_id", "does not exist")]) from error
    if row.status != "active" or "sms" not in row.capabilities:
        raise InvalidRequest([FieldError("twilio_number_id", "is not an active number that can text")])
    if not row.sms_enabled:
        raise InvalidState("The number's texts are off.")
    return row


async def send(tx: Tx, principal: Principal, id: UUID, request: TextRequest) -> MessageRow:
    """Write a text in a conversation.  Raises NotFound, InvalidRequest, ConversationClosed, InvalidState."""
    thread = await conversations.lock(tx, id)
    await _check(tx, request, thread.contact_e164, "")
    return await _write(tx, principal, thread, request)


async def _check(tx: Tx, request: TextRequest, contact_e164: str, prefix: str) -> None:
    """Check a text, and lock its uploads.  Raises InvalidRequest."""
    errors = list(
        inboxchecks.bad_message(
            request.body,
            request.media_urls,
            request.uploads,
            request.scheduled_at,
            request.expires_at,
            contact_e164,
            now(),
        )
    )
    if request.uploads:
        uploads = [ids.parse(Kind.UPLOAD, upload) for upload in request.uploads]
        named = [upload for upload in uploads if upload is not None]
        sizes = await sms_uploads.lock_ready(tx, named, mediatypes.UPLOAD_LIFETIME)
        errors += inboxchecks.bad_uploads(request.body, uploads, sizes)
    if fields := [FieldError(prefix + error.field, error.reason) for error in errors]:
        raise InvalidRequest(fields)


async def _write(tx: Tx, principal: Principal, thread: ConversationState, request: TextRequest) -> MessageRow:
    """Write a text.  A person's text pauses the AI in the conversation until a person resumes it; a key's does not."""
    is_person = principal.session_id is not None
    draft = TextDraft(
        body=request.body,
        sent_by="human" if is_person else "api",
        media_urls=request.media_urls,
        honors_hours=request.honors_hours if request.honors_hours is not None else not is_person,
        scheduled_at=request.scheduled_at,
        expires_at=request.expires_at,
        author_id=principal.user_id if is_person else None,
    )
    written = await writing.write(tx, thread, draft, now())
    if request.uploads:
        uploads = [ids.require(Kind.UPLOAD, upload) for upload in request.uploads]
        await sms_uploads.attach(tx, written.id, uploads, len(request.media_urls))
        written = await messages.get(tx, written.id)
    if is_person:
        await conversations.pause_ai(tx, thread.id, HUMAN)
    return written


async def change(tx: Tx, principal: Principal, id: UUID, to: pb.Conversation, paths: Sequence[str]) -> ThreadRow:
    """Set the fields in `paths`; clear those without a value.  Raises NotFound, InvalidRequest, InvalidState."""
    thread = await conversations.lock(tx, id)
    changed = set(paths or [field.name for field, _ in to.ListFields()])
    if "status" in changed:
        await _set_status(tx, principal, thread, to)
    if "assignee_id" in changed:
        await threads.assign(tx, thread, await _assignee(tx, principal, to), threads.by(principal))
    if "ai_paused" in changed and to.ai_paused != (thread.ai_paused_reason is not None):
        await (conversations.pause_ai(tx, id, HUMAN) if to.ai_paused else inbox.resume_ai(tx, id))
    if "snoozed_until" in changed:
        await _snooze(tx, await conversations.lock(tx, id), to)  # with the new status
    return await inbox.get(tx, id)


async def _set_status(tx: Tx, principal: Principal, thread: ConversationState, to: pb.Conversation) -> None:
    match to.status:
        case pb.CONVERSATION_STATUS_CLOSED:
            await threads.close(tx, thread, threads.by(principal))
        # Only if it is closed: an open conversation keeps its snooze.
        case pb.CONVERSATION_STATUS_OPEN if thread.status == "closed":
            await threads.reopen(tx, thread, threads.by(principal))
        case pb.CONVERSATION_STATUS_UNSPECIFIED:
            raise InvalidRequest([FieldError("conversation.status", "can't be cleared")])


async def _assignee(tx: Tx, principal: Principal, to: pb.Conversation) -> UUID | None:
    """Return the named member; `me` is the person who asks.  Raises InvalidRequest, also for a viewer, who can't answer."""
    if not to.HasField("assignee_id"):
        return None
    id = principal.user_id if to.assignee_id == "me" and principal.session_id else ids.parse(Kind.USER, to.assignee_id)
    try:
        member = await team.member(tx, id or UUID(int=0))
    except NotFound as error:
        raise InvalidRequest([FieldError("conversation.assignee_id", "is not a member of the team")]) from error
    if member.role == VIEWER:
        raise InvalidRequest([FieldError("conversation.assignee_id", "is a viewer, who can't answer texts")])
    return member.user_id


async def _snooze(tx: Tx, thread: ConversationState, to: pb.Conversation) -> None:
    if not to.HasField("snoozed_until"):
        await inbox.snooze(tx, thread.id, None)
        return
    until = wire.moment(to.snoozed_until)
    if (bad := inboxchecks.bad_snooze(until, now())) is not None:
        raise InvalidRequest([FieldError("conversation.snoozed_until", bad)])
    if thread.status == "closed":
        raise InvalidState("A closed conversation can't be put off; open it.")
    await inbox.snooze(tx, thread.id, until)


async def cancel(tx: Tx, id: UUID) -> None:
    """Cancel a scheduled message.  Raises NotFound, and InvalidState if it is not scheduled (any more)."""
    if await inbox.cancel(tx, id):
        return
    message = await messages.get(tx, id)
    raise InvalidState(f"The message is {message.status}; only a scheduled one can be canceled.")
