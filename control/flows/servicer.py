"""FlowsService (proto/hum/v1/flows.proto)."""

from control.base import paging
from control.boundary import TransactionContext
from control.flows import flowchecks, usecases
from control.flows.choices import Choices
from hum import ids
from hum.ids import Kind
from hum.v1 import flows_pb2 as pb
from storage import flows
from storage.flows import FlowRow


class FlowsServicer:
    def __init__(self, cursors: paging.Cursors, choices: Choices) -> None:
        self._cursors, self._choices = cursors, choices

    async def ListFlows(self, request: pb.ListFlowsRequest, ctx: TransactionContext) -> pb.ListFlowsResponse:
        fields = flowchecks.listed_fields(request.fields)
        fetched = await flows.page(ctx.tx, self._cursors.after(request), paging.rows_to_fetch(request), fields)
        rows, more = self._cursors.cut(request, fetched, lambda row: (row.id,), lambda row: row.size)
        return pb.ListFlowsResponse(flows=[present(row) for row in rows], next_cursor=more)

    async def CreateFlow(self, request: pb.CreateFlowRequest, ctx: TransactionContext) -> pb.CreateFlowResponse:
        row = await usecases.create(ctx.tx, ctx.principal, request.flow, self._choices)
        return pb.CreateFlowResponse(flow=present(row))

    async def GetFlow(self, request: pb.GetFlowRequest, ctx: TransactionContext) -> pb.GetFlowResponse:
        id = ids.require(Kind.FLOW, request.id)
        row = await (
            flows.at_version(ctx.tx, id, request.version) if request.HasField("version") else flows.get(ctx.tx, id)
        )
        return pb.GetFlowResponse(flow=present(row))

    async def UpdateFlow(self, request: pb.UpdateFlowRequest, ctx: TransactionContext) -> pb.UpdateFlowResponse:
        if_version = request.if_version if request.HasField("if_version") else None
        change = usecases.FlowChange(request.flow, list(request.update_mask.paths), if_version)
        row = await usecases.change(ctx.tx, ctx.principal, ids.require(Kind.FLOW, request.id), change, self._choices)
        return pb.UpdateFlowResponse(flow=present(row))

    async def DeleteFlow(self, request: pb.DeleteFlowRequest, ctx: TransactionContext) -> pb.DeleteFlowResponse:
        await usecases.delete(ctx.tx, ctx.principal, ids.require(Kind.FLOW, request.id))
        return pb.DeleteFlowResponse()

    async def DuplicateFlow(
        self, request: pb.DuplicateFlowRequest, ctx: TransactionContext
    ) -> pb.DuplicateFlowResponse:
        row, size = await usecases.duplicate(ctx.tx, ctx.principal, ids.require(Kind.FLOW, request.id))
        # The answer does not show the bindings.
        ctx.incoming.count_stored(size)
        return pb.DuplicateFlowResponse(flow=present(row))

    async def ListFlowVersions(
        self, request: pb.ListFlowVersionsRequest, ctx: TransactionContext
    ) -> pb.ListFlowVersionsResponse:
        id = (await flows.get(ctx.tx, ids.require(Kind.FLOW, request.id))).id
        fields = flowchecks.listed_fields(request.fields)
        fetched = await flows.versions(ctx.tx, id, self._cursors.after(request), paging.rows_to_fetch(request), fields)
        rows, more = self._cursors.cut(request, fetched, lambda row: (row.version,), lambda row: row.size)
        changes = [pb.FlowChange(version=row.version, fields=row.changed) for row in rows]
        return pb.ListFlowVersionsResponse(versions=[present(row) for row in rows], changes=changes, next_cursor=more)


def present(row: FlowRow) -> pb.Flow:
    flow = usecases.flow_of(row.definition)
    flow.id, flow.version = ids.show(Kind.FLOW, row.id), row.version
    flow.created_at.FromDatetime(row.created_at)
    flow.updated_at.FromDatetime(row.updated_at)
    return flow
