"""What people and keys do in the inbox: start, send, change, close."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from control.base import wire
from control.texts import rules, threads, writing
from control.texts.writing import Draft
from hum import ids
from hum.clock import now
from hum.errors import FieldError, InvalidRequest, InvalidState, NotFound
from hum.ids import Kind
from hum.principal import Principal
from hum.v1 import sms_pb2 as pb
from storage import contacts, conversations, inbox, messages, numbers, team
from storage.conversations import ConversationState
from storage.db import Tx
from storage.inbox import ThreadRow
from storage.messages import MessageRow
from storage.numbers import NumberRow

HUMAN = "human"


@dataclass(frozen=True, slots=True)
class Wish:
    """A text as it is asked for; None for what is not said."""

    body: str
    media_urls: Sequence[str]
    scheduled_at: datetime | None
    expires_at: datetime | None
    honors_hours: bool | None


async def start(
    tx: Tx, who: Principal, number: str, contact_e164: str, wish: Wish | None, countries: frozenset[str]
) -> tuple[ThreadRow, bool]:
    """The conversation of a number with a contact, open; whether it was made.  Raises InvalidRequest, InvalidState."""
    ours = await _number(tx, number)
    if (bad := rules.bad_contact(contact_e164, ours.e164, countries)) is not None:
        raise InvalidRequest([FieldError("contact_e164", bad)])
    if wish is not None:
        _check(wish, contact_e164, "initial_message.")
    met = await contacts.meet(tx, ids.new(), who.org_id, contact_e164, None)
    thread, is_new = await conversations.find_or_create(
        tx, ids.new(), who.org_id, ours.id, ours.e164, contact_e164, met.id
    )
    await threads.reopen(tx, thread, threads.by(who))
    if wish is not None:
        await _write(tx, who, thread, wish)
    return await inbox.get(tx, thread.id), is_new


async def _number(tx: Tx, name: str) -> NumberRow:
    """One of the organization's numbers, which can text.  Raises InvalidRequest, InvalidState."""
    id = ids.parse(Kind.NUMBER, name)
    try:
        found = await numbers.get(tx, id or UUID(int=0))
    except NotFound as error:
        raise InvalidRequest([FieldError("twilio_number_id", "does not exist")]) from error
    if found.status != "active" or "sms" not in found.capabilities:
        raise InvalidRequest([FieldError("twilio_number_id", "is not an active number that can text")])
    if not found.sms_enabled:
        raise InvalidState("The number's texts are off.")
    return found


async def send(tx: Tx, who: Principal, id: UUID, wish: Wish) -> MessageRow:
    """Raises NotFound, InvalidRequest, ConversationClosed, InvalidState."""
    thread = await conversations.lock(tx, id)
    _check(wish, thread.contact_e164, "")
    return await _write(tx, who, thread, wish)


def _check(wish: Wish, contact_e164: str, prefix: str) -> None:
    bad = rules.bad_message(wish.body, wish.media_urls, wish.scheduled_at, wish.expires_at, contact_e164, now())
    if fields := [FieldError(prefix + each.field, each.reason) for each in bad]:
        raise InvalidRequest(fields)


async def _write(tx: Tx, who: Principal, thread: ConversationState, wish: Wish) -> MessageRow:
    """A person's text silences the AI here until a person lets it answer again; a key's does not."""
    is_person = who.session_id is not None
    draft = Draft(
        body=wish.body,
        sent_by="human" if is_person else "api",
        media_urls=wish.media_urls,
        honors_hours=wish.honors_hours if wish.honors_hours is not None else not is_person,
        scheduled_at=wish.scheduled_at,
        expires_at=wish.expires_at,
        author_id=who.user_id if is_person else None,
    )
    written = await writing.write(tx, thread, draft, now())
    if is_person:
        await conversations.pause_ai(tx, thread.id, HUMAN)
    return written


async def change(tx: Tx, who: Principal, id: UUID, to: pb.Conversation, paths: Sequence[str]) -> ThreadRow:
    """Set the fields in `paths`; an unset one is cleared.  Raises NotFound, InvalidRequest, InvalidState."""
    thread = await conversations.lock(tx, id)
    changed = set(paths or [field.name for field, _ in to.ListFields()])
    if "status" in changed:
        await _set_status(tx, who, thread, to)
    if "assignee_id" in changed:
        await threads.assign(tx, thread, await _assignee(tx, who, to), threads.by(who))
    if "ai_paused" in changed and to.ai_paused != (thread.ai_paused_reason is not None):
        await (conversations.pause_ai(tx, id, HUMAN) if to.ai_paused else inbox.resume_ai(tx, id))
    if "snoozed_until" in changed:
        await _snooze(tx, await conversations.lock(tx, id), to)  # as it stands with the new status
    return await inbox.get(tx, id)


async def _set_status(tx: Tx, who: Principal, thread: ConversationState, to: pb.Conversation) -> None:
    match to.status:
        case pb.CONVERSATION_STATUS_CLOSED:
            await threads.close(tx, thread, threads.by(who))
        case pb.CONVERSATION_STATUS_OPEN if thread.status == "closed":  # an open one keeps its snooze
            await threads.reopen(tx, thread, threads.by(who))
        case pb.CONVERSATION_STATUS_UNSPECIFIED:
            raise InvalidRequest([FieldError("conversation.status", "can't be cleared")])


async def _assignee(tx: Tx, who: Principal, to: pb.Conversation) -> UUID | None:
    """The member that is named; `me` is who asks.  Raises InvalidRequest."""
    if not to.HasField("assignee_id"):
        return None
    id = who.user_id if to.assignee_id == "me" and who.session_id else ids.parse(Kind.USER, to.assignee_id)
    try:
        return (await team.member(tx, id or UUID(int=0))).user_id
    except NotFound as error:
        raise InvalidRequest([FieldError("conversation.assignee_id", "is not a member of the team")]) from error


async def _snooze(tx: Tx, thread: ConversationState, to: pb.Conversation) -> None:
    if not to.HasField("snoozed_until"):
        await inbox.snooze(tx, thread.id, None)
        return
    until = wire.moment(to.snoozed_until)
    if (bad := rules.bad_snooze(until, now())) is not None:
        raise InvalidRequest([FieldError("conversation.snoozed_until", bad)])
    if thread.status == "closed":
        raise InvalidState("A closed conversation can't be put off; open it.")
    await inbox.snooze(tx, thread.id, until)


async def cancel(tx: Tx, id: UUID) -> None:
    """Raises NotFound, and InvalidState for a message that does not wait for its time (any more)."""
    if await inbox.cancel(tx, id):
        return
    found = await messages.get(tx, id)
    raise InvalidState(f"The message is {found.status}; only a scheduled one can be canceled.")
