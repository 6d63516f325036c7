"""Approvals in the form that clients see."""

from control.approvals.outbox import shown_id
from control.base import redaction
from control.base.wire import timestamp, value
from hum import ids
from hum.ids import Kind
from hum.v1 import approvals_pb2 as pb
from storage.approvals import ApprovalRow


def approval(row: ApprovalRow, *, listed: bool = False) -> pb.Approval:
    """Show an approval; `listed`: as in lists, without its schema and result."""
    return pb.Approval(
        id=ids.show(Kind.APPROVAL, row.id),
        state=value(pb.ApprovalState, row.state),
        tool=row.tool_call.tool,
        summary=row.tool_call.summary,
        arguments_json=redaction.masked_json(row.tool_call.arguments),
        schema_json=None if listed else row.tool_call.schema,
        edited=row.decision.edited,
        call_id=shown_id(Kind.CALL, row.subject.call_id),
        conversation_id=shown_id(Kind.CONVERSATION, row.subject.conversation_id),
        run_id=shown_id(Kind.RUN, row.subject.event_run_id),
        flow_id=shown_id(Kind.FLOW, row.subject.flow_id),
        decided_by=row.decision.by,
        decided_at=timestamp(row.decision.at),
        reason=row.decision.reason,
        result_json=redaction.masked_json(row.result) if row.result and not listed else None,
        told_at=timestamp(row.told_at),
        expires_at=timestamp(row.expires_at),
        created_at=timestamp(row.created_at),
    )
