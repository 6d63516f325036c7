"""The AI's turns as clients see them."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from control.base.wire import timestamp, value
from control.usage.present import usage
from hum import ids
from hum.ids import Kind
from hum.v1 import calls_pb2
from hum.v1 import text_runs_pb2 as pb
from storage.text_runs import RunRow
from storage.usage import LineRow


def run(row: RunRow, used: Sequence[LineRow] = ()) -> pb.TextRun:
    end = row.end
    return pb.TextRun(
        id=ids.show(Kind.RUN, row.id),
        conversation_id=ids.show(Kind.CONVERSATION, row.conversation_id),
        status=value(pb.TextRunStatus, end.status),
        reason=end.reason,
        flow_id=ids.show(Kind.FLOW, row.flow_id) if row.flow_id else None,
        flow_version=row.flow_version,
        model=row.model,
        attempts=row.attempts,
        input_tokens=end.input_tokens,
        output_tokens=end.output_tokens,
        tool_activity=[_tool(call) for call in json.loads(end.tool_calls)],
        outcome=end.outcome,
        message_id=ids.show(Kind.MESSAGE, end.message_id) if end.message_id else None,
        created_at=timestamp(row.created_at),
        finished_at=timestamp(row.finished_at),
        usage=usage(used) if used else None,
    )


def _tool(stored: dict[str, Any]) -> calls_pb2.ToolActivity:
    return calls_pb2.ToolActivity(
        id=stored["id"],
        name=stored["name"],
        arguments=stored["arguments_json"],
        result=stored["result_json"],
        status=stored["status"],
        started_at=timestamp(datetime.fromisoformat(stored["started_at"])),
        duration_ms=stored["duration_ms"],
    )
