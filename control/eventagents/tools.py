"""The built-in tool of agents for events."""

from collections.abc import Mapping
from typing import Any

from control.flows.flowchecks import outcome_schema
from control.tools import AgentTool, Result, ToolChannel, ToolContext, ToolUnavailable
from hum.json.storable import dumped
from storage import event_runs
from storage.db import Tx

NO_OUTCOME = ToolUnavailable("the agent has no `outcome_schema_json`")


def report_outcome(timeout_ms: int) -> AgentTool:
    async def run(context: ToolContext, arguments: Mapping[str, Any]) -> Result:
        event_run, outcome = context.event_run, dumped(arguments)
        assert event_run is not None, "the tool is offered to runs for events only"

        async def report(tx: Tx) -> None:
            await event_runs.set_outcome(tx, event_run, outcome)

        return Result({"recorded": True}, at_end=report)

    return AgentTool(
        "report_outcome",
        "Report what came of this event, once you know it. Report again if it changes.",
        lambda situation: outcome_schema(situation.definition) or NO_OUTCOME,
        run,
        frozenset({ToolChannel.EVENT}),
        timeout_ms,
    )
