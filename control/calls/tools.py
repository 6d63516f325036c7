"""The tools of calls' agents."""

from collections.abc import Mapping
from typing import Any

from control.flows.flowchecks import outcome_schema
from control.tools import AgentTool, Result, Schema, Situation, ToolChannel, ToolContext, ToolUnavailable, failed
from hum import ids
from hum.ids import Kind
from hum.json.storable import dumped
from hum.v1 import events_pb2, flows_pb2
from hum.v1 import runtime_pb2 as pb
from storage import call_records, calls, events
from storage.db import Db

NOTHING: Schema = {"type": "object", "properties": {}, "additionalProperties": False}
END_CALL = AgentTool(
    name="end_call",
    description="Hang up. Say goodbye first: the call ends once your last words were heard.",
    parameters=lambda _: NOTHING,
    run=None,
    channels=frozenset({ToolChannel.CALL}),
    timeout_ms=0,
)
#: The keys that can be pressed, and how many at once: no menu asks for more.
KEYS, MAX_KEYS = frozenset("0123456789ABCD*#w"), 32
DIGITS: Schema = {
    "type": "object",
    "properties": {"digits": {"type": "string", "minLength": 1, "maxLength": MAX_KEYS}},
    "required": ["digits"],
    "additionalProperties": False,
}
#: As stored in a flow's definition.
OUTBOUND = flows_pb2.FlowKind.Name(flows_pb2.FLOW_KIND_OUTBOUND)


NO_OUTCOME = ToolUnavailable("the agent has no `outcome_schema_json`")


def _if_recorded(situation: Situation) -> Schema | ToolUnavailable:
    definition = situation.definition
    if definition.get("recording_enabled") or definition.get("recording_rules_json"):
        return NOTHING
    return ToolUnavailable("the agent's calls are not recorded (`recording_enabled`, `recording_rules_json`)")


PAUSE_RECORDING = AgentTool(
    name="pause_recording",
    description="Pause the recording and the transcript, before the caller tells something that must not be stored, such as a "
    "card number or a password.",
    parameters=_if_recorded,
    run=None,
    channels=frozenset({ToolChannel.CALL}),
    timeout_ms=0,
    recording=pb.RECORDING_SWITCH_PAUSE,
)
RESUME_RECORDING = AgentTool(
    name="resume_recording",
    description="Resume the recording and the transcript, once nothing secret is said any more.",
    parameters=_if_recorded,
    run=None,
    channels=frozenset({ToolChannel.CALL}),
    timeout_ms=0,
    recording=pb.RECORDING_SWITCH_RESUME,
)


def report_outcome(db: Db, timeout_ms: int) -> AgentTool:
    """Return the tool with which the agent reports the call's outcome, by the flow's own schema."""

    async def run(context: ToolContext, arguments: Mapping[str, Any]) -> Result:
        async with db.tenant(context.organization) as tx:
            await calls.lock(tx, context.call)
            outcome = dumped(arguments)
            await call_records.set_outcome(tx, context.call, outcome)
            event = events_pb2.CallOutcomeEvent(
                call_id=ids.show(Kind.CALL, context.call), outcome_json=outcome, source="agent"
            )
            await events.append(tx, context.organization, context.call, event)
        return Result({"recorded": True})

    return AgentTool(
        name="report_outcome",
        description="Report what came of this conversation, once you know it. Report again if it changes.",
        parameters=lambda situation: outcome_schema(situation.definition) or NO_OUTCOME,
        run=run,
        channels=frozenset({ToolChannel.CALL}),
        timeout_ms=timeout_ms,
    )


async def _press(_: ToolContext, arguments: Mapping[str, Any]) -> Result:
    digits: str = arguments["digits"]
    if set(digits) - KEYS:
        return failed("Only 0-9, A-D, * and # can be pressed; w waits half a second.")
    return Result({"pressed": digits}, digits=digits)


def send_digits(timeout_ms: int) -> AgentTool:
    """Return the tool with which the agent of an outbound call presses keys in a menu."""
    return AgentTool(
        name="send_digits",
        description="Press keys when a menu asks for them, for example 2 or 4711#; w waits half a second. Then listen, and "
        "say nothing until you are spoken to.",
        parameters=lambda situation: (
            DIGITS
            if situation.definition.get("kind") == OUTBOUND
            else ToolUnavailable("only agents of `kind` outbound have it")
        ),
        run=_press,
        channels=frozenset({ToolChannel.CALL}),
        timeout_ms=timeout_ms,
    )
