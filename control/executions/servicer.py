"""ToolExecutionsService (proto/hum/v1/tool_executions.proto)."""

from datetime import timedelta

from control.base import eventscopes, paging
from control.base.wire import word
from control.boundary import TransactionContext
from control.executions import present
from hum import ids
from hum.contract import eventtypes
from hum.contract.principal import Principal
from hum.ids import Kind
from hum.v1 import tool_executions_pb2 as pb
from storage import tool_runs
from storage.tool_runs import ExecutionRow, ToolRunFilter


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
        return pb.ListToolExecutionsResponse(
            executions=[present.execution(row, with_content=_may_read(ctx.principal, row)) for row in rows],
            next_cursor=more,
        )


def _may_read(principal: Principal, row: ExecutionRow) -> bool:
    """Return whether the principal may read what an execution is about: its call, conversation or event."""
    if row.call_id is not None:
        return eventscopes.may_read(principal, "calls:read")
    if row.conversation_id is not None:
        return eventscopes.may_read(principal, "sms:read")
    # The row does not say which event it was: a key that reads some types does not read them all.
    return row.run_id is None or len(eventscopes.readable(principal)) == len(eventtypes.visible())
