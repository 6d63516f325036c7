"""Executions of tools in the forms that clients see."""

from control.base.wire import timestamp, value
from hum import ids
from hum.ids import Kind
from hum.v1 import calls_pb2
from hum.v1 import tool_executions_pb2 as pb
from storage.tool_runs import ActivityRow, ExecutionRow

#: The arguments and the result for a key that may not read what they are about.
NOT_SHOWN = '{"not_shown": true}'


def activity(row: ActivityRow, *, is_over: bool) -> calls_pb2.ToolActivity:
    """Show an execution of a run; one that still ran when its run ended is `lost`."""
    return calls_pb2.ToolActivity(
        id=row.tool_call_id,
        name=row.name,
        arguments=row.arguments,
        result=row.output,
        status="lost" if row.status == "running" and is_over else row.status,
        started_at=timestamp(row.started_at),
        duration_ms=row.duration_ms,
    )


def execution(row: ExecutionRow, *, with_content: bool) -> pb.ToolExecution:
    """Show an execution as it is listed, with or without its arguments and its result."""
    return pb.ToolExecution(
        id=ids.show(Kind.TOOL_EXECUTION, row.id),
        name=row.name,
        kind=row.kind,
        purpose=value(pb.ToolExecutionPurpose, row.purpose),
        tool_id=ids.show(Kind.TOOL, row.tool_id) if row.tool_id and row.kind == "http" else None,
        tool_version=row.tool_version,
        flow_id=ids.show(Kind.FLOW, row.flow_id) if row.flow_id else None,
        flow_version=row.flow_version,
        call_id=ids.show(Kind.CALL, row.call_id) if row.call_id else None,
        conversation_id=ids.show(Kind.CONVERSATION, row.conversation_id) if row.conversation_id else None,
        arguments=row.arguments if with_content else NOT_SHOWN,
        result=row.output if with_content or row.output is None else NOT_SHOWN,
        status=value(pb.ToolExecutionStatus, row.status),
        started_at=timestamp(row.started_at),
        duration_ms=row.duration_ms,
        approval_id=ids.show(Kind.APPROVAL, row.approval_id) if row.approval_id else None,
        run_id=ids.show(Kind.RUN, row.run_id) if row.run_id else None,
    )
