"""Tasks that a call's model leaves to us: the model of texts does them with the call's tools, and writes what is to be said.

A task has no text of its own: the turns of the call, as they were heard, are its text, and with them what the tools did before.
It is itself a tool, `delegate`, so that it is run once, has its time, and is answered whatever happens; the tools that it uses
have rows of their own.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from control.calls.session import Sessions
from control.calls.tools import END_CALL
from control.clients.openai import ModelError
from control.executions import runner
from control.executions.dialogue import Dialogue, Item, Work
from control.executions.runner import NOT_RECORDED, ToolRequest
from control.livecall import activity
from control.tools import DELEGATE, HANGS_UP, AgentTool, Result, Schema, ToolChannel, ToolContext, failed
from control.usage import otherentries as usage
from hum import rpc
from hum.clock import monotonic_ms, now
from hum.contract.errors import NotFound
from hum.json.storable import dumped
from hum.observe.logs import log
from hum.v1 import calls_pb2
from hum.v1.runtime_pb2 import RECORDING_SWITCH_UNSPECIFIED
from storage import calls, tool_runs
from storage.db import BUSY, UNAVAILABLE, Db
from storage.tool_runs import ActivityRow
from storage.usage import Owner

LOG = log(__name__)
#: Milliseconds for a task; then the caller gets an apology.
TASK_MS = 20_000
#: Tools that are used for one task, and tokens that the model may write in one step of it.
TASK_TOOL_CALLS, TASK_TOKENS = 8, 2_000
#: Attempts at the model after a tool has acted: a retry goes on after the tool.
TASK_ATTEMPTS = 2
#: Earlier runs of tools in this call that a task is told.
MOST_EARLIER = 30
MOST_TURNS, MOST_TURN_CHARS = 100, 4_000
#: As the turns' roles stand in a task, and as the model of texts knows them.
ROLES: Mapping[str, str] = {"caller": "user", "agent": "assistant", "system": "developer"}
PARAMETERS: Schema = {
    "type": "object",
    "properties": {
        "turns": {
            "type": "array",
            "maxItems": MOST_TURNS,
            "items": {
                "type": "object",
                "properties": {
                    "role": {"enum": list(ROLES)},
                    "text": {"type": "string", "maxLength": MOST_TURN_CHARS},
                },
                "required": ["role", "text"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["turns"],
    "additionalProperties": False,
}
BEFORE = "For an earlier task of this call you wrote this for the voice to say: "
NOW = "The voice has left a task to you now. Do what the caller's last wish needs, and write what the voice is to say."
NOT_DONE = "This can't be done at the moment; nothing was done."
UNKNOWN = "This can't be finished at the moment. It is not known whether all of it was done."


@dataclass(slots=True, kw_only=True)
class TaskWork(Work):
    """The state of a task."""

    call: UUID
    #: The row of the task.
    task: UUID
    #: Nothing of what the tools do may be kept.
    off_record: bool
    #: What moves the call on once the voice has spoken, if a tool asks for it.
    sequel: Result | None = None

    @property
    def most_tool_calls(self) -> int:
        return TASK_TOOL_CALLS

    @property
    def is_over(self) -> bool:
        return self.sequel is not None

    def context(self) -> ToolContext:
        return ToolContext(self.organization, self.situation, call_id=self.call)

    def result(self, words: str) -> Result:
        """Return the task's result, of which the voice says the words."""
        sequel = self.sequel
        if sequel is None:
            return Result({"say": words})
        return replace(sequel, output={"say": words} if words or sequel.leaves == HANGS_UP else sequel.output)


