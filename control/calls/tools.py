"""The tools that every call's agent has, and running each tool call once."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from control.calls import rules
from control.flows.stored import usable
from control.tools import Definition, Registry, Result, Schema, Tool, ToolChannel, ToolContext, dumped, failed
from hum import ids
from hum.ids import Kind
from hum.v1 import events_pb2
from hum.v1 import runtime_pb2 as pb
from storage import call_records, calls, events, tool_runs
from storage.db import Db

NOTHING: Schema = {"type": "object", "properties": {}, "additionalProperties": False}
END_CALL = Tool(
    name="end_call",
    description="Hang up. Say goodbye first: the call ends once your last words were heard.",
    parameters=lambda _: NOTHING,
    run=None,
    channels=frozenset({ToolChannel.CALL}),
    timeout_ms=0,
)
POLL_SECONDS = 0.1
MAX_ID_CHARS = 200
NO_SUCH_TOOL = "There is no such tool."


def report_outcome(db: Db, timeout_ms: int) -> Tool:
    """The agent reports the call's outcome, by the flow's own schema."""

    async def run(context: ToolContext, arguments: Mapping[str, Any]) -> Result:
        async with db.tenant(context.organization) as tx:
            await calls.lock(tx, context.call)
            outcome = dumped(arguments)
            await call_records.set_outcome(tx, context.call, outcome)
            reported = events_pb2.CallOutcomeEvent(
                call_id=ids.show(Kind.CALL, context.call), outcome_json=outcome, source="agent"
            )
            await events.append(tx, context.organization, context.call, reported)
        return Result({"recorded": True})

    return Tool(
        name="report_outcome",
        description="Report what came of this conversation, once you know it. Report again if it changes.",
        parameters=_outcome_schema,
        run=run,
        channels=frozenset({ToolChannel.CALL}),
        timeout_ms=timeout_ms,
    )


def _outcome_schema(definition: Definition) -> Schema | None:
    stored = definition.get("outcome_schema_json")
    return json.loads(stored) if stored else None


class CallTools:
    """Runs the tools of calls, each once: a repeated request gets the first run's result."""

    def __init__(self, db: Db, registry: Registry, patience_seconds: float) -> None:
        self._db, self._registry, self._patience_seconds = db, registry, patience_seconds

    async def run(self, request: pb.RunTool) -> pb.ToolResult:
        """Run a tool.  A bad request gets a failed result, not an exception.  Raises AWAY, BUSY."""
        result = await self._result(request)
        return pb.ToolResult(
            call_id=request.call_id,
            tool_call_id=request.tool_call_id,
            output_json=dumped(result.output),
            status="ok" if result.ok else "failed",
        )

    async def _result(self, request: pb.RunTool) -> Result:
        id = ids.parse(Kind.CALL, request.call_id)
        if id is None or len(request.tool_call_id) > MAX_ID_CHARS or len(request.name) > MAX_ID_CHARS:
            return failed(NO_SUCH_TOOL)
        async with self._db.system() as tx:
            row = await calls.session(tx, id)
            if row is None:
                return failed(NO_SUCH_TOOL)
            others = await tool_runs.count(tx, id, request.name, request.tool_call_id)
            if others.total >= rules.MAX_TOOL_RUNS or others.failed >= rules.MAX_TOOL_FAILURES:
                return failed("Do not call this tool again in this conversation.")
            begun = await tool_runs.begin(tx, row.org_id, id, request.tool_call_id, request.name)
        if not begun:
            return await self._of_other_run(request, id)
        context = ToolContext(row.org_id, id, usable(row.definition))
        result = await self._registry.run(ToolChannel.CALL, request.name, request.arguments_json, context)
        async with self._db.system() as tx:
            await tool_runs.finish(tx, id, request.tool_call_id, ok=result.ok, output=dumped(result.output))
        return result

    async def _of_other_run(self, request: pb.RunTool, id: UUID) -> Result:
        """The result of the run that began before this request; waits at most `patience_seconds` for it."""
        try:
            async with asyncio.timeout(self._patience_seconds):
                while True:
                    async with self._db.system() as tx:
                        run = await tool_runs.get(tx, id, request.tool_call_id)
                    if run.output is not None:
                        return Result(json.loads(run.output), ok=run.status == "ok")
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            return failed("It is not known whether this was done.")
