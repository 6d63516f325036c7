"""Requests to MCP servers: their lists of tools, and tool calls.

A tool runs only as it was accepted: its definition in the server's current list, at most a moment old, must match the pinned one.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID
from weakref import WeakValueDictionary

from control.mcp import pinning
from control.mcp.client import Connections
from control.mcp.endpoint import SILENT, Endpoint, NotExecuted, Unusable
from control.mcp.pinning import ExaminedTool, ToolReading
from control.mcp.sealing import McpSealer
from control.mcp.transport import OAuthClient
from control.tools import EVERYWHERE, AgentTool, Result, ToolContext, failed
from hum import ids
from hum.clock import monotonic_ms, now
from hum.computing import ComputingTurns
from hum.contract.errors import NotFound
from hum.ids import Kind
from hum.observe.logs import log
from hum.secrets import Unsealable
from hum.settings.mcp import McpSettings
from hum.v1 import events_pb2
from storage import events, mcp
from storage.db import BUSY, UNAVAILABLE, Db, Tx
from storage.mcp import FlowTool, ServerRow

if TYPE_CHECKING:
    from mcp_types import CallToolResult

    from control.mcp.connection import Connection

#: Seconds between two readings of an MCP server's tools.
MCP_REFRESH_SECONDS = 900.0

LOG = log(__name__)
#: Servers read per sweep.
BATCH = 20
#: Milliseconds of a reading's examination after which those of other organizations have their turn.
SLICE_MS = 20.0
CHANGED = "This tool has changed, and a person has to accept that first. It was not used. Go on without it."
GONE = "There is no such tool any more."
SEALED = "HUM can't open the MCP server's secrets any more; set them again."


class McpServing:
    def __init__(self, db: Db, connections: Connections, sealer: McpSealer, settings: McpSettings) -> None:
        self._db, self._connections, self._sealer, self._settings = db, connections, sealer, settings
        self._turns = ComputingTurns()
        #: Held while an organization's reading is examined and stored: however many there are, all have one turn.
        self._organization_locks = WeakValueDictionary[UUID, asyncio.Lock]()

    # --- reading a server's tools ---------------------------------------------------------------------------------

    async def refresh_due(self) -> int:
        """Read the tools of the servers that are due; return how many."""
        async with self._db.system() as tx:
            due = await mcp.due(tx, timedelta(seconds=MCP_REFRESH_SECONDS), BATCH)
        # A server whose reading fails does not end the others' readings.
        results = await asyncio.gather(*(self._refresh_due(org, id) for org, id in due), return_exceptions=True)
        errors = list[Exception]()
        for (_, id), result in zip(due, results, strict=True):
            if isinstance(result, Exception):
                result.add_note(f"MCP server {id}")
                errors.append(result)
        if errors:
            raise ExceptionGroup("could not read the tools of MCP servers", errors)
        return len(due)

    async def _refresh_due(self, org: UUID, id: UUID) -> None:
        try:
            await self.refresh(org, id)
        except NotFound:
            pass  # deleted since it was due
        except (*UNAVAILABLE, *BUSY) as error:
            LOG.warning(
                "could not store an MCP server's tools; they are read again", server=str(id), error=repr(error)[:200]
            )

    async def refresh(self, org: UUID, id: UUID) -> ServerRow:
        """Read a server's tools now; record a failure in its row.  Return the row.  Raises NotFound."""
        async with self._db.tenant(org) as tx:
            row = await mcp.get(tx, id)
        began_ms = monotonic_ms()
        try:
            async with asyncio.timeout(self._settings.mcp_refresh_limit_seconds):
                async with self._connections.use(self._endpoint(row)) as connection:
                    reading = await connection.listed(0)
                    version = await connection.protocol_version()
        except (Unusable, TimeoutError) as error:
            async with self._db.tenant(org) as tx:
                began_at = await _time_of(tx, began_ms)
                await mcp.record_failure(tx, id, str(error) or SILENT, began_at)
                return await mcp.get(tx, id)
        return await self._take(row, reading, version)

    async def _take(self, before: ServerRow, reading: ToolReading, version: str) -> ServerRow:
        """Examine and store a server's tools; return its row."""
        async with self._organization_locks.setdefault(before.org_id, asyncio.Lock()):
            async with self._db.tenant(before.org_id) as tx:
                known = await mcp.tools(tx, before.id)
            examined = await self._examine(pinning.examine(reading.tools, known))
            async with self._db.tenant(before.org_id) as tx:
                return await self._apply(tx, before, reading.began_ms, examined, version)

    async def _examine(self, tools: Iterator[ExaminedTool]) -> list[ExaminedTool]:
        """Examine a reading's tools, in turns with other readings."""
        examined = list[ExaminedTool]()
        while True:
            batch = await self._turns.take(partial(_slice, tools))
            if not batch:
                return examined
            examined += batch

    async def _apply(
        self, tx: Tx, before: ServerRow, began_ms: float, listed: Sequence[ExaminedTool], version: str
    ) -> ServerRow:
        """Store a server's tools, and suspend those that have changed; return its row."""
        began_at = await _time_of(tx, began_ms)
        row = await mcp.get(tx, before.id, lock=True)
        if row.revision != before.revision:  # it may be another server now
            return row
        if row.health.refreshed_at is not None and row.health.refreshed_at > began_at:  # what it lists now is stored
            return row
        public_id = ids.show(Kind.MCP_SERVER, row.id)
        new_ids = [ids.new() for _ in listed]
        for tool in pinning.changes(row, await mcp.tools(tx, row.id), listed, new_ids):
            if tool.state == "accepted" and tool.by[1] is None:
                tool = pinning.first(tool, now())
            await mcp.upsert_tool(tx, tool)
            if tool.state == "changed":
                suspended = events_pb2.McpToolSuspendedEvent(server_id=public_id, tool=tool.name, name=row.name)
                await events.append(tx, row.org_id, row.id, suspended)
        await mcp.delete_removed(tx, row.id)
        await mcp.record_reading(tx, row.id, version, began_at)
        return await mcp.get(tx, row.id)

    # --- agents' tools --------------------------------------------------------------------------------------------

    async def tools(self, tx: Tx, organization: UUID, flow: UUID) -> Sequence[AgentTool]:
        """Return the tools of a flow's agent from the database; no server is asked when a call begins."""
        rows = await mcp.of_flow(tx, organization, flow, self._settings.mcp_tools)
        return [pinning.tool(row, EVERYWHERE, partial(self._run, row)) for row in rows]

    async def _run(self, tool: FlowTool, context: ToolContext, arguments: Mapping[str, Any]) -> Result:
        async with self._db.tenant(context.organization) as tx:
            try:
                row = await mcp.get(tx, tool.server_id)
            except NotFound:
                return failed(GONE)
        try:
            endpoint = self._endpoint(row)
            for is_last in (False, True):
                async with self._connections.use(endpoint) as connection:
                    try:
                        if not await self._is_as_accepted(row, tool, connection):
                            return failed(CHANGED)
                        return _result(await connection.call(tool.name, arguments))
                    except NotExecuted:
                        if is_last:
                            raise
                        connection.retire()
        except Unusable as error:
            return failed(str(error))
        raise AssertionError("unreachable")

    async def _is_as_accepted(self, row: ServerRow, tool: FlowTool, connection: "Connection") -> bool:
        reading = await connection.listed(self._settings.mcp_check_seconds)
        if any(entry.name == tool.name and pinning.hash_of(entry) == tool.hash for entry in reading.tools):
            return True
        await self._take(row, reading, await connection.protocol_version())
        return False

    def _endpoint(self, row: ServerRow) -> Endpoint:
        """Return where a server is, with its secrets in clear text.  Raises Unusable."""
        access = row.access
        try:
            secrets = self._sealer.open(row)
        except Unsealable as error:
            LOG.exception("could not open an MCP server's secrets; set them again", server=str(row.id))
            raise Unusable(SEALED) from error
        headers = dict(secrets.headers)
        if secrets.bearer:
            headers["Authorization"] = f"Bearer {secrets.bearer}"
        oauth = None
        if access.oauth_token_url and access.oauth_client_id and secrets.oauth_secret:
            oauth = OAuthClient(
                access.oauth_token_url, access.oauth_client_id, secrets.oauth_secret, access.oauth_scope, access.url
            )
        return Endpoint(
            org=row.org_id,
            server=row.id,
            revision=row.revision,
            transport=access.transport,
            url=access.url,
            headers=headers,
            oauth=oauth,
            answer_seconds=row.rights.timeout_ms / 1000,
        )


async def _time_of(tx: Tx, began_ms: float) -> datetime:
    """Return when a reading began, by the database's clock."""
    return await mcp.time_ago(tx, timedelta(milliseconds=monotonic_ms() - began_ms))


def _slice(tools: Iterator[ExaminedTool]) -> list[ExaminedTool]:
    """Return the next tools, at least one, until SLICE_MS have passed; none after the last."""
    end_ms, batch = monotonic_ms() + SLICE_MS, list[ExaminedTool]()
    for tool in tools:
        batch.append(tool)
        if monotonic_ms() >= end_ms:
            break
    return batch


def _result(answer: "CallToolResult") -> Result:
    parts = [(part.type, part.text if part.type == "text" else "") for part in answer.content]
    is_error = bool(answer.is_error)
    return Result(pinning.output(parts, answer.structured_content, is_error=is_error), ok=not is_error)
