"""ApprovalsService (proto/hum/v1/approvals.proto)."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from control.approvals import present, usecases
from control.approvals.live import LiveApprovals
from control.base import paging
from control.base.wire import word
from control.boundary import TenantContext, TransactionContext
from control.changestreams import PollIntervals
from control.feature import Deps
from hum import ids, rpc
from hum.ids import Kind
from hum.v1 import approvals_pb2 as pb
from storage import approvals


class ApprovalsServicer:
    def __init__(self, deps: Deps, intervals: PollIntervals) -> None:
        self._deps, self._cursors, self._intervals = deps, deps.cursors, intervals

    async def ListApprovals(
        self, request: pb.ListApprovalsRequest, ctx: TransactionContext
    ) -> pb.ListApprovalsResponse:
        subject = (
            ids.require(Kind.CALL, request.call_id) if request.call_id else None,
            ids.require(Kind.CONVERSATION, request.conversation_id) if request.conversation_id else None,
        )
        state = word(pb.ApprovalState, request.state)
        fetched = await approvals.page(
            ctx.tx, self._cursors.after(request), state, subject, paging.rows_to_fetch(request)
        )
        rows, more = self._cursors.cut(request, fetched, lambda row: (row.id,), lambda row: row.size)
        return pb.ListApprovalsResponse(
            approvals=[present.approval(row, listed=True) for row in rows], next_cursor=more
        )

    async def StreamApprovals(
        self, request: pb.StreamApprovalsRequest, ctx: TenantContext
    ) -> AsyncIterator[pb.StreamApprovalsResponse]:
        deps = self._deps
        await ctx.context.send_initial_metadata(((rpc.STREAM, "open"),))
        live = LiveApprovals(deps.db, deps.bus, self._intervals, deps.stopping, ctx.organization)
        async with aclosing(live.events(request.last_event_id)) as events:
            async for event in events:
                yield event

    async def GetApproval(self, request: pb.GetApprovalRequest, ctx: TransactionContext) -> pb.GetApprovalResponse:
        row = await approvals.get(ctx.tx, ids.require(Kind.APPROVAL, request.id))
        return pb.GetApprovalResponse(approval=present.approval(row))

    async def ApproveApproval(
        self, request: pb.ApproveApprovalRequest, ctx: TransactionContext
    ) -> pb.ApproveApprovalResponse:
        arguments = request.arguments_json if request.HasField("arguments_json") else None
        id = ids.require(Kind.APPROVAL, request.id)
        row = await usecases.approve(ctx.tx, id, ctx.principal.name, arguments)
        return pb.ApproveApprovalResponse(approval=present.approval(row))

    async def DenyApproval(self, request: pb.DenyApprovalRequest, ctx: TransactionContext) -> pb.DenyApprovalResponse:
        id = ids.require(Kind.APPROVAL, request.id)
        row = await usecases.deny(ctx.tx, id, ctx.principal.name, request.reason or None)
        return pb.DenyApprovalResponse(approval=present.approval(row))
