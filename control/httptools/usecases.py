"""Making, changing and deleting tools, what flows bind, and the secrets of tools."""

import json
from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

from google.protobuf import json_format

from control.base import egress, masks
from control.base.egress import Outside
from control.base.wire import timestamp, value, word
from control.httptools import rules
from control.httptools.agents import merged
from control.httptools.requests import TABLE
from control.tools import Registry
from hum import ids
from hum.errors import AlreadyExists, FieldError, InUse, InvalidRequest, NotFound, PlanLimit
from hum.ids import Kind
from hum.principal import Principal
from hum.secrets import Keyring, Place
from hum.settings.httptools import HttpToolSettings
from hum.v1 import events_pb2
from hum.v1 import tools_pb2 as pb
from storage import crm, events, flows, http_tools
from storage.db import Tx
from storage.http_tools import BindingRow, Overrides, SecretRow, ToolRow

READ_ONLY = ("id", "version", "created_at", "updated_at")
DEFAULT_POSITION = 100
#: What a secret is shown as.
MASK = "********"
#: What a binding's connector can't have: there is no tool behind it.
OF_TOOLS_ALONE = ("version", "description", "arguments_json", "requires_approval")


class Tools:
    """HTTP tools, and what flows bind."""

    def __init__(self, registry: Registry, settings: HttpToolSettings) -> None:
        self._registry, self._settings = registry, settings

    # --- tools ----------------------------------------------------------------------------------------------------

    async def create(self, tx: Tx, who: Principal, tool: pb.HttpTool) -> ToolRow:
        """Raises InvalidRequest, AlreadyExists, PlanLimit."""
        definition = definition_of(tool)
        await http_tools.lock(tx)
        if await http_tools.count(tx) >= self._settings.http_tools:
            raise PlanLimit(f"The organization has {self._settings.http_tools} tools, which is the limit.")
        secrets = await self._checked(tx, None, definition)
        id = ids.new()
        await http_tools.create(tx, id, definition, secrets)
        await events.append(tx, who.org_id, id, events_pb2.ToolCreatedEvent(by=who.name))
        return await http_tools.get(tx, id)

    async def change(self, tx: Tx, who: Principal, id: UUID, tool: pb.HttpTool, paths: Sequence[str]) -> ToolRow:
        """Make the next version; a change that changes nothing makes none.  Raises as `create` does, and NotFound."""
        await http_tools.lock(tx)
        before = await http_tools.get(tx, id)
        definition = definition_of(cast("pb.HttpTool", masks.masked(tool_of(before.definition), tool, paths)))
        if definition == before.definition:
            return before
        secrets = await self._checked(tx, id, definition)
        await http_tools.change(tx, id, definition, secrets)
        after = await http_tools.get(tx, id)
        await events.append(tx, who.org_id, id, events_pb2.ToolUpdatedEvent(by=who.name, tool_version=after.version))
        return after

    async def delete(self, tx: Tx, who: Principal, id: UUID) -> None:
        """Raises NotFound, InUse."""
        await http_tools.lock(tx)
        await http_tools.get(tx, id)
        if (flow := await http_tools.bound_by(tx, id)) is not None:
            raise InUse(f"The flow {flow!r} binds this tool; remove it there first.")
        await http_tools.delete(tx, id)
        await events.append(tx, who.org_id, id, events_pb2.ToolDeletedEvent(by=who.name))

    async def _checked(self, tx: Tx, id: UUID | None, definition: dict[str, Any]) -> frozenset[str]:
        """The secrets that a tool names, which are all there and for its host."""
        names, host = rules.checked(definition)
        known = {row.name: row for row in await http_tools.named_secrets(tx, names)}
        problems = [
            FieldError("tool", f"there is no secret {name!r}")
            if name not in known
            else FieldError("tool", f"the secret {name!r} is for {known[name].host}, and not for {host}")
            for name in sorted(names)
            if name not in known or known[name].host != host
        ]
        if problems:
            raise InvalidRequest(problems)
        name = definition["name"]
        self._require_free(name)
        if await http_tools.called(tx, name) not in {None, id}:
            raise AlreadyExists(f"There is a tool {name!r} already.")
        if id is not None:
            await _require_apart(await http_tools.names(tx, id, None), {id: name}, tx, id)
        return names

    def _require_free(self, name: str) -> None:
        if self._registry.is_taken(name):
            raise AlreadyExists(f"One of HUM's own tools is called {name!r}.")

    # --- what flows bind ------------------------------------------------------------------------------------------

    async def bind(self, tx: Tx, who: Principal, flow: UUID, wish: pb.FlowTool) -> BindingRow:
        """Raises NotFound, InvalidRequest, AlreadyExists, PlanLimit."""
        kind, mode = word(pb.FlowToolKind, wish.kind) or "http", word(pb.FlowToolMode, wish.mode) or "in_call"
        await http_tools.lock(tx)
        await flows.get(tx, flow)
        if await http_tools.count_bindings(tx, flow) >= self._settings.flow_tools:
            raise PlanLimit(f"The flow binds {self._settings.flow_tools} tools, which is the limit.")
        tool, connector = await _bound(tx, kind, mode, wish)
        overrides, id = _overrides(wish), ids.new()
        await self._check(tx, flow, id, mode, tool, overrides)
        bound = tool.id if tool else None, connector
        await http_tools.bind(tx, id, flow, kind, mode, bound, overrides)
        await events.append(tx, who.org_id, flow, events_pb2.FlowToolsChangedEvent(by=who.name))
        return await http_tools.binding(tx, flow, id)

    async def rebind(
        self, tx: Tx, who: Principal, flow: UUID, id: UUID, wish: pb.FlowTool, paths: Sequence[str]
    ) -> BindingRow:
        """Raises as `bind` does."""
        await http_tools.lock(tx)
        before = await http_tools.binding(tx, flow, id)
        shown = present_binding(before)
        after = cast("pb.FlowTool", masks.masked(shown, wish, paths))
        fixed = [
            name for name in ("kind", "mode", "tool_id", "connector_id") if getattr(after, name) != getattr(shown, name)
        ]
        if fixed:
            raise InvalidRequest([FieldError(f"flow_tool.{name}", "can't be changed") for name in fixed])
        tool = await http_tools.get(tx, before.tool_id) if before.tool_id else None
        if tool is None:
            _refuse_of_tools(after)
        overrides = _overrides(after)
        await self._check(tx, flow, id, before.mode, tool, overrides)
        await http_tools.rebind(tx, id, overrides)
        await events.append(tx, who.org_id, flow, events_pb2.FlowToolsChangedEvent(by=who.name))
        return await http_tools.binding(tx, flow, id)

    async def unbind(self, tx: Tx, who: Principal, flow: UUID, id: UUID) -> None:
        """Raises NotFound."""
        await flows.get(tx, flow)
        await http_tools.unbind(tx, flow, id)
        await events.append(tx, who.org_id, flow, events_pb2.FlowToolsChangedEvent(by=who.name))

    async def _check(self, tx: Tx, flow: UUID, id: UUID, mode: str, tool: ToolRow | None, overrides: Overrides) -> None:
        """Whether a binding makes sense."""
        problems = [
            *rules.check_output("flow_tool.output_template", overrides.output_template),
            *rules.check_output("flow_tool.fallback_template", overrides.fallback_template),
        ]
        if tool is not None:
            used = tool if overrides.version is None else await http_tools.version(tx, tool.id, overrides.version)
            if used is None:
                problems.append(FieldError("flow_tool.version", "is not a version of this tool"))
            elif mode == "pre_call" and merged(used.definition, overrides).get("requires_approval"):
                problems.append(FieldError("flow_tool.requires_approval", "can't be: nobody can approve before a call"))
            problems += _problems_of_arguments(tool, overrides, mode)
        if problems:
            raise InvalidRequest(problems)
        if tool is None or mode != "in_call":
            return
        name = overrides.name or tool.name
        self._require_free(name)
        taken = [each for each in await http_tools.names(tx, None, flow) if each[1] == flow and each[0] != id]
        if any(other == name for _, __, other in taken):
            raise AlreadyExists(f"The flow has a tool {name!r} already.")


