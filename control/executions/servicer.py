"""ToolExecutionsService (proto/hum/v1/tool_executions.proto)."""

from datetime import timedelta

from control.base import paging
from control.base.wire import word
from control.boundary import TransactionContext
from control.executions import present
from hum import ids
from hum.ids import Kind
from hum.v1 import tool_executions_pb2 as pb
from storage import tool_runs
from storage.tool_runs import ToolRunFilter


class ToolExecutionsServicer:
    def __init__(self, cursors: paging.Cursors, keep: timedelta) -> None:
        self._cursors, self._keep = cursors, keep

    async def ListToolExecutions(
        self, request: pb.ListToolExecutionsRequest, ctx: TransactionContext
    ) -> pb.ListToolExecutionsResponse:
        filters = ToolRunFilter(
            flow=ids.require(Kind.FLOW, request.flow_id) if request.flow_id else None,
            name=request.tool or None,
            call=ids.require(Kind.CALL, request.call_id) if request.call_id else None,
            conversation=ids.require(Kind.CONVERSATION, request.conversation_id) if request.conversation_id else None,
            status=word(pb.ToolExecutionStatus, request.status),
        )
        before, count = self._cursors.after(request), paging.rows_to_fetch(request)
        fetched = await tool_runs.page(ctx.tx, before, count, filters, self._keep)
        rows, more = self._cursors.cut(request, fetched, lambda row: (row.id,), lambda row: row.size)
        return pb.ListToolExecutionsResponse(executions=[present.execution(row) for row in rows], next_cursor=more)
