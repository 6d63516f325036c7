"""The use cases of MCP servers: create, change, bind to flows, accept tools."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from control.base import egress
from control.base.egress import EgressError, Policy
from control.base.wire import word
from control.mcp import pinning
from control.mcp.sealing import NONE, McpSealer, Secrets
from hum import ids
from hum.clock import now
from hum.contract.errors import AlreadyExists, Conflict, FieldError, InvalidRequest, InvalidState, NotFound, PlanLimit
from hum.ids import Kind
from hum.v1 import events_pb2
from hum.v1 import mcp_pb2 as pb
from storage import events, mcp
from storage.db import Tx
from storage.mcp import Access, McpToolRow, Rights, ServerRow

#: Stands for a stored secret.
MASK = "********"
#: Headers that the MCP client sets.
RESERVED = frozenset({"accept", "content-type", "user-agent", "last-event-id"})
PRINTABLE, SCOPES = re.compile(r"[\x21-\x7e]+"), re.compile(r"[\x20-\x7e]*")
NOT_KEPT = "has no value that could be kept: a URL that leads elsewhere needs it again"


@dataclass(frozen=True, slots=True)
class McpServerLimits:
    servers: int
    flow_servers: int
    policy: Policy


async def create(tx: Tx, org: UUID, server: pb.McpServer, sealer: McpSealer, limits: McpServerLimits) -> ServerRow:
    """Create a server.  Raises InvalidRequest, PlanLimit, AlreadyExists."""
    id = ids.new()
    access = _access(server, None, NONE, limits.policy, sealer, (id, org))
    if await mcp.count(tx) >= limits.servers:
        raise PlanLimit(f"The organization has {limits.servers} MCP servers, which is the limit.")
    slug = await _slug(tx, server.name, id)
    await mcp.create(tx, id, server.name, slug, access, _rights(server))
    return await mcp.get(tx, id)


async def change(
    tx: Tx, before: ServerRow, server: pb.McpServer, sealer: McpSealer, limits: McpServerLimits
) -> tuple[ServerRow, int]:
    """Change a locked server; return it, and how many bytes of its tools were written again.

    Raises InvalidRequest, AlreadyExists.
    """
    access = _access(server, before, sealer.open(before), limits.policy, sealer, (before.id, before.org_id))
    slug = await _slug(tx, server.name, before.id)
    await mcp.change(tx, before.id, server.name, slug, access, _rights(server))
    size = 0
    is_other_origin = egress.origin(access.url) != egress.origin(before.access.url)
    for row in await mcp.tools(tx, before.id) if is_other_origin or slug != before.slug else ():
        renamed = replace(row, model_name=pinning.model_name(slug, row.name))
        # Tools were accepted for the old origin, not for this one.
        if is_other_origin:
            state = "new" if row.state in {"accepted", "changed"} else row.state
            renamed = replace(renamed, accepted=None, by=(None, None), state=state)
        await mcp.upsert_tool(tx, renamed)
        size += sum(each.size for each in (renamed.accepted, renamed.now) if each is not None)
    return await mcp.get(tx, before.id), size


async def accept(tx: Tx, org: UUID, server: UUID, tool: UUID, hash: str, by: str) -> McpToolRow:
    """Accept a tool's current definition.  Raises NotFound, InvalidState, Conflict."""
    row = await mcp.tool(tx, server, tool)
    if row.state in {"gone", "invalid"}:
        raise InvalidState(row.reason or "The server has it no longer.")
    if row.now.hash != hash:
        raise Conflict("The tool has changed again. Look at it once more.")
    await mcp.upsert_tool(tx, replace(row, state="accepted", accepted=row.now, by=(by, now())))
    event = events_pb2.McpToolAcceptedEvent(server_id=ids.show(Kind.MCP_SERVER, server), tool=row.name, by=by)
    await events.append(tx, org, server, event)
    return await mcp.tool(tx, server, tool)


async def bind(tx: Tx, flow: UUID, server: str, limits: McpServerLimits) -> ServerRow:
    """Give a flow's agent a server's tools.  Raises NotFound, InvalidRequest, PlanLimit."""
    await mcp.require_flow(tx, flow, lock=True)
    try:
        row = await mcp.get(tx, ids.require(Kind.MCP_SERVER, server))
    except NotFound:
        raise InvalidRequest([FieldError("server_id", "is not an MCP server of yours")]) from None
    if await mcp.others_of_flow(tx, flow, row.id) >= limits.flow_servers:
        raise PlanLimit(f"The flow has {limits.flow_servers} MCP servers, which is the limit.")
    await mcp.bind(tx, flow, row.id)
    return row


async def _slug(tx: Tx, name: str, id: UUID) -> str:
    slug = pinning.slug(name)
    if await mcp.is_slug_used(tx, slug, id):
        raise AlreadyExists(f"Another MCP server's tools have names that begin with {slug}__.")
    return slug


