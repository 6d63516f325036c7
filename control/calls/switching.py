"""The tool with which an agent hands its call over to another flow's agent, on the same stream."""

from collections.abc import Mapping
from typing import Any

from control.calls import calllimits
from control.flows.flowchecks import colleagues
from control.tools import (
    AgentTool,
    FlowVersion,
    Result,
    Schema,
    Situation,
    ToolChannel,
    ToolContext,
    ToolUnavailable,
    failed,
)
from hum import ids
from hum.contract.errors import NotFound
from hum.ids import Kind
from storage import flow_switches, flows
from storage.db import Db


def transfer_to_flow(db: Db, timeout_ms: int) -> AgentTool:
    """Return the tool that hands the call over to a colleague, another flow of the organization."""

    async def run(context: ToolContext, arguments: Mapping[str, Any]) -> Result:
        async with db.tenant(context.organization) as tx:
            if await flow_switches.count(tx, context.call) >= calllimits.MAX_FLOW_SWITCHES:
                return failed("This call was handed over too often already. Go on with it yourself.")
            try:
                flow = await flows.get(
                    tx, ids.require(Kind.FLOW, colleagues(context.situation.definition)[arguments["target"]])
                )
            except NotFound:
                return failed("There is no such colleague any more. Go on with the call yourself.")
        if flow.channel != "voice":
            return failed("This colleague takes no calls. Go on with the call yourself.")
        return Result({"handed_over": True}, switches_to=FlowVersion(flow.id, flow.version))

    return AgentTool(
        name="transfer_to_flow",
        description="Hand the call to a colleague, who knows what was said so far. Tell the caller in the same answer, "
        "before you call this.",
        parameters=_parameters,
        run=run,
        channels=frozenset({ToolChannel.CALL}),
        timeout_ms=timeout_ms,
    )


def _parameters(situation: Situation) -> Schema | ToolUnavailable:
    labels = list(colleagues(situation.definition))
    if not labels:
        return ToolUnavailable("the agent's `transfer_map_json` names no flow")
    return {
        "type": "object",
        "properties": {"target": {"type": "string", "enum": labels}},
        "required": ["target"],
        "additionalProperties": False,
    }
