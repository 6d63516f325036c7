"""The events of texts in the outbox (proto/hum/v1/events.proto)."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from control.base.wire import timestamp, value
from hum import ids
from hum.ids import Kind
from hum.v1 import events_pb2, sms_pb2
from storage import events
from storage.conversations import ConversationState
from storage.db import Tx
from storage.events import NewEvent


async def started(tx: Tx, thread: ConversationState, direction: str) -> None:
    """Append that the thread's first message was written."""
    await events.append(tx, thread.org_id, thread.id, _started(thread, direction))


async def started_all(tx: Tx, org: UUID, threads: Iterable[ConversationState], direction: str) -> None:
    """Do as `started`, for several threads of an organization."""
    await events.append_all(tx, [NewEvent(org, thread.id, _started(thread, direction)) for thread in threads])


def _started(thread: ConversationState, direction: str) -> events_pb2.ConversationStartedEvent:
    return events_pb2.ConversationStartedEvent(
        conversation_id=_id(thread),
        number_id=ids.show(Kind.NUMBER, thread.number_id) if thread.number_id else None,
        number_e164=thread.number_e164,
        contact_e164=thread.contact_e164,
        contact_id=ids.show(Kind.CONTACT, thread.contact_id) if thread.contact_id else None,
        direction=value(sms_pb2.MessageDirection, direction),
    )


async def begun(tx: Tx, thread: ConversationState, *, is_first: bool, reopened: bool) -> None:
    """Append that a contact's text has begun the thread, or reopened it."""
    await events.append_all(tx, _begun(thread, is_first=is_first, reopened=reopened))


def _begun(thread: ConversationState, *, is_first: bool, reopened: bool) -> list[NewEvent]:
    started = [_started(thread, "inbound")] if is_first else []
    return [
        NewEvent(thread.org_id, thread.id, event)
        for event in (*started, *([_reopened(thread, "contact")] if reopened else []))
    ]


async def received(
    tx: Tx,
    thread: ConversationState,
    message: UUID,
    body: str,
    media_count: int,
    at: datetime,
    *,
    is_first: bool,
    reopened: bool,
) -> None:
    """Append that a contact's text was received, after what `begun` appends."""
    new = received_events(thread, message, body, media_count, at, is_first=is_first, reopened=reopened)
    await events.append_all(tx, new)


def received_events(
    thread: ConversationState,
    message: UUID,
    body: str,
    media_count: int,
    at: datetime,
    *,
    is_first: bool,
    reopened: bool,
) -> list[NewEvent]:
    event = events_pb2.SmsReceivedEvent(
        message_id=ids.show(Kind.MESSAGE, message),
        conversation_id=_id(thread),
        number_id=ids.show(Kind.NUMBER, thread.number_id) if thread.number_id else None,
        from_e164=thread.contact_e164,
        to_e164=thread.number_e164,
        body=body,
        media_count=media_count,
        contact_id=ids.show(Kind.CONTACT, thread.contact_id) if thread.contact_id else None,
        received_at=timestamp(at),
    )
    return [*_begun(thread, is_first=is_first, reopened=reopened), NewEvent(thread.org_id, thread.id, event)]


async def closed(tx: Tx, thread: ConversationState, by: str, reason: str | None) -> None:
    event = events_pb2.ConversationClosedEvent(conversation_id=_id(thread), by=by, reason=reason)
    await events.append(tx, thread.org_id, thread.id, event)


async def reopened(tx: Tx, thread: ConversationState, by: str) -> None:
    await events.append(tx, thread.org_id, thread.id, _reopened(thread, by))


def _reopened(thread: ConversationState, by: str) -> events_pb2.ConversationReopenedEvent:
    return events_pb2.ConversationReopenedEvent(conversation_id=_id(thread), by=by)


async def assigned(tx: Tx, thread: ConversationState, assignee: UUID | None, by: str, reason: str | None) -> None:
    event = events_pb2.ConversationAssignedEvent(
        conversation_id=_id(thread),
        assignee_id=ids.show(Kind.USER, assignee) if assignee else None,
        by=by,
        reason=reason,
    )
    await events.append(tx, thread.org_id, thread.id, event)


def _id(thread: ConversationState) -> str:
    return ids.show(Kind.CONVERSATION, thread.id)
