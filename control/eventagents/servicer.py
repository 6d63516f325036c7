"""EventRunsService (proto/hum/v1/event_runs.proto)."""

from collections.abc import Sequence

from control.base import eventscopes, paging
from control.base.paging import Cursors
from control.base.wire import word
from control.boundary import TransactionContext
from control.eventagents import present
from control.executions import present as executions
from hum import ids
from hum.ids import Kind
from hum.v1 import event_runs_pb2 as pb
from storage import event_runs, tool_runs, usage
from storage.event_runs import EventRunFilter, EventRunRow
from storage.usage import LineRow

#: More tool calls than a run may have.
MOST_ACTIVITY = 200


class EventRunsServicer:
    def __init__(self, cursors: Cursors) -> None:
        self._cursors = cursors

    async def ListEventRuns(
        self, request: pb.ListEventRunsRequest, ctx: TransactionContext
    ) -> pb.ListEventRunsResponse:
        flow = ids.require(Kind.FLOW, request.flow_id)
        filters = EventRunFilter(
            status=word(pb.EventRunStatus, request.status),
            event_type=request.type or None,
            event_id=ids.require(Kind.EVENT, request.event_id) if request.event_id else None,
        )
        await event_runs.require_flow(ctx.tx, flow)
        after, count = self._cursors.after(request), paging.rows_to_fetch(request)
        rows, more = self._cursors.cut(
            request,
            await event_runs.page(ctx.tx, flow, after, count, filters),
            lambda row: (row.id,),
            lambda row: row.size,
        )
        used = await usage.lines_of(ctx.tx, [row.id for row in rows])
        return pb.ListEventRunsResponse(
            runs=[self._run(ctx, row, used.get(row.id, ())) for row in rows], next_cursor=more
        )

    @staticmethod
    def _run(ctx: TransactionContext, row: EventRunRow, used: Sequence[LineRow]) -> pb.EventRun:
        """Show a run; what the agent wrote of its event, only to a key that may read the event."""
        run = present.run(row, used)
        if not eventscopes.may_read_type(ctx.principal, row.event_type):
            run.ClearField("result")
            run.ClearField("outcome")
        return run

    async def GetEventRun(self, request: pb.GetEventRunRequest, ctx: TransactionContext) -> pb.GetEventRunResponse:
        flow, id = ids.require(Kind.FLOW, request.flow_id), ids.require(Kind.RUN, request.id)
        await event_runs.require_flow(ctx.tx, flow)
        row = await event_runs.get(ctx.tx, flow, id)
        run = self._run(ctx, row, (await usage.lines_of(ctx.tx, [id])).get(id, ()))
        is_over = row.finished_at is not None
        may_read = eventscopes.may_read_type(ctx.principal, row.event_type)
        activity = await tool_runs.of_run(ctx.tx, id, MOST_ACTIVITY) if may_read else ()
        run.tool_activity.extend(executions.activity(row, is_over=is_over) for row in activity)
        return pb.GetEventRunResponse(run=run)
