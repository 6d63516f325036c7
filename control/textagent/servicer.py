"""TextRunsService (proto/hum/v1/text_runs.proto)."""

from control.base import paging
from control.base.paging import Cursors
from control.boundary import TransactionContext
from control.textagent import present
from hum import ids
from hum.ids import Kind
from hum.v1 import text_runs_pb2 as pb
from storage import text_runs, tool_runs, usage


class TextRunsServicer:
    def __init__(self, cursors: Cursors) -> None:
        self._cursors = cursors

    async def ListTextRuns(self, request: pb.ListTextRunsRequest, ctx: TransactionContext) -> pb.ListTextRunsResponse:
        conversation = ids.require(Kind.CONVERSATION, request.conversation_id)
        await text_runs.require_thread(ctx.tx, conversation)
        page = await text_runs.page(ctx.tx, conversation, self._cursors.after(request), paging.rows_to_fetch(request))
        rows, more = self._cursors.cut(request, page, lambda row: (row.id,), lambda row: row.size)
        ids_of_rows = [row.id for row in rows]
        used = await usage.lines_of(ctx.tx, ids_of_rows)
        tools = await tool_runs.of_turns(ctx.tx, ids_of_rows)
        runs = [present.run(row, tools.get(row.id, ()), used.get(row.id, ())) for row in rows]
        return pb.ListTextRunsResponse(runs=runs, next_cursor=more)
