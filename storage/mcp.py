"""MCP servers, their tools as accepted and as currently offered, and the flows that use them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from hum.contract.errors import NotFound
from storage import largerows
from storage.db import Tx

COLUMNS = """
    s.id, s.org_id, s.name, s.slug, s.transport, s.url, s.sealed_headers, s.sealed_bearer, s.oauth_token_url, s.oauth_client_id,
    s.sealed_oauth_secret, s.oauth_scope, s.allowed_tools, s.auto_approve_tools, s.require_approval, s.enabled, s.timeout_ms,
    s.revision, s.trusts_next, s.failure, s.refreshed_at, s.protocol_version, s.created_at, s.updated_at
"""
COUNTS = """
    (SELECT count(*) FROM mcp_tools t WHERE t.server_id = s.id AND t.state <> 'gone') AS tools,
    (SELECT count(*) FROM mcp_tools t WHERE t.server_id = s.id AND t.state IN ('new', 'changed')) AS waiting
"""
SHOWN = f"SELECT {COLUMNS}, {COUNTS} FROM mcp_servers s"
GET = f"{SHOWN} WHERE s.id = $1"
LOCK = "SELECT id FROM mcp_servers WHERE id = $1 FOR NO KEY UPDATE"
PAGE = largerows.page(
    f"""
    {SHOWN}
     WHERE s.id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
     ORDER BY s.id DESC LIMIT $2
