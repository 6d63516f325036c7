"""ToolsService, ToolBindingsService and ToolSecretsService (proto/hum/v1/tools.proto)."""

import asyncio
import json
from uuid import UUID

from control.audit.usecases import append_action
from control.base import paging
from control.boundary import ActionContext, TransactionContext
from control.executions.runner import arguments_without_secrets, redact_off_loop, run_row
from control.httptools import toolrequest, usecases
from control.httptools.requestsender import Requests, ToolExchange
from control.httptools.usecases import HttpTools, present_binding, present_secret, present_tool
from control.tools import Result, bounded, failed
from hum import ids, rpc
from hum.clock import monotonic_ms
from hum.contract.errors import FieldError, InvalidRequest
from hum.ids import Kind
from hum.json import customer_schemas
from hum.json.storable import dumped
from hum.observe.logs import log
from hum.secrets import Keyring
from hum.v1 import tools_pb2 as pb
from storage import flows, http_tools, tool_runs
from storage.db import BUSY, UNAVAILABLE, Db
from storage.http_tools import HttpToolRow
from storage.tool_runs import NewToolRun, ToolRunRow

LOG = log(__name__)
#: Why a test has no result of the tool.
CANCELED = "The test was canceled. It is not known whether the tool did what it should."
BROKEN = "HUM failed during the test. It is not known whether the tool did what it should."


class ToolsServicer:
    def __init__(self, db: Db, cursors: paging.Cursors, tools: HttpTools, requests: Requests) -> None:
        self._db, self._cursors, self._tools, self._requests = db, cursors, tools, requests

    async def ListTools(self, request: pb.ListToolsRequest, ctx: TransactionContext) -> pb.ListToolsResponse:
        fetched = await http_tools.page(ctx.tx, self._cursors.after(request), paging.rows_to_fetch(request))
        rows, more = self._cursors.cut(request, fetched, lambda row: (row.id,), lambda row: row.size)
        return pb.ListToolsResponse(tools=[present_tool(row, ctx.principal) for row in rows], next_cursor=more)

    async def CreateTool(self, request: pb.CreateToolRequest, ctx: TransactionContext) -> pb.CreateToolResponse:
        return pb.CreateToolResponse(
            tool=present_tool(await self._tools.create(ctx.tx, ctx.principal, request.tool), ctx.principal)
        )

    async def GetTool(self, request: pb.GetToolRequest, ctx: TransactionContext) -> pb.GetToolResponse:
        return pb.GetToolResponse(
            tool=present_tool(await http_tools.get(ctx.tx, ids.require(Kind.TOOL, request.id)), ctx.principal)
        )

    async def UpdateTool(self, request: pb.UpdateToolRequest, ctx: TransactionContext) -> pb.UpdateToolResponse:
        id, paths = ids.require(Kind.TOOL, request.id), list(request.update_mask.paths)
        row = await self._tools.change(ctx.tx, ctx.principal, id, request.tool, paths)
        return pb.UpdateToolResponse(tool=present_tool(row, ctx.principal))

    async def DeleteTool(self, request: pb.DeleteToolRequest, ctx: TransactionContext) -> pb.DeleteToolResponse:
        await self._tools.delete(ctx.tx, ctx.principal, ids.require(Kind.TOOL, request.id))
        return pb.DeleteToolResponse()

    async def ListToolVersions(
        self, request: pb.ListToolVersionsRequest, ctx: TransactionContext
    ) -> pb.ListToolVersionsResponse:
        id = (await http_tools.get(ctx.tx, ids.require(Kind.TOOL, request.id))).id
        fetched = await http_tools.versions(ctx.tx, id, self._cursors.after(request), paging.rows_to_fetch(request))
        rows, more = self._cursors.cut(request, fetched, lambda row: (row.version,), lambda row: row.size)
        return pb.ListToolVersionsResponse(
            versions=[present_tool(row, ctx.principal) for row in rows], next_cursor=more
        )

    async def TestTool(self, request: pb.TestToolRequest, ctx: ActionContext) -> pb.TestToolResponse:
        org, run = ctx.organization, ids.new()
        async with self._db.tenant(org) as tx:
            row = await http_tools.get(tx, ids.require(Kind.TOOL, request.id))
            arguments = _arguments(row, request.arguments_json if request.HasField("arguments_json") else "{}")
            redacted = await redact_off_loop(arguments_without_secrets, dumped(arguments))
            await append_action(tx, org, ctx.principal, "testTool", request.id, (), ctx.request_id)
            await tool_runs.begin(tx, _test_run(run, org, row, redacted))
        values = {
            "args": arguments,
            "caller": {"phone_e164": request.phone_e164 or None},
            "call": {},
            "conversation": {},
        }
        timeout_ms = row.definition.get("timeout_ms", toolrequest.DEFAULT_TIMEOUT_MS)
        key = ids.show(Kind.TOOL_EXECUTION, run)
        began_ms = monotonic_ms()
        try:
            exchange = await self._requests.send(org, row.definition, values, key, timeout_ms)
            result = await run_row(bounded(Result(exchange.outcome.output, exchange.outcome.ok)))
        # Also a cancellation: whatever ends the test ends its run.
        except (Exception, asyncio.CancelledError) as error:
            reason = CANCELED if isinstance(error, asyncio.CancelledError) else BROKEN
            await rpc.run_to_completion(self._give_up(org, run, reason, round(monotonic_ms() - began_ms)))
            raise
        await rpc.run_to_completion(self._finish(org, run, result, exchange.duration_ms))
        return _test_response(exchange)

    async def _finish(self, org: UUID, run: UUID, result: ToolRunRow, took_ms: int) -> None:
        async with self._db.tenant(org) as tx:
            await tool_runs.finish(tx, run, result, took_ms)

    async def _give_up(self, org: UUID, run: UUID, reason: str, took_ms: int) -> None:
        """End the run of a test without a result.  If the database is unavailable, the sweep does so later."""
        try:
            await self._finish(org, run, await run_row(failed(reason)), took_ms)
        except (*UNAVAILABLE, *BUSY) as error:
            LOG.warning("could not end a tool's test; the sweep does", run=str(run), error=repr(error)[:200])


