"""Creating, changing and deleting tools, bindings and secrets."""

import json
from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

from google.protobuf import json_format

from control.base import egress, masks
from control.base.egress import EgressError, Policy
from control.base.principal import may_call
from control.base.wire import timestamp, value, word
from control.httptools import toolrequest
from control.httptools.agents import merged
from control.httptools.requestsender import TABLE
from control.httptools.toolrequest import MASK
from control.tools import Registry
from hum import ids
from hum.contract.errors import AlreadyExists, FieldError, InUse, InvalidRequest, NotFound, PlanLimit
from hum.contract.principal import Principal
from hum.ids import Kind
from hum.secrets import Keyring, SealContext
from hum.settings.httptools import HttpToolSettings
from hum.v1 import events_pb2, options_pb2
from hum.v1 import tools_pb2 as pb
from storage import crm, events, flows, http_tools
from storage.db import Tx
from storage.http_tools import BindingRow, HttpToolRow, Overrides, SecretRow

READ_ONLY = ("id", "version", "created_at", "updated_at")
DEFAULT_POSITION = 100
#: What a change of a tool needs.
CHANGES = options_pb2.Access(role=options_pb2.ROLE_ADMIN, scope="integrations:write")
#: Fields that a binding of a connector can't have, as it has no tool.
OF_TOOLS_ALONE = ("version", "description", "arguments_json", "requires_approval")


