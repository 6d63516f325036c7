"""ToolExecutionsService (proto/hum/v1/tool_executions.proto)."""

from control.base import paging
from control.base.wire import timestamp, value, word
from control.boundary import TransactionContext
from hum import ids
from hum.ids import Kind
from hum.v1 import tool_executions_pb2 as pb
from storage import tool_runs
from storage.tool_runs import ExecutionRow, Wanted


class ToolExecutionsServicer:
    def __init__(self, cursors: paging.Cursors) -> None:
        self._cursors = cursors

    async def ListToolExecutions(
        self, request: pb.ListToolExecutionsRequest, ctx: TransactionContext
    ) -> pb.ListToolExecutionsResponse:
        filters = Wanted(
            flow=ids.require(Kind.FLOW, request.flow_id) if request.flow_id else None,
            name=request.tool or None,
            call=ids.require(Kind.CALL, request.call_id) if request.call_id else None,
            conversation=ids.require(Kind.CONVERSATION, request.conversation_id) if request.conversation_id else None,
            status=word(pb.ToolExecutionStatus, request.status),
        )
        fetched = await tool_runs.page(ctx.tx, self._cursors.after(request), paging.rows_to_fetch(request), filters)
        rows, more = self._cursors.cut(request, fetched, lambda row: (row.id,))
        return pb.ListToolExecutionsResponse(executions=[present(row) for row in rows], next_cursor=more)


def present(row: ExecutionRow) -> pb.ToolExecution:
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
        arguments=row.arguments,
        result=row.output,
        status=value(pb.ToolExecutionStatus, row.status),
        started_at=timestamp(row.started_at),
        duration_ms=row.duration_ms,
        approval_id=ids.show(Kind.APPROVAL, row.approval_id) if row.approval_id else None,
        run_id=ids.show(Kind.RUN, row.run_id) if row.run_id else None,
    )
