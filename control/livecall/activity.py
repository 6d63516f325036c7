"""What the tools of a call's agent did, as it was reported: stored, and appended to the call's own stream."""

from datetime import datetime
from uuid import UUID

from control.base.wire import moment
from control.executions import runner
from control.livecall.stream import append_event, decode, storable
from hum.v1 import calls_pb2
from storage import tool_runs
from storage.db import Tx
from storage.tool_runs import ToolReportRow


async def add(tx: Tx, org: UUID, call: UUID, activity: calls_pb2.ToolActivity, at: datetime) -> None:
    """Store the start or the end of a tool of a locked call, once.  Its secrets must have been removed."""
    if await tool_runs.report(tx, org, call, _row(activity)):
        member = "tool_started" if activity.status == "running" else "tool_finished"
        await append_event(tx, call, at, **{member: activity})


async def end_lost(tx: Tx, call: UUID, at: datetime) -> None:
    """End the running tools of a locked call as `lost`."""
    for tool in await tool_runs.end_orphaned(tx, call, at):
        await append_event(tx, call, at, tool_finished=decode(tool, calls_pb2.ToolActivity()))


def _row(activity: calls_pb2.ToolActivity) -> ToolReportRow:
    clean = storable(activity)
    return ToolReportRow(
        # As the execution's row has them.
        tool_call_id=runner.name_of(activity.id),
        name=runner.name_of(activity.name),
        at=moment(activity.started_at),
        status=activity.status,
        duration_ms=activity.duration_ms if activity.HasField("duration_ms") else None,
        arguments=clean.arguments or None,
        result=clean.result or None,
    )