class HttpTools:
    """HTTP tools and their bindings."""

    def __init__(self, registry: Registry, settings: HttpToolSettings, policy: Policy) -> None:
        self._registry, self._settings, self._policy = registry, settings, policy

    # --- tools ----------------------------------------------------------------------------------------------------

    async def create(self, tx: Tx, principal: Principal, tool: pb.HttpTool) -> HttpToolRow:
        """Create a tool.  Raises InvalidRequest, AlreadyExists, PlanLimit."""
        definition = definition_of(tool)
        await http_tools.lock(tx)
        if await http_tools.count(tx) >= self._settings.http_tools:
            raise PlanLimit(f"The organization has {self._settings.http_tools} tools, which is the limit.")
        secrets = await self._check_tool(tx, None, definition)
        id = ids.new()
        await http_tools.create(tx, id, definition, secrets)
        await events.append(tx, principal.org_id, id, events_pb2.ToolCreatedEvent(by=principal.name))
        return await http_tools.get(tx, id)

    async def change(
        self, tx: Tx, principal: Principal, id: UUID, tool: pb.HttpTool, paths: Sequence[str]
    ) -> HttpToolRow:
        """Store the next version, unless nothing changes.  Raises as `create` does, and NotFound."""
        await http_tools.lock(tx)
        before = await http_tools.get(tx, id)
        definition = definition_of(cast("pb.HttpTool", masks.masked(tool_of(before.definition), tool, paths)))
        if definition == before.definition:
            return before
        secrets = await self._check_tool(tx, id, definition)
        await http_tools.change(tx, id, definition, secrets)
        after = await http_tools.get(tx, id)
        await events.append(
            tx, principal.org_id, id, events_pb2.ToolUpdatedEvent(by=principal.name, tool_version=after.version)
        )
        return after

    async def delete(self, tx: Tx, principal: Principal, id: UUID) -> None:
        """Delete a tool.  Raises NotFound, InUse."""
        await http_tools.lock(tx)
        await http_tools.get(tx, id)
        if (flow := await http_tools.bound_by(tx, id)) is not None:
            raise InUse(f"The flow {flow!r} binds this tool; remove it there first.")
        await http_tools.delete(tx, id)
        await events.append(tx, principal.org_id, id, events_pb2.ToolDeletedEvent(by=principal.name))

    async def _check_tool(self, tx: Tx, id: UUID | None, definition: dict[str, Any]) -> frozenset[str]:
        """Check a tool's definition, secrets and name; return the secrets.  Raises InvalidRequest, AlreadyExists."""
        names, host = toolrequest.check(definition, self._policy)
        secrets = {row.name: row for row in await http_tools.named_secrets(tx, names)}
        problems = [
            FieldError("tool", f"there is no secret {name!r}")
            if name not in secrets
            else FieldError("tool", f"the secret {name!r} is for {secrets[name].host}, and not for {host}")
            for name in sorted(names)
            if name not in secrets or secrets[name].host != host
        ]
        if problems:
            raise InvalidRequest(problems)
        name = definition["name"]
        self._require_free(name)
        if await http_tools.by_name(tx, name) not in {None, id}:
            raise AlreadyExists(f"There is a tool {name!r} already.")
        if id is not None:
            await _require_apart(await http_tools.names(tx, id, None), {id: name}, tx, id)
        return names

    def _require_free(self, name: str) -> None:
        if self._registry.is_taken(name):
            raise AlreadyExists(f"One of HUM's own tools is called {name!r}.")

    # --- bindings ----------------------------------------------------------------------------------------------------

    async def bind(self, tx: Tx, principal: Principal, flow: UUID, flow_tool: pb.FlowTool) -> BindingRow:
        """Bind a tool or a connector to a flow.  Raises NotFound, InvalidRequest, AlreadyExists, PlanLimit."""
        kind, mode = word(pb.FlowToolKind, flow_tool.kind) or "http", word(pb.FlowToolMode, flow_tool.mode) or "in_call"
        await http_tools.lock(tx)
        await flows.get(tx, flow)
        if await http_tools.count_bindings(tx, flow) >= self._settings.flow_tools:
            raise PlanLimit(f"The flow binds {self._settings.flow_tools} tools, which is the limit.")
        tool, connector = await _bound(tx, kind, mode, flow_tool)
        overrides, id = _overrides(flow_tool), ids.new()
        await self._check(tx, flow, id, mode, tool, overrides)
        bound = tool.id if tool else None, connector
        await http_tools.bind(tx, id, flow, kind, mode, bound, overrides)
        await events.append(tx, principal.org_id, flow, events_pb2.FlowToolsChangedEvent(by=principal.name))
        return await http_tools.binding(tx, flow, id)

    async def rebind(
        self, tx: Tx, principal: Principal, flow: UUID, id: UUID, flow_tool: pb.FlowTool, paths: Sequence[str]
    ) -> BindingRow:
        """Change the fields in `paths` of a binding.  Raises as `bind` does."""
        await http_tools.lock(tx)
        before = await http_tools.binding(tx, flow, id)
        present = present_binding(before)
        after = cast("pb.FlowTool", masks.masked(present, flow_tool, paths))
        unchangeable = [
            name
            for name in ("kind", "mode", "tool_id", "connector_id")
            if getattr(after, name) != getattr(present, name)
        ]
        if unchangeable:
            raise InvalidRequest([FieldError(f"flow_tool.{name}", "can't be changed") for name in unchangeable])
        tool = await http_tools.get(tx, before.tool_id) if before.tool_id else None
        if tool is None:
            _refuse_tool_fields(after)
        overrides = _overrides(after)
        await self._check(tx, flow, id, before.mode, tool, overrides)
        await http_tools.rebind(tx, id, overrides)
        await events.append(tx, principal.org_id, flow, events_pb2.FlowToolsChangedEvent(by=principal.name))
        return await http_tools.binding(tx, flow, id)

    async def unbind(self, tx: Tx, principal: Principal, flow: UUID, id: UUID) -> None:
        """Delete a binding.  Raises NotFound."""
        await flows.get(tx, flow)
        await http_tools.unbind(tx, flow, id)
        await events.append(tx, principal.org_id, flow, events_pb2.FlowToolsChangedEvent(by=principal.name))

    async def _check(
        self, tx: Tx, flow: UUID, id: UUID, mode: str, tool: HttpToolRow | None, overrides: Overrides
    ) -> None:
        """Check a binding.  Raises InvalidRequest, AlreadyExists."""
        problems = [
            *toolrequest.check_output("flow_tool.output_template", overrides.output_template),
            *toolrequest.check_output("flow_tool.fallback_template", overrides.fallback_template),
        ]
        if tool is not None:
            used = tool if overrides.version is None else await http_tools.version(tx, tool.id, overrides.version)
            if used is None:
                problems.append(FieldError("flow_tool.version", "is not a version of this tool"))
            elif mode == "pre_call" and merged(used.definition, overrides).get("requires_approval"):
                problems.append(
                    FieldError("flow_tool.requires_approval", "can't be: approval is not possible before a call")
                )
            problems += _problems_of_arguments(tool, overrides, mode)
        if problems:
            raise InvalidRequest(problems)
        if tool is None or mode != "in_call":
            return
        name = overrides.name or tool.name
        self._require_free(name)
        names = await http_tools.names(tx, None, flow)
        if any(other == name for binding, of, other in names if of == flow and binding != id):
            raise AlreadyExists(f"The flow has a tool {name!r} already.")