class ToolBindingsServicer:
    def __init__(self, cursors: paging.Cursors, tools: HttpTools) -> None:
        self._cursors, self._tools = cursors, tools

    async def ListFlowTools(
        self, request: pb.ListFlowToolsRequest, ctx: TransactionContext
    ) -> pb.ListFlowToolsResponse:
        flow = (await flows.get(ctx.tx, ids.require(Kind.FLOW, request.flow_id))).id
        after = self._cursors.read(request)
        cursor = (after[0], after[1]) if after else None
        fetched = await http_tools.bindings(ctx.tx, flow, cursor, paging.rows_to_fetch(request))
        rows, more = self._cursors.cut(
            request, fetched, lambda row: (row.overrides.place, row.id), lambda row: row.size
        )
        return pb.ListFlowToolsResponse(flow_tools=[present_binding(row) for row in rows], next_cursor=more)

    async def CreateFlowTool(
        self, request: pb.CreateFlowToolRequest, ctx: TransactionContext
    ) -> pb.CreateFlowToolResponse:
        flow = ids.require(Kind.FLOW, request.flow_id)
        row = await self._tools.bind(ctx.tx, ctx.principal, flow, request.flow_tool)
        return pb.CreateFlowToolResponse(flow_tool=present_binding(row))

    async def GetFlowTool(self, request: pb.GetFlowToolRequest, ctx: TransactionContext) -> pb.GetFlowToolResponse:
        flow = (await flows.get(ctx.tx, ids.require(Kind.FLOW, request.flow_id))).id
        row = await http_tools.binding(ctx.tx, flow, ids.require(Kind.FLOW_TOOL, request.id))
        return pb.GetFlowToolResponse(flow_tool=present_binding(row))

    async def UpdateFlowTool(
        self, request: pb.UpdateFlowToolRequest, ctx: TransactionContext
    ) -> pb.UpdateFlowToolResponse:
        flow = (await flows.get(ctx.tx, ids.require(Kind.FLOW, request.flow_id))).id
        id, paths = ids.require(Kind.FLOW_TOOL, request.id), list(request.update_mask.paths)
        row = await self._tools.rebind(ctx.tx, ctx.principal, flow, id, request.flow_tool, paths)
        return pb.UpdateFlowToolResponse(flow_tool=present_binding(row))

    async def DeleteFlowTool(
        self, request: pb.DeleteFlowToolRequest, ctx: TransactionContext
    ) -> pb.DeleteFlowToolResponse:
        flow, id = ids.require(Kind.FLOW, request.flow_id), ids.require(Kind.FLOW_TOOL, request.id)
        await self._tools.unbind(ctx.tx, ctx.principal, flow, id)
        return pb.DeleteFlowToolResponse()


