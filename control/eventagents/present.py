"""Runs in the form that clients see."""

from collections.abc import Sequence

from control.base.wire import timestamp, value
from control.usage.present import usage
from hum import ids
from hum.ids import Kind
from hum.v1 import event_runs_pb2 as pb
from storage.event_runs import EventRunRow
from storage.usage import LineRow


def run(row: EventRunRow, used: Sequence[LineRow] = ()) -> pb.EventRun:
    return pb.EventRun(
        id=ids.show(Kind.RUN, row.id),
        flow_id=ids.show(Kind.FLOW, row.flow_id),
        flow_version=row.flow_version,
        event_id=ids.show(Kind.EVENT, row.event_id),
        event_type=row.event_type,
        depth=row.depth,
        caused_by_run_id=ids.show(Kind.RUN, row.caused_by) if row.caused_by else None,
        status=value(pb.EventRunStatus, row.status),
        reason=row.reason,
        model=row.model,
        attempts=row.attempts,
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        result=row.result,
        outcome=row.outcome,
        created_at=timestamp(row.created_at),
        finished_at=timestamp(row.finished_at),
        usage=usage(used) if used else None,
    )