async def _require_apart(names: Sequence[tuple[UUID, UUID, str]], renamed: dict[UUID, str], tx: Tx, tool: UUID) -> None:
    """Check that no flow binds another tool with this tool's new name.  Raises AlreadyExists."""
    for binding, flow, _ in names:
        row = await http_tools.binding(tx, flow, binding)
        if row.tool_id != tool or row.overrides.name is not None:
            continue
        other_names = {name for other, of, name in names if of == flow and other != binding}
        if renamed[tool] in other_names:
            raise AlreadyExists(f"A flow that binds this tool has another one that is called {renamed[tool]!r}.")


async def _bound(tx: Tx, kind: str, mode: str, flow_tool: pb.FlowTool) -> tuple[HttpToolRow | None, UUID | None]:
    """Return the tool or the connector of a new binding.  Raises InvalidRequest."""
    field, other_field = ("tool_id", "connector_id") if kind == "http" else ("connector_id", "tool_id")
    if flow_tool.HasField(other_field):  # type: ignore[arg-type]  # one of its fields
        raise InvalidRequest([FieldError(f"flow_tool.{other_field}", f"is not for the kind {kind}")])
    id = ids.parse(Kind.TOOL if kind == "http" else Kind.CRM_CONNECTOR, getattr(flow_tool, field))
    try:
        if id is not None and kind == "http":
            return await http_tools.get(tx, id), None
        if id is not None:
            await crm.get(tx, id)
            if mode != "pre_call":
                raise InvalidRequest([FieldError("flow_tool.mode", "must be pre_call for a CRM connector")])
            _refuse_tool_fields(flow_tool)
            return None, id
    except NotFound:
        pass
    raise InvalidRequest([FieldError(f"flow_tool.{field}", "is not one of this organization's")])


def _refuse_tool_fields(flow_tool: pb.FlowTool) -> None:
    bad = [name for name in OF_TOOLS_ALONE if flow_tool.HasField(name)]  # type: ignore[arg-type]  # its fields
    if bad:
        raise InvalidRequest([FieldError(f"flow_tool.{name}", "is not for a CRM connector") for name in bad])


def _problems_of_arguments(tool: HttpToolRow, overrides: Overrides, mode: str) -> list[FieldError]:
    """Return errors in fixed arguments: they must exist in the tool, and before a call include all required ones."""
    arguments = json.loads(overrides.arguments) if overrides.arguments else {}
    if not isinstance(arguments, dict):
        return [FieldError("flow_tool.arguments_json", "must be an object")]
    schema = toolrequest.parameters(tool.definition, ())
    problems = [
        FieldError("flow_tool.arguments_json", f"the tool has no argument {name[:60]!r}")
        for name in arguments
        if name not in schema.get("properties", {})
    ]
    if mode == "pre_call":
        missing = [name for name in schema.get("required", ()) if name not in arguments]
        problems += [
            FieldError("flow_tool.arguments_json", f"must have {name[:60]!r}: no agent sets it before a call")
            for name in missing
        ]
    return problems


def _overrides(flow_tool: pb.FlowTool) -> Overrides:
    def override(name: str) -> Any:
        return getattr(flow_tool, name) if flow_tool.HasField(name) else None  # type: ignore[arg-type]  # a field

    return Overrides(
        enabled=flow_tool.enabled if flow_tool.HasField("enabled") else True,
        place=flow_tool.position if flow_tool.HasField("position") else DEFAULT_POSITION,
        version=override("version"),
        name=override("name"),
        description=override("description"),
        arguments=override("arguments_json"),
        output_template=override("output_template"),
        fallback_template=override("fallback_template"),
        timeout_ms=override("timeout_ms"),
        requires_approval=override("requires_approval"),
    )


# --- secrets ------------------------------------------------------------------------------------------------------


async def create_secret(tx: Tx, principal: Principal, keyring: Keyring, secret: pb.ToolSecret, limit: int) -> SecretRow:
    """Create a secret.  Raises InvalidRequest, AlreadyExists, PlanLimit."""
    host = _host(secret.host)
    if secret.value == MASK:
        raise InvalidRequest([FieldError("tool_secret.value", "is what stands for a value; give the value")])
    await http_tools.lock(tx)
    if await http_tools.count_secrets(tx) >= limit:
        raise PlanLimit(f"The organization has {limit} secrets of tools, which is the limit.")
    if await http_tools.named_secrets(tx, [secret.name]):
        raise AlreadyExists(f"There is a secret {secret.name!r} already.")
    id = ids.new()
    await http_tools.create_secret(
        tx, id, secret.name, host, keyring.seal(secret.value.encode(), SealContext(TABLE, id, principal.org_id))
    )
    return await http_tools.secret(tx, id)