""",
    ["sealed_headers", "allowed_tools", "auto_approve_tools"],
    "id DESC",
)
COUNT_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('mcp servers ' || hum.org_id()::text, 0))"
COUNT = "SELECT count(*) FROM mcp_servers"
SLUG_USED = "SELECT EXISTS (SELECT FROM mcp_servers WHERE slug = $1 AND id <> $2)"
CREATE = """
    INSERT INTO mcp_servers (id, org_id, name, slug, transport, url, sealed_headers, sealed_bearer, oauth_token_url,
                             oauth_client_id, sealed_oauth_secret, oauth_scope, allowed_tools, auto_approve_tools,
                             require_approval, enabled, timeout_ms)
    VALUES ($1, hum.org_id(), $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
"""
# URL or credentials may be new: with `tried_at` cleared, the sweep reads the tools again.
CHANGE = """
    UPDATE mcp_servers
       SET name = $2, slug = $3, transport = $4, url = $5, sealed_headers = $6, sealed_bearer = $7, oauth_token_url = $8,
           oauth_client_id = $9, sealed_oauth_secret = $10, oauth_scope = $11, allowed_tools = $12, auto_approve_tools = $13,
           require_approval = $14, enabled = $15, timeout_ms = $16, revision = revision + 1, tried_at = NULL,
           updated_at = clock_timestamp()
     WHERE id = $1
"""
DELETE = "DELETE FROM mcp_servers WHERE id = $1 RETURNING true"
DUE = """
    UPDATE mcp_servers SET tried_at = clock_timestamp()
     WHERE id IN (SELECT id FROM mcp_servers WHERE enabled AND (tried_at IS NULL OR tried_at < clock_timestamp() - $1::interval)
                   ORDER BY tried_at NULLS FIRST LIMIT $2 FOR UPDATE SKIP LOCKED)
    RETURNING id, org_id
"""
TIME_AGO = "SELECT clock_timestamp() - $1::interval"
SET_READ = """
    UPDATE mcp_servers
       SET tried_at = clock_timestamp(), refreshed_at = $3, failure = NULL, protocol_version = $2,
           trusts_next = false
     WHERE id = $1
"""
SET_FAILURE = """
    UPDATE mcp_servers SET tried_at = clock_timestamp(), failure = $2
     WHERE id = $1 AND failure IS DISTINCT FROM $2 AND coalesce(refreshed_at <= $3, true)
"""
TOOL_COLUMNS = """
    t.id, t.server_id, t.name, t.model_name, t.state, t.description, t.schema, t.hash, t.now_description, t.now_schema,
    t.now_hash, t.reason, t.accepted_by, t.accepted_at, t.changed_at
"""
TOOLS = f"SELECT {TOOL_COLUMNS} FROM mcp_tools t WHERE t.server_id = $1 ORDER BY t.name"
TOOLS_PAGE = largerows.page(
    f"""
    SELECT {TOOL_COLUMNS} FROM mcp_tools t
     WHERE t.server_id = $1 AND (t.name, t.id) > (coalesce($2, ''), coalesce($3::uuid, '00000000-0000-0000-0000-000000000000'))
     ORDER BY t.name, t.id LIMIT $4
""",
    ["description", "schema", "now_description", "now_schema"],
    "name, id",
)
TOOL = f"SELECT {TOOL_COLUMNS} FROM mcp_tools t WHERE t.server_id = $1 AND t.id = $2 FOR NO KEY UPDATE"
PUT_TOOL = """
    INSERT INTO mcp_tools (id, org_id, server_id, name, model_name, state, description, schema, hash, now_description,
                           now_schema, now_hash, reason, accepted_by, accepted_at)
    VALUES ($1, hum.org_id(), $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
    ON CONFLICT (server_id, name) DO UPDATE
       SET model_name = excluded.model_name, state = excluded.state, description = excluded.description,
           schema = excluded.schema, hash = excluded.hash, now_description = excluded.now_description,
           now_schema = excluded.now_schema, now_hash = excluded.now_hash, reason = excluded.reason,
           accepted_by = excluded.accepted_by, accepted_at = excluded.accepted_at, changed_at = clock_timestamp()
"""
DELETE_REMOVED = "DELETE FROM mcp_tools WHERE server_id = $1 AND state = 'gone' AND hash IS NULL"
FLOW = "SELECT FROM flows WHERE id = $1 AND deleted_at IS NULL"
FLOW_PAGE = f"""
    {SHOWN} JOIN mcp_flows f ON f.server_id = s.id
     WHERE f.flow_id = $1 AND s.id < coalesce($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
     ORDER BY s.id DESC LIMIT $3
"""
LOCK_FLOW = "SELECT id FROM flows WHERE id = $1 AND deleted_at IS NULL FOR NO KEY UPDATE"
COUNT_OF_FLOW = "SELECT count(*) FROM mcp_flows WHERE flow_id = $1 AND server_id <> $2"
BIND = "INSERT INTO mcp_flows (org_id, flow_id, server_id) VALUES (hum.org_id(), $1, $2) ON CONFLICT DO NOTHING"
UNBIND = "DELETE FROM mcp_flows WHERE flow_id = $1 AND server_id = $2 RETURNING true"
# Names the organization, because the transaction may be the system's.
OF_FLOW = """
    SELECT t.id, t.server_id, t.name, t.model_name, t.description, t.schema, t.hash, s.name AS server, s.url, s.timeout_ms,
           s.require_approval AND NOT t.name = ANY (s.auto_approve_tools) AS needs_approval
      FROM mcp_flows f
      JOIN mcp_servers s ON s.id = f.server_id AND s.enabled
      JOIN mcp_tools t ON t.server_id = s.id AND t.state = 'accepted'
     WHERE f.flow_id = $2 AND f.org_id = $1 AND (s.allowed_tools IS NULL OR t.name = ANY (s.allowed_tools))
     ORDER BY t.model_name
     LIMIT $3
"""


@dataclass(frozen=True, slots=True)
class Access:
    """A server's address and credentials; secrets are sealed."""

    transport: str
    url: str
    sealed_headers: bytes | None
    sealed_bearer: bytes | None
    oauth_token_url: str | None
    oauth_client_id: str | None
    sealed_oauth_secret: bytes | None
    oauth_scope: str | None


@dataclass(frozen=True, slots=True)
class Rights:
    """Agents' rights to a server's tools.  `allowed` None: all of them."""

    allowed: list[str] | None
    auto_approve: list[str]
    require_approval: bool
    enabled: bool
    timeout_ms: int


@dataclass(frozen=True, slots=True)
class Health:
    """The result of the last reading of a server's tools."""

    failure: str | None
    #: When the last reading that is stored began.
    refreshed_at: datetime | None
    protocol_version: str | None
    tools: int
    waiting: int


@dataclass(frozen=True, slots=True)
class ServerRow:
    id: UUID
    org_id: UUID
    name: str
    slug: str
    access: Access
    rights: Rights
    revision: int
    trusts_next: bool
    health: Health
    times: tuple[datetime, datetime]
    #: Bytes, in a list.
    size: int = 0


@dataclass(frozen=True, slots=True)
class Definition:
    """The pinned part of a tool: description, JSON Schema as text, and the hash over these and its name.

    `schema` is None if the tool has no usable one.
    """

    description: str
    schema: str | None
    hash: str

    @property
    def size(self) -> int:
        """The size in bytes."""
        return len(self.description.encode()) + len((self.schema or "").encode())


@dataclass(frozen=True, slots=True)
class McpToolRow:
    id: UUID
    server_id: UUID
    name: str
    model_name: str
    state: str
    accepted: Definition | None
    now: Definition
    reason: str | None
    by: tuple[str | None, datetime | None]
    changed_at: datetime | None = None
    #: Bytes, in a list.
    size: int = 0


@dataclass(frozen=True, slots=True)
class FlowTool:
    """A tool of a flow's agent."""

    id: UUID
    server_id: UUID
    name: str
    model_name: str
    description: str
    schema: str
    hash: str
    server: str
    url: str
    timeout_ms: int
    needs_approval: bool


async def get(tx: Tx, id: UUID, *, lock: bool = False) -> ServerRow:
    """Return a server.  Raises NotFound."""
    if lock:
        await tx.execute(LOCK, id)
    row = await tx.fetchrow(GET, id)
    if row is None:
        raise NotFound("There is no such MCP server.")
    return _server(dict(row))


async def page(tx: Tx, before: UUID | None, limit: int) -> list[ServerRow]:
    """Return servers newest first, below `before`."""
    return [_server(dict(row)) for row in await tx.fetch(PAGE, before, limit)]


async def count(tx: Tx) -> int:
    """Return how many servers the organization has, which no other transaction changes before this one ends."""
    await tx.execute(COUNT_LOCK)
    number: int = await tx.fetchval(COUNT)
    return number


async def is_slug_used(tx: Tx, slug: str, id: UUID) -> bool:
    """Return whether another server has this slug, the prefix of its tools' names."""
    return bool(await tx.fetchval(SLUG_USED, slug, id))


async def create(tx: Tx, id: UUID, name: str, slug: str, access: Access, rights: Rights) -> None:
    await tx.execute(CREATE, id, name, slug, *_values(access), *_values(rights))


async def change(tx: Tx, id: UUID, name: str, slug: str, access: Access, rights: Rights) -> None:
    await tx.execute(CHANGE, id, name, slug, *_values(access), *_values(rights))


async def delete(tx: Tx, id: UUID) -> None:
    """Delete a server.  Raises NotFound."""
    if not await tx.fetchval(DELETE, id):
        raise NotFound("There is no such MCP server.")


async def due(tx: Tx, every: timedelta, limit: int) -> list[tuple[UUID, UUID]]:
    """Claim the servers (organization, id) that are due for a reading of their tools.  Runs as the system."""
    return [(row["org_id"], row["id"]) for row in await tx.fetch(DUE, every, limit)]


async def time_ago(tx: Tx, ago: timedelta) -> datetime:
    """Return what time it was `ago`, by the database's clock: those of HUM's machines may differ."""
    at: datetime = await tx.fetchval(TIME_AGO, ago)
    return at


async def record_reading(tx: Tx, id: UUID, protocol_version: str, began_at: datetime) -> None:
    await tx.execute(SET_READ, id, protocol_version, began_at)


async def record_failure(tx: Tx, id: UUID, failure: str, began_at: datetime) -> None:
    """Record that a reading failed, unless one that began later has succeeded."""
    await tx.execute(SET_FAILURE, id, failure, began_at)


async def tools(tx: Tx, server: UUID) -> list[McpToolRow]:
    return [_tool(dict(row)) for row in await tx.fetch(TOOLS, server)]


async def tools_page(tx: Tx, server: UUID, after: tuple[str, UUID] | None, limit: int) -> list[McpToolRow]:
    """Return tools by name, after one with its id."""
    name, id = after or (None, None)
    return [_tool(dict(row)) for row in await tx.fetch(TOOLS_PAGE, server, name, id, limit)]


async def tool(tx: Tx, server: UUID, id: UUID) -> McpToolRow:
    """Lock and return a tool.  Raises NotFound."""
    row = await tx.fetchrow(TOOL, server, id)
    if row is None:
        raise NotFound("There is no such tool.")
    return _tool(dict(row))


async def upsert_tool(tx: Tx, row: McpToolRow) -> None:
    accepted = _values(row.accepted) if row.accepted else (None, None, None)
    await tx.execute(
        PUT_TOOL,
        row.id,
        row.server_id,
        row.name,
        row.model_name,
        row.state,
        *accepted,
        *_values(row.now),
        row.reason,
        *row.by,
    )


async def delete_removed(tx: Tx, server: UUID) -> None:
    """Delete tools that a server no longer has and that were never accepted: it may list new ones each time."""
    await tx.execute(DELETE_REMOVED, server)


async def require_flow(tx: Tx, flow: UUID, *, lock: bool = False) -> None:
    """Raise NotFound if there is no such flow."""
    if await tx.fetchrow(LOCK_FLOW if lock else FLOW, flow) is None:
        raise NotFound("There is no such flow.")


async def flow_page(tx: Tx, flow: UUID, before: UUID | None, limit: int) -> list[ServerRow]:
    return [_server(dict(row)) for row in await tx.fetch(FLOW_PAGE, flow, before, limit)]


async def others_of_flow(tx: Tx, flow: UUID, server: UUID) -> int:
    """Return how many other servers a flow's agent uses."""
    number: int = await tx.fetchval(COUNT_OF_FLOW, flow, server)
    return number


async def bind(tx: Tx, flow: UUID, server: UUID) -> None:
    await tx.execute(BIND, flow, server)


async def unbind(tx: Tx, flow: UUID, server: UUID) -> None:
    """Unbind a server from a flow.  Raises NotFound."""
    if not await tx.fetchval(UNBIND, flow, server):
        raise NotFound("The flow has no such MCP server.")


async def of_flow(tx: Tx, org: UUID, flow: UUID, limit: int) -> list[FlowTool]:
    """Return the tools of a flow's agent."""
    return [FlowTool(**row) for row in await tx.fetch(OF_FLOW, org, flow, limit)]


def _values(row: Access | Rights | Definition) -> list[object]:
    return [getattr(row, name) for name in type(row).__slots__]


def _server(row: dict[str, object]) -> ServerRow:
    row["allowed"], row["auto_approve"] = row.pop("allowed_tools"), row.pop("auto_approve_tools")
    parts = [{name: row.pop(name) for name in part.__slots__} for part in (Access, Rights, Health)]
    times = (row.pop("created_at"), row.pop("updated_at"))
    # The types are those of the columns.
    return ServerRow(
        access=Access(**parts[0]),  # type: ignore[arg-type]
        rights=Rights(**parts[1]),  # type: ignore[arg-type]
        health=Health(**parts[2]),  # type: ignore[arg-type]
        times=times,  # type: ignore[arg-type]
        **row,  # type: ignore[arg-type]
    )


def _tool(row: dict[str, object]) -> McpToolRow:
    accepted = [row.pop(name) for name in ("description", "schema", "hash")]
    current = [row.pop(f"now_{name}") for name in ("description", "schema", "hash")]
    by = (row.pop("accepted_by"), row.pop("accepted_at"))
    return McpToolRow(
        accepted=Definition(*accepted) if accepted[2] is not None else None,  # type: ignore[arg-type]
        now=Definition(*current),  # type: ignore[arg-type]
        by=by,  # type: ignore[arg-type]
        **row,  # type: ignore[arg-type]
    )