async def _require_apart(names: Sequence[tuple[UUID, UUID, str]], renamed: dict[UUID, str], tx: Tx, tool: UUID) -> None:
    """Raise AlreadyExists if a tool's new name is another tool's in a flow that binds both."""
    for binding, flow, _ in names:
        row = await http_tools.binding(tx, flow, binding)
        if row.tool_id != tool or row.overrides.name is not None:
            continue
        others = {other for each, of, other in names if of == flow and each != binding}
        if renamed[tool] in others:
            raise AlreadyExists(f"A flow that binds this tool has another one that is called {renamed[tool]!r}.")


async def _bound(tx: Tx, kind: str, mode: str, wish: pb.FlowTool) -> tuple[ToolRow | None, UUID | None]:
    """The tool or the connector that is bound."""
    wanted, other = ("tool_id", "connector_id") if kind == "http" else ("connector_id", "tool_id")
    if wish.HasField(other):  # type: ignore[arg-type]  # one of its fields
        raise InvalidRequest([FieldError(f"flow_tool.{other}", f"is not for the kind {kind}")])
    id = ids.parse(Kind.TOOL if kind == "http" else Kind.CRM_CONNECTOR, getattr(wish, wanted))
    try:
        if id is not None and kind == "http":
            return await http_tools.get(tx, id), None
        if id is not None:
            await crm.get(tx, id)
            if mode != "pre_call":
                raise InvalidRequest([FieldError("flow_tool.mode", "must be pre_call for a CRM connector")])
            _refuse_of_tools(wish)
            return None, id
    except NotFound:
        pass
    raise InvalidRequest([FieldError(f"flow_tool.{wanted}", "is not one of this organization's")])


