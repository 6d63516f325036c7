"""Runs of the tools that agents call, each tool call once."""

import asyncio
import json
from collections.abc import Callable
from contextlib import ExitStack
from uuid import UUID

from control.base.fairshare import SharedPlaces
from control.calls import calllimits
from control.calls.session import Sessions
from control.calls.situation import situation_of
from control.executions import decisions
from control.executions.runner import Executions, ToolRequest
from control.tools import DELEGATE, HANGS_UP, FlowVersion, Registry, Result, ToolChannel, ToolContext, failed
from hum import ids
from hum.clock import now
from hum.contract.errors import NotFound
from hum.ids import Kind
from hum.json.storable import dumped
from hum.v1 import runtime_pb2 as pb
from storage import approvals, call_agents, tool_runs
from storage.db import Db
from storage.tool_runs import ToolRunRow

#: Tools of a link that run at once; one organization's are about half of those that the others leave.
MAX_TOOLS = 200
POLL_SECONDS = 0.1
MAX_ID_CHARS = 200
NO_SUCH_TOOL = "There is no such tool."
BUSY_ORGANIZATION = "This can't be done at the moment."
CALL_HAS_ENDED = "The call has ended."


class ToolRuns:
    """The runs of the tools of calls, one for each tool call: a repeated request gets the first run's result."""

    def __init__(
        self, db: Db, registry: Registry, sessions: Sessions, wait_seconds: float, places: int = MAX_TOOLS
    ) -> None:
        self._db, self._registry, self._sessions, self._wait_seconds = db, registry, sessions, wait_seconds
        self._executions, self._places = Executions(db, registry), SharedPlaces(places)

    def of_link(self, places: int = MAX_TOOLS) -> "ToolRuns":
        """Return the same with places for tools of a link's own."""
        return ToolRuns(self._db, self._registry, self._sessions, self._wait_seconds, places)

    async def run(self, request: pb.RunTool) -> pb.ToolResult:
        """Run a tool in one of the places.  A bad request gets a failed result, not an exception.  Raises UNAVAILABLE, BUSY."""
        with ExitStack() as taken:
            result = await self._result(request, lambda org: taken.enter_context(self._places.place(org)))
        return pb.ToolResult(
            call_id=request.call_id,
            tool_call_id=request.tool_call_id,
            output_json=dumped(result.output),
            status="ok" if result.ok else "failed",
            outcome=await self._outcome(request.call_id, result),
        )

    async def successor(self, call_id: str, switch: pb.SwitchFlow) -> pb.SwitchFlow:
        """Return the agent of the flow that a flow switch names by id and version.  Raises NotFound."""
        flow = FlowVersion(ids.require(Kind.FLOW, switch.flow_id), switch.flow_version)
        return await self._sessions.of_flow(ids.require(Kind.CALL, call_id), flow)

    async def caller_context(self, call_id: str) -> str:
        """Return the current caller context for a call's agent.  Raises NotFound."""
        return await self._sessions.caller_context(ids.require(Kind.CALL, call_id))

    async def approval_outcome(self, call_id: str, approval_id: str) -> str:
        """Return the outcome of an approval, as a text for the call's agent.  Raises NotFound."""
        async with self._db.system() as tx:
            row = await approvals.get(tx, ids.require(Kind.APPROVAL, approval_id))
        if row.subject.call_id != ids.require(Kind.CALL, call_id):
            raise NotFound("The call has no such approval.")
        return decisions.outcome(row)

    async def _outcome(self, call_id: str, result: Result) -> pb.Outcome | None:
        if result.leaves == HANGS_UP:
            return pb.Outcome(hang_up=pb.HangUpNow())
        if result.leaves:
            return pb.Outcome(leave=pb.LeaveStream(reason=result.leaves))
        if result.switches_to:
            return pb.Outcome(switch=await self._sessions.of_flow(ids.require(Kind.CALL, call_id), result.switches_to))
        return pb.Outcome(send_digits=pb.SendDigits(digits=result.digits)) if result.digits else None

    async def _result(self, request: pb.RunTool, has_place: Callable[[UUID], bool]) -> Result:
        id = ids.parse(Kind.CALL, request.call_id)
        if id is None or len(request.tool_call_id) > MAX_ID_CHARS or len(request.name) > MAX_ID_CHARS:
            return failed(NO_SUCH_TOOL)
        async with self._db.system() as tx:
            row = await call_agents.session(tx, id)
            if row is None:
                return failed(NO_SUCH_TOOL)
            if not has_place(row.org_id):
                return failed(BUSY_ORGANIZATION)
            others = await tool_runs.count(tx, id, request.name, request.tool_call_id)
            # A stream may outlast its call's record, as that of a browser's caller who has lost their rights.
            if row.has_ended and not others.is_repeated:
                return failed(CALL_HAS_ENDED)
            if others.total >= calllimits.MAX_TOOL_RUNS or others.failed >= calllimits.MAX_TOOL_FAILURES:
                return failed("Do not call this tool again in this conversation.")
            own_tools = await self._registry.own_tools(tx, row.org_id, row.flow_id)
            situation = situation_of(row, now(), own_tools)
            context = ToolContext(row.org_id, situation, call_id=id, off_record=request.off_record)
            is_task = request.name == DELEGATE
            tool_call = ToolRequest(
                request.tool_call_id,
                request.name,
                request.arguments_json,
                off_record=request.off_record,
                # The call's transcript has the turns that a task is told.
                recorded_json="{}" if is_task else None,
            )
            channel = ToolChannel.LIVE_CALL if is_task else ToolChannel.CALL
            execution = await self._executions.begin(tx, channel, tool_call, context)
        if execution is None:
            return await self._await_other_run(request, id)
        return await self._executions.carry_out(channel, tool_call, execution)

    async def _await_other_run(self, request: pb.RunTool, id: UUID) -> Result:
        """Return the result of the run that began before this request; wait at most `wait_seconds` for it."""
        try:
            async with asyncio.timeout(self._wait_seconds):
                while True:
                    async with self._db.system() as tx:
                        run = await tool_runs.get(tx, id, request.tool_call_id)
                    if run.output is not None:
                        return _result(run)
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            return failed("It is not known whether this was done.")


def _result(run: ToolRunRow) -> Result:
    """Return the result of a run that is over."""
    flow = FlowVersion(run.switches_to, run.switches_to_version or 0) if run.switches_to else None
    return Result(json.loads(run.output or "null"), run.status == "ok", run.leaves, flow, run.digits)