class TaskDialogue(Dialogue[TaskWork]):
    channel = ToolChannel.CALL

    def _offered(self, work: TaskWork) -> list[tuple[AgentTool, Schema]]:
        """Leave out what pauses the recording: by the time that a task has told so, the secret was said."""
        offered = super()._offered(work)
        return [each for each in offered if each[0].recording == RECORDING_SWITCH_UNSPECIFIED]

    async def _result(self, work: TaskWork, request: ToolRequest) -> Result:
        if request.name == END_CALL.name and any(tool is END_CALL for tool, _ in self._offered(work)):
            return Result({"ends": True}, leaves=HANGS_UP)
        recorded = replace(request, id=f"{work.task}/{request.id}", off_record=work.off_record)
        # To its end also when the task's time is over: its row tells what became of it.
        return await rpc.run_to_completion(self._run_and_report(work, recorded))

    async def _run_and_report(self, work: TaskWork, request: ToolRequest) -> Result:
        at, began_ms = Timestamp(), monotonic_ms()
        at.FromDatetime(now())
        shown = NOT_RECORDED if work.off_record else request.arguments_json
        started = calls_pb2.ToolActivity(
            id=request.id, name=request.name, arguments=shown, status="running", started_at=at
        )
        await self._report(work, started)
        result = await super()._result(work, request)
        finished = calls_pb2.ToolActivity()
        finished.CopyFrom(started)
        finished.status = "ok" if result.ok else "failed"
        finished.result = NOT_RECORDED if work.off_record else dumped(result.output)
        finished.duration_ms = round(monotonic_ms() - began_ms)
        await self._report(work, finished)
        return result

    async def _report(self, work: TaskWork, tool: calls_pb2.ToolActivity) -> None:
        """Show a tool's start or end in the call's record, as the media process does for tools that the call's own model uses."""
        shown = await runner.without_secrets(tool)
        try:
            async with self._db.system() as tx:
                await calls.lock(tx, work.call)
                await activity.add(tx, work.organization, work.call, shown, now())
        except (*UNAVAILABLE, *BUSY, NotFound) as error:
            LOG.warning("could not show a task's tool", call=str(work.call), error=repr(error)[:200])

    async def _follow(self, work: TaskWork, name: str, result: Result) -> None:  # noqa: ARG002
        if result.leaves or result.switches_to or result.digits:
            work.sequel = result


class TaskDelegation:
    """The tool `delegate`."""

    def __init__(self, db: Db, dialogue: TaskDialogue, sessions: Sessions) -> None:
        self._db, self._dialogue, self._sessions = db, dialogue, sessions

    def tool(self) -> AgentTool:
        return AgentTool(
            name=DELEGATE,
            description="Leave what the caller wants to be done to somebody who can do it; `turns` is the conversation.",
            parameters=lambda _: PARAMETERS,
            run=self._run,
            channels=frozenset({ToolChannel.LIVE_CALL}),
            timeout_ms=TASK_MS,
        )

    async def _run(self, context: ToolContext, arguments: Mapping[str, Any]) -> Result:
        work = await self._work(context, arguments["turns"])
        try:
            words = await self._dialogue.insisting(work, self._dialogue.words, TASK_ATTEMPTS)
            return work.result(words)
        except ModelError as error:
            LOG.warning("the model failed on a task", call=str(context.call), error=repr(error)[:300])
            return failed(UNKNOWN if work.has_acted else NOT_DONE)
        finally:  # also if its time is over
            await rpc.run_to_completion(self._record_usage(context, work))

    async def _work(self, context: ToolContext, turns: Sequence[Mapping[str, str]]) -> TaskWork:
        async with self._db.tenant(context.organization) as tx:
            earlier = await tool_runs.of_call(tx, context.call, MOST_EARLIER)
        instructed = await self._sessions.task_instructions(context.call)
        items = [item for row in earlier for item in _earlier_items(row)]
        items += [{"role": ROLES[turn["role"]], "content": turn["text"]} for turn in turns if turn["text"]]
        assert context.execution is not None, "a task has a row"
        return TaskWork(
            organization=context.organization,
            situation=context.situation,
            instruct=lambda _: instructed,
            items=[*items, {"role": "developer", "content": NOW}],
            call=context.call,
            task=context.execution,
            off_record=context.off_record,
        )

    async def _record_usage(self, context: ToolContext, work: TaskWork) -> None:
        flow = context.situation.flow
        owner = Owner(context.organization, context.call, flow.id if flow else None)
        try:
            async with self._db.tenant(context.organization) as tx:
                await usage.record_task(tx, owner, work.spent)
        except (*UNAVAILABLE, *BUSY) as error:
            LOG.warning("could not record the usage of a task", call=str(context.call), error=repr(error)[:200])


def _earlier_items(row: ActivityRow) -> list[Item]:
    """Return what a run of a tool tells a later task: the words that a task has led to, or the tool's arguments and result."""
    output = row.output or dumped({"error": "It is not known whether this was done."})
    if row.name == DELEGATE:
        answer = json.loads(output)
        words = answer.get("say") if isinstance(answer, dict) else None
        return [{"role": "developer", "content": BEFORE + words}] if words else []
    call = {"type": "function_call", "call_id": row.tool_call_id, "name": row.name, "arguments": row.arguments}
    return [call, {"type": "function_call_output", "call_id": row.tool_call_id, "output": output}]