class ToolSecretsServicer:
    def __init__(self, cursors: paging.Cursors, keyring: Keyring, limit: int) -> None:
        self._cursors, self._keyring, self._limit = cursors, keyring, limit

    async def ListToolSecrets(
        self, request: pb.ListToolSecretsRequest, ctx: TransactionContext
    ) -> pb.ListToolSecretsResponse:
        fetched = await http_tools.secrets(ctx.tx, self._cursors.after(request), paging.rows_to_fetch(request))
        rows, more = self._cursors.cut(request, fetched, lambda row: (row.id,))
        return pb.ListToolSecretsResponse(tool_secrets=[present_secret(row) for row in rows], next_cursor=more)

    async def CreateToolSecret(
        self, request: pb.CreateToolSecretRequest, ctx: TransactionContext
    ) -> pb.CreateToolSecretResponse:
        row = await usecases.create_secret(ctx.tx, ctx.principal, self._keyring, request.tool_secret, self._limit)
        return pb.CreateToolSecretResponse(tool_secret=present_secret(row))

    async def UpdateToolSecret(
        self, request: pb.UpdateToolSecretRequest, ctx: TransactionContext
    ) -> pb.UpdateToolSecretResponse:
        id, paths = ids.require(Kind.TOOL_SECRET, request.id), list(request.update_mask.paths)
        row = await usecases.change_secret(ctx.tx, ctx.principal, self._keyring, id, request.tool_secret, paths)
        return pb.UpdateToolSecretResponse(tool_secret=present_secret(row))

    async def DeleteToolSecret(
        self, request: pb.DeleteToolSecretRequest, ctx: TransactionContext
    ) -> pb.DeleteToolSecretResponse:
        await usecases.delete_secret(ctx.tx, ids.require(Kind.TOOL_SECRET, request.id))
        return pb.DeleteToolSecretResponse()


def _arguments(row: HttpToolRow, text: str) -> dict[str, object]:
    """Parse and check a test's arguments.  Raises InvalidRequest."""
    arguments = json.loads(text)
    if not isinstance(arguments, dict):
        raise InvalidRequest([FieldError("arguments_json", "must be an object")])
    errors = customer_schemas.errors(toolrequest.parameters(row.definition, ()), arguments)
    if errors:
        raise InvalidRequest(
            [FieldError("arguments_json", f"{error.json_path}: {error.message}"[:300]) for error in errors]
        )
    return arguments


def _test_run(id: UUID, org: UUID, row: HttpToolRow, arguments: str) -> NewToolRun:
    return NewToolRun(
        id=id,
        org_id=org,
        channel="test",
        purpose="test",
        call_id=None,
        conversation_id=None,
        run_id=None,
        flow_id=None,
        flow_version=None,
        tool_call_id="test",
        name=row.name,
        kind="http",
        tool_id=row.id,
        tool_version=row.version,
        arguments=arguments,
    )


def _test_response(exchange: ToolExchange) -> pb.TestToolResponse:
    request, outcome = exchange.request, exchange.outcome
    answer = None
    if exchange.status is not None:
        answer = pb.ToolAnswer(status=exchange.status, body=exchange.body, truncated=exchange.truncated)
    return pb.TestToolResponse(
        request=pb.ToolRequestSent(
            method=request.method,
            url=request.url,
            headers_json=json.dumps(dict(request.headers)),
            body=request.body.decode("utf-8", "replace")[: toolrequest.SHOWN_CHARS],
        )
        if request
        else None,
        response=answer,
        ok=outcome.ok,
        text=outcome.text,
        error=outcome.error,
        result_json=dumped(outcome.output),
        attempts=exchange.attempts,
        duration_ms=exchange.duration_ms,
    )