def _rights(server: pb.McpServer) -> Rights:
    return Rights(
        allowed=json.loads(server.allowed_tools_json) if server.HasField("allowed_tools_json") else None,
        auto_approve=json.loads(server.auto_approve_tools_json) if server.HasField("auto_approve_tools_json") else [],
        require_approval=server.require_approval_default if server.HasField("require_approval_default") else True,
        enabled=server.enabled if server.HasField("enabled") else True,
        timeout_ms=server.timeout_ms or pinning.DEFAULT_TIMEOUT_MS,
    )


def _access(
    server: pb.McpServer,
    before: ServerRow | None,
    stored: Secrets,
    policy: Policy,
    sealer: McpSealer,
    place: tuple[UUID, UUID],
) -> Access:
    """Return how a server is accessed.  Stored secrets never go to another origin.  Raises InvalidRequest."""
    errors = list[FieldError]()
    _check_url("server.url", server.url, policy, errors)
    same_origin = before is not None and egress.origin(server.url) == egress.origin(before.access.url)
    token_url = server.oauth_token_url or None
    # The client's tokens go to the server, so another server or another token URL requires the secret again.
    same_oauth = same_origin and before is not None and _is_same_origin(token_url, before.access.oauth_token_url)
    headers = _headers(server, stored.headers if same_origin else {}, errors)
    bearer = _secret("bearer_token", server.bearer_token, stored.bearer if same_origin else None, errors)
    secret = _secret(
        "oauth_client_secret", server.oauth_client_secret, stored.oauth_secret if same_oauth else None, errors
    )
    printable = {"bearer_token": bearer, "oauth_client_id": server.oauth_client_id, "oauth_client_secret": secret}
    errors += [
        FieldError(f"server.{name}", "must be printable ASCII, without spaces")
        for name, text in printable.items()
        if text and not PRINTABLE.fullmatch(text)
    ]
    if not SCOPES.fullmatch(server.oauth_scope):
        errors.append(FieldError("server.oauth_scope", "must be words of printable ASCII, with spaces between them"))
    if len({bool(value) for value in (token_url, server.oauth_client_id, secret)}) > 1 and not errors:
        errors.append(
            FieldError("server.oauth_token_url", "goes with oauth_client_id and oauth_client_secret: all or none")
        )
    if token_url is not None:
        _check_url("server.oauth_token_url", token_url, policy, errors)
    has_header = any(name.lower() == "authorization" for name in headers)
    if sum((has_header, bool(bearer), bool(token_url))) > 1:
        errors.append(FieldError("server.bearer_token", "is one of two ways to authenticate; use one"))
    if errors:
        raise InvalidRequest(errors)
    sealed = sealer.seal(Secrets(headers, bearer, secret), *place)
    return Access(
        transport=word(pb.McpTransport, server.transport) or "streamable_http",
        url=server.url,
        sealed_headers=sealed[0],
        sealed_bearer=sealed[1],
        oauth_token_url=token_url,
        oauth_client_id=server.oauth_client_id or None,
        sealed_oauth_secret=sealed[2],
        oauth_scope=server.oauth_scope or None,
    )


def _is_same_origin(url: str | None, before: str | None) -> bool:
    return egress.origin(url or "") == egress.origin(before or "")


def _secret(field: str, requested: str, stored: str | None, errors: list[FieldError]) -> str | None:
    if requested != MASK:
        return requested or None
    if stored is None:
        errors.append(FieldError(f"server.{field}", NOT_KEPT))
    return stored


def _headers(server: pb.McpServer, stored: Mapping[str, str], errors: list[FieldError]) -> dict[str, str]:
    requested: dict[str, str] = json.loads(server.headers_json) if server.headers_json else {}
    headers = dict[str, str]()
    for name, value in requested.items():
        field = f'server.headers_json["{name}"]'
        if value == MASK and name not in stored:
            errors.append(FieldError(field, NOT_KEPT))
            continue
        headers[name] = stored[name] if value == MASK else value
        try:
            egress.check_headers({name: headers[name]})
        except EgressError as error:
            errors.append(FieldError(field, error.message))
        if name.lower() in RESERVED or name.lower().startswith("mcp-"):
            errors.append(FieldError(field, "is set by HUM"))
    if len({name.lower() for name in headers}) < len(headers):
        errors.append(FieldError("server.headers_json", "has the same header twice"))
    return headers


def _check_url(field: str, text: str, policy: Policy, errors: list[FieldError]) -> None:
    """Check that a URL may be called at all.  Each request checks what its host resolves to."""
    try:
        policy.check_url(text)
    except EgressError as error:
        errors.append(FieldError(field, error.message))
