"""HTTP tools for agents: a flow's bindings as tools of the registry."""

import hashlib
import json
from collections.abc import Mapping
from functools import partial
from typing import Any
from uuid import UUID

from control.httptools import toolrequest
from control.httptools.requestsender import Requests
from control.tools import EVERYWHERE, AgentTool, Origin, Result, Schema, Situation, ToolContext, ToolPolicy
from hum import ids
from hum.ids import Kind
from storage import http_tools
from storage.db import Tx
from storage.http_tools import ActiveBindingRow, Overrides

#: The tool's fields that a binding may override.
OVERRIDDEN = ("name", "description", "output_template", "fallback_template", "timeout_ms", "requires_approval")


class BoundTools:
    def __init__(self, requests: Requests) -> None:
        self._requests = requests

    async def of_flow(self, tx: Tx, organization: UUID, flow: UUID) -> list[AgentTool]:
        """Return the tools that a flow binds: a source of the registry."""
        rows = await http_tools.in_use(tx, organization, flow, "in_call")
        return [self._tool(row) for row in rows if row.definition is not None]

    def _tool(self, used: ActiveBindingRow) -> AgentTool:
        definition, fixed = bound(used), fixed_arguments(used.binding.overrides)
        timeout_ms = definition.get("timeout_ms", toolrequest.DEFAULT_TIMEOUT_MS)
        schema = toolrequest.parameters(definition, fixed)

        def parameters(_: Situation) -> Schema:
            return schema

        return AgentTool(
            name=used.name,
            description=definition["description"],
            parameters=parameters,
            run=partial(self._run, definition, fixed, timeout_ms),
            channels=EVERYWHERE,
            timeout_ms=timeout_ms + toolrequest.GRACE_MS,
            policy=_policy(definition),
            origin=Origin("http", used.binding.tool_id, used.version, _fingerprint(definition, fixed)),
            fixed=fixed,
        )

    async def _run(
        self,
        definition: Mapping[str, Any],
        fixed: Mapping[str, Any],
        timeout_ms: int,
        context: ToolContext,
        arguments: Mapping[str, Any],
    ) -> Result:
        key = ids.show(Kind.TOOL_EXECUTION, context.execution or ids.new())
        values = values_of(context, {**arguments, **fixed})
        exchange = await self._requests.send(context.organization, definition, values, key, timeout_ms)
        return Result(exchange.outcome.output, exchange.outcome.ok)


def _policy(definition: Mapping[str, Any]) -> ToolPolicy:
    if definition.get("requires_approval"):
        return ToolPolicy.APPROVAL
    return ToolPolicy.READS if definition.get("method", "GET") in toolrequest.SAFE else ToolPolicy.ALLOWED


def _fingerprint(*parts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def bound(used: ActiveBindingRow) -> dict[str, Any]:
    """Return a tool's definition with its binding's overrides."""
    return merged(used.definition or {}, used.binding.overrides)


def merged(definition: Mapping[str, Any], overrides: Overrides) -> dict[str, Any]:
    return toolrequest.merged(definition, {name: getattr(overrides, name) for name in OVERRIDDEN})


def fixed_arguments(overrides: Overrides) -> Mapping[str, Any]:
    arguments: Mapping[str, Any] = json.loads(overrides.arguments) if overrides.arguments else {}
    return arguments


def values_of(context: ToolContext, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values for templates.  Only `args` is the model's; the caller's number comes from the carrier."""
    situation, turn = context.situation, context.turn
    call = {
        "id": ids.show(Kind.CALL, context.call_id) if context.call_id else None,
        "direction": situation.direction,
        "from_e164": situation.from_e164,
        "to_e164": situation.to_e164,
    }
    conversation = {"id": ids.show(Kind.CONVERSATION, turn.conversation)} if turn else {}
    return {
        "args": dict(arguments),
        "caller": {"phone_e164": situation.contact_e164 or None},
        "call": call if context.call_id else {},
        "conversation": conversation,
    }
