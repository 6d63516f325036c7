"""A call's events in the outbox (proto/hum/v1/events.proto)."""

from datetime import datetime
from typing import Any

from control.base.wire import timestamp, value
from hum import ids
from hum.ids import Kind
from hum.v1 import calls_pb2, events_pb2
from storage import calls, events
from storage.calls import CallStateRow
from storage.db import Tx


async def started(tx: Tx, state: CallStateRow, at: datetime) -> None:
    """Append `call.started` to the outbox."""
    event = events_pb2.CallStartedEvent(**await _leg(tx, state), started_at=timestamp(at))
    await events.append(tx, state.org_id, state.id, event, at=at)


async def completed(
    tx: Tx, state: CallStateRow, status: str, at: datetime, reason: str, lasted_seconds: int | None
) -> None:
    """Append `call.completed` to the outbox."""
    event = events_pb2.CallCompletedEvent(
        **await _leg(tx, state),
        status=value(calls_pb2.CallStatus, status),
        reason=reason,
        started_at=timestamp(state.answered_at),
        ended_at=timestamp(at),
        duration_seconds=lasted_seconds,
    )
    await events.append(tx, state.org_id, state.id, event, at=at)


async def corrected(tx: Tx, state: CallStateRow, status: str, reason: str) -> None:
    """Append `call.corrected` to the outbox."""
    event = events_pb2.CallCorrectedEvent(
        call_id=ids.show(Kind.CALL, state.id), status=value(calls_pb2.CallStatus, status), reason=reason
    )
    await events.append(tx, state.org_id, state.id, event)


async def flow_switched(tx: Tx, state: CallStateRow, switched: calls_pb2.FlowSwitched, at: datetime) -> None:
    """Append `call.flow_switched` to the outbox."""
    event = events_pb2.CallFlowSwitchedEvent(
        call_id=ids.show(Kind.CALL, state.id), flow_id=switched.flow_id, flow_version=switched.flow_version
    )
    await events.append(tx, state.org_id, state.id, event, at=at)


async def _leg(tx: Tx, state: CallStateRow) -> dict[str, Any]:
    leg = await calls.leg(tx, state.id)
    return {
        "call_id": ids.show(Kind.CALL, state.id),
        "direction": value(calls_pb2.CallDirection, leg.direction),
        "from_e164": leg.from_e164,
        "to_e164": leg.to_e164,
        "number_id": ids.show(Kind.NUMBER, leg.number_id) if leg.number_id else None,
        "flow_id": ids.show(Kind.FLOW, leg.flow_id) if leg.flow_id else None,
        "flow_version": leg.flow_version,
        "contact_id": ids.show(Kind.CONTACT, leg.contact_id) if leg.contact_id else None,
    }
