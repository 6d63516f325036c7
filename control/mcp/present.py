"""MCP servers and their tools as clients see them."""

import json

from control.base.wire import timestamp, value
from control.mcp import pinning
from control.mcp.sealing import Secrets
from control.mcp.usecases import MASK
from hum import ids
from hum.ids import Kind
from hum.v1 import mcp_pb2 as pb
from storage.mcp import Definition, McpToolRow, ServerRow


def server(row: ServerRow, secrets: Secrets) -> pb.McpServer:
    access, rights, health = row.access, row.rights, row.health
    status = "failing" if health.failure else "ok" if health.refreshed_at else "new"
    return pb.McpServer(
        id=ids.show(Kind.MCP_SERVER, row.id),
        name=row.name,
        transport=value(pb.McpTransport, access.transport),
        url=access.url,
        headers_json=json.dumps(dict.fromkeys(secrets.headers, MASK)) if secrets.headers else None,
        bearer_token=MASK if secrets.bearer else None,
        oauth_token_url=access.oauth_token_url,
        oauth_client_id=access.oauth_client_id,
        oauth_client_secret=MASK if secrets.oauth_secret else None,
        oauth_scope=access.oauth_scope,
        allowed_tools_json=json.dumps(rights.allowed) if rights.allowed is not None else None,
        auto_approve_tools_json=json.dumps(rights.auto_approve),
        require_approval_default=rights.require_approval,
        enabled=rights.enabled,
        timeout_ms=rights.timeout_ms,
        status=value(pb.McpServerStatus, status),
        failure=health.failure,
        refreshed_at=timestamp(health.refreshed_at),
        protocol_version=health.protocol_version,
        tool_count=health.tools,
        waiting_count=health.waiting,
        created_at=timestamp(row.times[0]),
        updated_at=timestamp(row.times[1]),
    )


def tool(row: McpToolRow, of: ServerRow) -> pb.McpTool:
    is_other = row.accepted is None or row.accepted.hash != row.now.hash
    by, at = row.by
    return pb.McpTool(
        id=ids.show(Kind.MCP_TOOL, row.id),
        name=row.name,
        model_name=row.model_name,
        state=value(pb.McpToolState, row.state),
        accepted=_definition(row.accepted) if row.accepted else None,
        current=_definition(row.now) if is_other and row.state != "gone" else None,
        difference=pinning.difference(row) if row.state == "changed" else (),
        reason=row.reason,
        allowed=pinning.is_allowed(of, row.name),
        needs_approval=pinning.needs_approval(of, row.name),
        accepted_by=by,
        accepted_at=timestamp(at),
        changed_at=timestamp(row.changed_at),
    )


def _definition(definition: Definition) -> pb.McpToolDefinition:
    return pb.McpToolDefinition(
        description=definition.description, input_schema_json=definition.schema, hash=definition.hash
    )
