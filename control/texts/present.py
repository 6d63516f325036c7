"""Conversations and messages as clients see them."""

from collections.abc import Sequence
from typing import Any

from control.base.wire import timestamp, value
from control.texts import errors
from control.usage.present import usage
from hum import ids
from hum.ids import Kind
from hum.v1 import sms_pb2 as pb
from storage.inbox import ThreadRow
from storage.messages import MessageRow
from storage.usage import LineRow


def conversation(row: ThreadRow) -> pb.Conversation:
    """Convert a conversation."""
    return pb.Conversation(
        id=ids.show(Kind.CONVERSATION, row.id),
        twilio_number_id=ids.show(Kind.NUMBER, row.number_id) if row.number_id else None,
        number_e164=row.number_e164,
        contact_e164=row.contact_e164,
        contact=_contact(row),
        status=value(pb.ConversationStatus, row.status),
        assignee_id=ids.show(Kind.USER, row.assignee_id) if row.assignee_id else None,
        ai_paused=row.ai_paused_reason is not None,
        ai_paused_reason=row.ai_paused_reason,
        snoozed_until=timestamp(row.snoozed_until),
        unread_count=row.unread_count,
        last_message_at=timestamp(row.last_message_at),
        last_message_preview=row.last_message_preview,
        last_message_direction=value(pb.MessageDirection, row.last_message_direction),
        flow_id=ids.show(Kind.FLOW, row.flow_id) if row.flow_id else None,
        opted_out=row.opted_out,
        created_at=timestamp(row.created_at),
        campaign_only=row.campaign_only,
        ai_answers_at=timestamp(row.ai_answers_at),
    )


def _contact(row: ThreadRow) -> pb.ConversationContact | None:
    if row.contact_id is None:
        return None
    return pb.ConversationContact(
        id=ids.show(Kind.CONTACT, row.contact_id), name=row.contact_name, company=row.contact_company
    )


def message(row: MessageRow, used: Sequence[LineRow] = ()) -> pb.Message:
    """Convert a message with its usage.  All its fields have the same audience."""
    return pb.Message(
        id=ids.show(Kind.MESSAGE, row.id),
        conversation_id=ids.show(Kind.CONVERSATION, row.conversation_id),
        direction=value(pb.MessageDirection, row.direction),
        body=row.body,
        media=[_media(row, file) for file in row.media],
        status=value(pb.MessageStatus, row.status),
        error_code=row.error_code,
        error=errors.sentence(row.error_code) if row.error_code else None,
        segments=row.segments,
        sent_by=value(pb.MessageSender, row.sent_by),
        author_id=ids.show(Kind.USER, row.author_id) if row.author_id else None,
        source=value(pb.MessageSource, row.source),
        scheduled_at=timestamp(row.scheduled_at),
        due_at=timestamp(row.due_at) if row.status == "scheduled" else None,
        expires_at=timestamp(row.expires_at),
        created_at=timestamp(row.created_at),
        sent_at=timestamp(row.sent_at),
        delivered_at=timestamp(row.delivered_at),
        campaign_id=ids.show(Kind.CAMPAIGN, row.campaign_id) if row.campaign_id else None,
        run_id=ids.show(Kind.RUN, row.run_id) if row.run_id else None,
        held_by=row.held_by,
        usage=usage(used) if used else None,
    )


def _media(row: MessageRow, stored: dict[str, Any]) -> pb.MessageMedia:
    """Convert a file of a message.  A stored one has our URL: neither the carrier's, nor the one that the carrier fetches."""
    own = f"/api/sms/messages/{ids.show(Kind.MESSAGE, row.id)}/media/{stored['index']}"
    is_stored = stored["status"] == "stored"
    given_url = stored["url"] if row.direction == "outbound" else None
    return pb.MessageMedia(
        index=stored["index"],
        content_type=stored["content_type"],
        size_bytes=stored["size_bytes"],
        status=stored["status"],
        url=own if is_stored else given_url,
    )
