"""The AI's turns as clients see them."""

from collections.abc import Sequence

from control.base.wire import timestamp, value
from control.executions.present import activity
from control.usage.present import usage
from hum import ids
from hum.ids import Kind
from hum.v1 import text_runs_pb2 as pb
from storage.text_runs import TextRunRow
from storage.tool_runs import ActivityRow
from storage.usage import LineRow


def run(row: TextRunRow, tools: Sequence[ActivityRow], used: Sequence[LineRow]) -> pb.TextRun:
    end = row.end
    return pb.TextRun(
        id=ids.show(Kind.RUN, row.id),
        conversation_id=ids.show(Kind.CONVERSATION, row.conversation_id),
        status=value(pb.TextRunStatus, end.status),
        reason=end.reason,
        flow_id=ids.show(Kind.FLOW, row.flow_id) if row.flow_id else None,
        flow_version=row.flow_version,
        model=row.model,
        attempts=row.attempts,
        input_tokens=end.input_tokens,
        output_tokens=end.output_tokens,
        tool_activity=[activity(tool, is_over=row.finished_at is not None) for tool in tools],
        outcome=end.outcome,
        message_id=ids.show(Kind.MESSAGE, end.message_id) if end.message_id else None,
        created_at=timestamp(row.created_at),
        finished_at=timestamp(row.finished_at),
        usage=usage(used) if used else None,
    )
