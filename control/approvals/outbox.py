"""The events of approvals in the outbox."""

from uuid import UUID

from control.base.wire import timestamp
from hum import ids
from hum.ids import Kind
from hum.v1 import events_pb2
from storage.approvals import ApprovalRow


def shown_id(kind: Kind, id: UUID | None) -> str | None:
    return ids.show(kind, id) if id else None


def requested_event(row: ApprovalRow) -> events_pb2.ApprovalRequestedEvent:
    return events_pb2.ApprovalRequestedEvent(
        approval_id=ids.show(Kind.APPROVAL, row.id),
        tool=row.tool_call.tool,
        summary=row.tool_call.summary,
        call_id=shown_id(Kind.CALL, row.subject.call_id),
        conversation_id=shown_id(Kind.CONVERSATION, row.subject.conversation_id),
        run_id=shown_id(Kind.RUN, row.subject.event_run_id),
        flow_id=shown_id(Kind.FLOW, row.subject.flow_id),
        expires_at=timestamp(row.expires_at),
    )


def decided_event(row: ApprovalRow) -> events_pb2.ApprovalDecidedEvent:
    """Build the event of an approval that was just decided."""
    return events_pb2.ApprovalDecidedEvent(
        approval_id=ids.show(Kind.APPROVAL, row.id),
        tool=row.tool_call.tool,
        decision=row.state,
        by=row.decision.by,
        edited=row.decision.edited,
        call_id=shown_id(Kind.CALL, row.subject.call_id),
        conversation_id=shown_id(Kind.CONVERSATION, row.subject.conversation_id),
        run_id=shown_id(Kind.RUN, row.subject.event_run_id),
        flow_id=shown_id(Kind.FLOW, row.subject.flow_id),
    )
