"""McpServersService (proto/hum/v1/mcp.proto)."""

import asyncio
from uuid import UUID

from control.audit.usecases import append_action
from control.base import masks, paging
from control.boundary import ActionContext, TransactionContext
from control.mcp import present, usecases
from control.mcp.sealing import McpSealer
from control.mcp.serving import McpServing
from control.mcp.usecases import McpServerLimits
from hum import ids
from hum.ids import Kind
from hum.v1 import mcp_pb2 as pb
from storage import mcp
from storage.db import Db
from storage.mcp import ServerRow


class McpServersServicer:
    def __init__(
        self, db: Db, cursors: paging.Cursors, sealer: McpSealer, serving: McpServing, limits: McpServerLimits
    ) -> None:
        self._db, self._cursors, self._sealer, self._serving, self._limits = db, cursors, sealer, serving, limits

    async def ListMcpServers(
        self, request: pb.ListMcpServersRequest, ctx: TransactionContext
    ) -> pb.ListMcpServersResponse:
        page = await mcp.page(ctx.tx, self._cursors.after(request), paging.rows_to_fetch(request))
        rows, more = self._cursors.cut(request, page, lambda row: (row.id,), lambda row: row.size)
        return pb.ListMcpServersResponse(mcp_servers=[self._present(row) for row in rows], next_cursor=more)

    async def CreateMcpServer(
        self, request: pb.CreateMcpServerRequest, ctx: TransactionContext
    ) -> pb.CreateMcpServerResponse:
        row = await usecases.create(ctx.tx, ctx.organization, request.server, self._sealer, self._limits)
        return pb.CreateMcpServerResponse(server=self._present(row))

    async def GetMcpServer(self, request: pb.GetMcpServerRequest, ctx: TransactionContext) -> pb.GetMcpServerResponse:
        return pb.GetMcpServerResponse(server=self._present(await mcp.get(ctx.tx, _id(request.id))))

    async def UpdateMcpServer(
        self, request: pb.UpdateMcpServerRequest, ctx: TransactionContext
    ) -> pb.UpdateMcpServerResponse:
        before = await mcp.get(ctx.tx, _id(request.id), lock=True)
        after = masks.masked(self._present(before), request.server, list(request.update_mask.paths))
        assert isinstance(after, pb.McpServer), "it is what it was made from"
        row, size = await usecases.change(ctx.tx, before, after, self._sealer, self._limits)
        ctx.incoming.count_stored(size)
        return pb.UpdateMcpServerResponse(server=self._present(row))

    async def DeleteMcpServer(
        self, request: pb.DeleteMcpServerRequest, ctx: TransactionContext
    ) -> pb.DeleteMcpServerResponse:
        await mcp.delete(ctx.tx, _id(request.id))
        return pb.DeleteMcpServerResponse()

    async def RefreshMcpServer(
        self, request: pb.RefreshMcpServerRequest, ctx: ActionContext
    ) -> pb.RefreshMcpServerResponse:
        org, id = ctx.organization, _id(request.id)
        async with self._db.tenant(org) as tx:
            await mcp.get(tx, id)
            await append_action(tx, org, ctx.principal, "refreshMcpServer", request.id, (), ctx.request_id)
        return pb.RefreshMcpServerResponse(server=self._present(await self._serving.refresh(org, id)))

    async def ListMcpTools(self, request: pb.ListMcpToolsRequest, ctx: TransactionContext) -> pb.ListMcpToolsResponse:
        server, after = await mcp.get(ctx.tx, _id(request.id)), self._cursors.read(request)
        page = await mcp.tools_page(
            ctx.tx, server.id, (after[0], after[1]) if after else None, paging.rows_to_fetch(request)
        )
        rows, more = self._cursors.cut(request, page, lambda row: (row.name, row.id), lambda row: row.size)
        # In a thread, as the differences of many changed tools take a while.
        tools = await asyncio.to_thread(lambda: [present.tool(row, server) for row in rows])
        return pb.ListMcpToolsResponse(tools=tools, next_cursor=more)

    async def AcceptMcpTool(
        self, request: pb.AcceptMcpToolRequest, ctx: TransactionContext
    ) -> pb.AcceptMcpToolResponse:
        server, principal = await mcp.get(ctx.tx, _id(request.id)), ctx.principal
        tool = ids.require(Kind.MCP_TOOL, request.tool_id)
        row = await usecases.accept(ctx.tx, principal.org_id, server.id, tool, request.hash, principal.name)
        return pb.AcceptMcpToolResponse(tool=present.tool(row, server))

    async def ListFlowMcpServers(
        self, request: pb.ListFlowMcpServersRequest, ctx: TransactionContext
    ) -> pb.ListFlowMcpServersResponse:
        flow = ids.require(Kind.FLOW, request.flow_id)
        await mcp.require_flow(ctx.tx, flow)
        page = await mcp.flow_page(ctx.tx, flow, self._cursors.after(request), paging.rows_to_fetch(request))
        rows, more = self._cursors.cut(request, page, lambda row: (row.id,))
        return pb.ListFlowMcpServersResponse(mcp_servers=[self._present(row) for row in rows], next_cursor=more)

    async def AddFlowMcpServer(
        self, request: pb.AddFlowMcpServerRequest, ctx: TransactionContext
    ) -> pb.AddFlowMcpServerResponse:
        flow = ids.require(Kind.FLOW, request.flow_id)
        row = await usecases.bind(ctx.tx, flow, request.server_id, self._limits)
        return pb.AddFlowMcpServerResponse(server=self._present(row))

    async def RemoveFlowMcpServer(
        self, request: pb.RemoveFlowMcpServerRequest, ctx: TransactionContext
    ) -> pb.RemoveFlowMcpServerResponse:
        flow = ids.require(Kind.FLOW, request.flow_id)
        await mcp.require_flow(ctx.tx, flow)
        await mcp.unbind(ctx.tx, flow, _id(request.server_id))
        return pb.RemoveFlowMcpServerResponse()

    def _present(self, row: ServerRow) -> pb.McpServer:
        return present.server(row, self._sealer.open(row))


def _id(text: str) -> UUID:
    return ids.require(Kind.MCP_SERVER, text)