def _refuse_of_tools(wish: pb.FlowTool) -> None:
    bad = [name for name in OF_TOOLS_ALONE if wish.HasField(name)]  # type: ignore[arg-type]  # its fields
    if bad:
        raise InvalidRequest([FieldError(f"flow_tool.{name}", "is not for a CRM connector") for name in bad])


def _problems_of_arguments(tool: ToolRow, overrides: Overrides, mode: str) -> list[FieldError]:
    """Fixed arguments must be some of the tool's; before a call they are all there are."""
    arguments = json.loads(overrides.arguments) if overrides.arguments else {}
    if not isinstance(arguments, dict):
        return [FieldError("flow_tool.arguments_json", "must be an object")]
    schema = rules.parameters(tool.definition, ())
    problems = [
        FieldError("flow_tool.arguments_json", f"the tool has no argument {name[:60]!r}")
        for name in arguments
        if name not in schema.get("properties", {})
    ]
    if mode == "pre_call":
        missing = [name for name in schema.get("required", ()) if name not in arguments]
        problems += [
            FieldError("flow_tool.arguments_json", f"must have {name[:60]!r}: nobody else gives it before a call")
            for name in missing
        ]
    return problems


def _overrides(wish: pb.FlowTool) -> Overrides:
    def own(name: str) -> Any:
        return getattr(wish, name) if wish.HasField(name) else None  # type: ignore[arg-type]  # a field

    return Overrides(
        enabled=wish.enabled if wish.HasField("enabled") else True,
        place=wish.position if wish.HasField("position") else DEFAULT_POSITION,
        version=own("version"),
        name=own("name"),
        description=own("description"),
        arguments=own("arguments_json"),
        output_template=own("output_template"),
        fallback_template=own("fallback_template"),
        timeout_ms=own("timeout_ms"),
        requires_approval=own("requires_approval"),
    )


# --- secrets ------------------------------------------------------------------------------------------------------


async def create_secret(tx: Tx, who: Principal, keyring: Keyring, wish: pb.ToolSecret, most: int) -> SecretRow:
    """Raises InvalidRequest, AlreadyExists, PlanLimit."""
    host = _host(wish.host)
    if wish.value == MASK:
        raise InvalidRequest([FieldError("tool_secret.value", "is what stands for a value; give the value")])
    await http_tools.lock(tx)
    if await http_tools.count_secrets(tx) >= most:
        raise PlanLimit(f"The organization has {most} secrets of tools, which is the limit.")
    if await http_tools.named_secrets(tx, [wish.name]):
        raise AlreadyExists(f"There is a secret {wish.name!r} already.")
    id = ids.new()
    await http_tools.create_secret(
        tx, id, wish.name, host, keyring.seal(wish.value.encode(), Place(TABLE, id, who.org_id))
    )
    return await http_tools.secret(tx, id)