async def change_secret(
    tx: Tx, principal: Principal, keyring: Keyring, id: UUID, secret: pb.ToolSecret, paths: Sequence[str]
) -> SecretRow:
    """Set a secret's value, and its host if given.  Raises NotFound, InvalidRequest."""
    await http_tools.lock(tx)
    before = await http_tools.secret(tx, id)
    after = cast("pb.ToolSecret", masks.masked(present_secret(before), secret, paths))
    problems = []
    if after.name != before.name:
        problems.append(FieldError("tool_secret.name", "can't be changed: tools name it"))
    host = _host(after.host)
    if not after.HasField("value") or after.value == MASK:
        # Without this, a user who does not know the value could redirect it to a server of their own.
        problems.append(FieldError("tool_secret.value", "is needed: what was stored is never read back"))
    if problems:
        raise InvalidRequest(problems)
    await http_tools.change_secret(
        tx, id, host, keyring.seal(after.value.encode(), SealContext(TABLE, id, principal.org_id))
    )
    return await http_tools.secret(tx, id)


async def delete_secret(tx: Tx, id: UUID) -> None:
    """Delete a secret.  Raises NotFound, InUse."""
    await http_tools.lock(tx)
    row = await http_tools.secret(tx, id)
    if (tool := await http_tools.written_by(tx, row.name)) is not None:
        raise InUse(f"The tool {tool!r} writes this secret into its requests; change it first.")
    await http_tools.delete_secret(tx, id)


def _host(text: str) -> str:
    """Normalize a host.  Raises InvalidRequest."""
    try:
        target = egress.parse_url(f"https://{text}/")
    except EgressError as error:
        raise InvalidRequest([FieldError("tool_secret.host", error.message)]) from error
    if target.host != text.lower().removesuffix("."):
        raise InvalidRequest(
            [FieldError("tool_secret.host", "must be a host and nothing else, for example api.example.com")]
        )
    return target.host


# --- as the contract shows them -----------------------------------------------------------------------------------


def definition_of(tool: pb.HttpTool) -> dict[str, Any]:
    """Convert a tool's own fields to their stored form: proto names, enums by name, free-form JSON as text."""
    bare = pb.HttpTool()
    bare.CopyFrom(tool)
    for name in READ_ONLY:
        bare.ClearField(name)  # type: ignore[arg-type]  # names of fields
    return json_format.MessageToDict(bare, preserving_proto_field_name=True)


def tool_of(definition: dict[str, Any]) -> pb.HttpTool:
    """Convert a stored definition to a tool, ignoring fields of a later release."""
    return json_format.ParseDict(definition, pb.HttpTool(), ignore_unknown_fields=True)


def present_tool(row: HttpToolRow, principal: Principal) -> pb.HttpTool:
    """Convert a tool.  Who may not change it sees no value in its headers and parameters but templates: people write keys there."""
    tool = tool_of(row.definition)
    if not may_call(principal, CHANGES):
        for name in ("headers_json", "query_json"):
            if tool.HasField(name):
                setattr(tool, name, toolrequest.masked(getattr(tool, name)))
    tool.id, tool.version = ids.show(Kind.TOOL, row.id), row.version
    tool.created_at.FromDatetime(row.created_at)
    tool.updated_at.FromDatetime(row.updated_at)
    return tool


def present_binding(row: BindingRow) -> pb.FlowTool:
    overrides = row.overrides
    return pb.FlowTool(
        id=ids.show(Kind.FLOW_TOOL, row.id),
        flow_id=ids.show(Kind.FLOW, row.flow_id),
        kind=value(pb.FlowToolKind, row.kind),
        mode=value(pb.FlowToolMode, row.mode),
        tool_id=ids.show(Kind.TOOL, row.tool_id) if row.tool_id else None,
        connector_id=ids.show(Kind.CRM_CONNECTOR, row.connector_id) if row.connector_id else None,
        enabled=overrides.enabled,
        position=overrides.place,
        version=overrides.version,
        name=overrides.name,
        description=overrides.description,
        arguments_json=overrides.arguments,
        output_template=overrides.output_template,
        fallback_template=overrides.fallback_template,
        timeout_ms=overrides.timeout_ms,
        requires_approval=overrides.requires_approval,
        created_at=timestamp(row.created_at),
        updated_at=timestamp(row.updated_at),
    )


def present_secret(row: SecretRow) -> pb.ToolSecret:
    return pb.ToolSecret(
        id=ids.show(Kind.TOOL_SECRET, row.id),
        name=row.name,
        host=row.host,
        value=MASK,
        created_at=timestamp(row.created_at),
        updated_at=timestamp(row.updated_at),
    )
