"""Events of outbound texts, one per message and state, however often the carrier repeats a status."""

import hashlib
from datetime import datetime
from typing import Any
from uuid import UUID

from google.protobuf.message import Message

from control.base.wire import timestamp, value
from hum import ids
from hum.ids import Kind
from hum.v1 import events_pb2, sms_pb2
from storage import events
from storage.db import Tx
from storage.events import NewEvent
from storage.sends import HeadRow
from storage.text_attempts import AttemptRow


async def sent(tx: Tx, attempt: AttemptRow, segments: int, at: datetime) -> None:
    """Append the event of a message that the carrier has accepted."""
    await events.append_all(tx, [sent_event(attempt, segments, at)])


def sent_event(attempt: AttemptRow, segments: int, at: datetime) -> NewEvent:
    event = events_pb2.SmsSentEvent(
        number_id=ids.show(Kind.NUMBER, attempt.number_id) if attempt.number_id else None,
        body=attempt.body,
        sent_by=value(sms_pb2.MessageSender, attempt.sent_by),
        segments=segments,
        sent_at=timestamp(at),
        **_common(attempt),
    )
    return _new(attempt, event, "sent")


async def delivered(tx: Tx, attempt: AttemptRow, at: datetime) -> None:
    await events.append_all(tx, [delivered_event(attempt, at)])


def delivered_event(attempt: AttemptRow, at: datetime) -> NewEvent:
    event = events_pb2.SmsDeliveredEvent(delivered_at=timestamp(at), **_common(attempt))
    return _new(attempt, event, "delivered")


async def failed(tx: Tx, attempt: AttemptRow, status: str, error_code: str | None) -> None:
    """Append the event of a message that ended as `failed` or `undelivered`."""
    event = events_pb2.SmsFailedEvent(
        status=value(sms_pb2.MessageStatus, status), error_code=error_code, **_common(attempt)
    )
    await events.append_all(tx, [_new(attempt, event, f"{status} {error_code}")])


async def not_sent(tx: Tx, head: HeadRow, status: str, reason: str) -> None:
    """Append the event of a message that fails without an attempt."""
    event = events_pb2.SmsFailedEvent(
        message_id=ids.show(Kind.MESSAGE, head.id),
        conversation_id=ids.show(Kind.CONVERSATION, head.conversation_id),
        from_e164=head.number_e164,
        to_e164=head.to_e164,
        status=value(sms_pb2.MessageStatus, status),
        error_code=reason,
        campaign_id=ids.show(Kind.CAMPAIGN, head.campaign_id) if head.campaign_id else None,
    )
    await events.append(tx, head.org_id, head.id, event, id=event_id(head.id, f"{status} {reason}"))


async def region_refused(tx: Tx, attempt: AttemptRow, error_code: str, region: str | None, at: datetime) -> None:
    """Append the event of a region to which the carrier blocks texts, at most once a day per organization."""
    event = events_pb2.SmsRegionRefusedEvent(
        region=region or "",
        error_code=error_code,
        from_e164=attempt.from_e164,
        message_id=ids.show(Kind.MESSAGE, attempt.message_id),
        conversation_id=ids.show(Kind.CONVERSATION, attempt.conversation_id),
    )
    daily_id = event_id(attempt.org_id, f"{error_code} {region} {at.date()}")
    await events.append(tx, attempt.org_id, attempt.conversation_id, event, id=daily_id)


def _common(attempt: AttemptRow) -> dict[str, Any]:
    return {
        "message_id": ids.show(Kind.MESSAGE, attempt.message_id),
        "conversation_id": ids.show(Kind.CONVERSATION, attempt.conversation_id),
        "from_e164": attempt.from_e164,
        "to_e164": attempt.to_e164,
        "campaign_id": ids.show(Kind.CAMPAIGN, attempt.campaign_id) if attempt.campaign_id else None,
    }


def _new(attempt: AttemptRow, event: Message, state: str) -> NewEvent:
    return NewEvent(attempt.org_id, attempt.message_id, event, event_id(attempt.message_id, state))


def event_id(message: UUID, state: str) -> UUID:
    """Derive an event's id from a message and its state; it begins with the message's time, like every id."""
    return UUID(bytes=message.bytes[:6] + hashlib.sha256(message.bytes + state.encode()).digest()[:10])