async def change_secret(
    tx: Tx, who: Principal, keyring: Keyring, id: UUID, wish: pb.ToolSecret, paths: Sequence[str]
) -> SecretRow:
    """Raises NotFound, InvalidRequest."""
    await http_tools.lock(tx)
    before = await http_tools.secret(tx, id)
    after = cast("pb.ToolSecret", masks.masked(present_secret(before), wish, paths))
    problems = []
    if after.name != before.name:
        problems.append(FieldError("tool_secret.name", "can't be changed: tools name it"))
    host = _host(after.host)
    if not after.HasField("value") or after.value == MASK:
        # Whoever may change a host, but does not know the value, must not have it sent to a server of their own.
        problems.append(FieldError("tool_secret.value", "is needed: what was stored is never read back"))
    if problems:
        raise InvalidRequest(problems)
    await http_tools.change_secret(tx, id, host, keyring.seal(after.value.encode(), Place(TABLE, id, who.org_id)))
    return await http_tools.secret(tx, id)


async def delete_secret(tx: Tx, id: UUID) -> None:
    """Raises NotFound, InUse."""
    await http_tools.lock(tx)
    row = await http_tools.secret(tx, id)
    if (tool := await http_tools.written_by(tx, row.name)) is not None:
        raise InUse(f"The tool {tool!r} writes this secret into its requests; change it first.")
    await http_tools.delete_secret(tx, id)


def _host(text: str) -> str:
    """A host as it is compared.  Raises InvalidRequest."""
    try:
        target = egress.parse_url(f"https://{text}/")
    except Outside as error:
        raise InvalidRequest([FieldError("tool_secret.host", error.message)]) from error
    if target.host != text.lower().removesuffix("."):
        raise InvalidRequest(
            [FieldError("tool_secret.host", "must be a host and nothing else, for example api.example.com")]
        )
    return target.host


# --- as the contract shows them -----------------------------------------------------------------------------------


def definition_of(tool: pb.HttpTool) -> dict[str, Any]:
    """A tool's own fields, as storage keeps them: proto names, enums by name, free-form JSON as text."""
    bare = pb.HttpTool()
    bare.CopyFrom(tool)
    for name in READ_ONLY:
        bare.ClearField(name)  # type: ignore[arg-type]  # names of fields
    return json_format.MessageToDict(bare, preserving_proto_field_name=True)


def tool_of(definition: dict[str, Any]) -> pb.HttpTool:
    """The inverse of `definition_of`.  Fields of a later release are ignored."""
    return json_format.ParseDict(definition, pb.HttpTool(), ignore_unknown_fields=True)


def present_tool(row: ToolRow) -> pb.HttpTool:
    tool = tool_of(row.definition)
    tool.id, tool.version = ids.show(Kind.TOOL, row.id), row.version
    tool.created_at.FromDatetime(row.created_at)
    tool.updated_at.FromDatetime(row.updated_at)
    return tool


def present_binding(row: BindingRow) -> pb.FlowTool:
    own = row.overrides
    return pb.FlowTool(
        id=ids.show(Kind.FLOW_TOOL, row.id),
        flow_id=ids.show(Kind.FLOW, row.flow_id),
        kind=value(pb.FlowToolKind, row.kind),
        mode=value(pb.FlowToolMode, row.mode),
        tool_id=ids.show(Kind.TOOL, row.tool_id) if row.tool_id else None,
        connector_id=ids.show(Kind.CRM_CONNECTOR, row.connector_id) if row.connector_id else None,
        enabled=own.enabled,
        position=own.place,
        version=own.version,
        name=own.name,
        description=own.description,
        arguments_json=own.arguments,
        output_template=own.output_template,
        fallback_template=own.fallback_template,
        timeout_ms=own.timeout_ms,
        requires_approval=own.requires_approval,
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
