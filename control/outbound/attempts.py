"""The progress of an attempt: the carrier's statuses, from any source, in any order, once or more.

Webhooks name the attempt, so its `call_sid` is known even if the answer to the request was lost.
"""

from datetime import datetime
from uuid import UUID

from control.calls.ending import end_call, over_at_carrier
from control.livecall.stream import append_event
from control.outbound import dialdecision
from hum import ids
from hum.contract.errors import NotFound
from hum.ids import Kind
from hum.observe.logs import log
from hum.v1 import calls_pb2
from storage import calls, outbound
from storage.calls import CallStateRow
from storage.db import Tx
from storage.outbound import CallAttemptRow

LOG = log(__name__)


async def lock(tx: Tx, id: UUID) -> tuple[CallStateRow, CallAttemptRow]:
    """Lock an attempt by locking its call.  Raises NotFound."""
    call = await calls.lock(tx, (await outbound.attempt(tx, id)).call_id)
    return call, await outbound.attempt(tx, id)


async def of_webhook(tx: Tx, name: str, call_sid: str, to_e164: str | None) -> tuple[CallStateRow, CallAttemptRow]:
    """Lock the attempt of a webhook, and store its `call_sid`.

    Raises NotFound, also if the webhook does not match the attempt: then the carrier did not send it.
    """
    call, attempt = await lock(tx, ids.require(Kind.ATTEMPT, name))
    if attempt.call_sid not in {None, call_sid} or to_e164 not in {None, attempt.to_e164}:
        LOG.warning("a webhook does not match its attempt", call=ids.show(Kind.CALL, call.id), attempt=name)
        raise NotFound("There is no such attempt.")
    await accepted(tx, call, attempt, call_sid)
    return await lock(tx, attempt.id)


async def accepted(tx: Tx, call: CallStateRow, attempt: CallAttemptRow, call_sid: str) -> None:
    """Record that the carrier has the call; no-op if that is recorded, or the attempt is over."""
    if attempt.status == "dialling":
        await outbound.accept(tx, attempt, call_sid)
        if attempt.call_sid is None:
            LOG.info("call placed", call=ids.show(Kind.CALL, call.id), attempt=attempt.number)


async def progressed(
    tx: Tx,
    call: CallStateRow,
    attempt: CallAttemptRow,
    carrier_status: str,
    at: datetime,
    carrier_code: str | None = None,
) -> None:
    """Apply the carrier's status to a locked attempt."""
    if attempt.status != "under_way":
        return  # it is over: a late or repeated status
    if carrier_status == "ringing" and call.status == "queued":
        await outbound.set_status(tx, call.id, "ringing")
        await append_event(tx, call.id, at, state=calls_pb2.CallStateChanged(status=calls_pb2.CALL_STATUS_RINGING))
    if (result := dialdecision.ENDINGS.get(carrier_status)) is not None:
        await ended(tx, call, attempt, result, at, carrier_code)


async def ended(
    tx: Tx, call: CallStateRow, attempt: CallAttemptRow, result: str, at: datetime, carrier_code: str | None = None
) -> None:
    """End an open attempt, and retry or finish its call.  A call that had a stream ends with its stream."""
    await outbound.end(tx, attempt.id, result, at, carrier_code)
    if call.ended_at is not None:
        return
    if call.streams_opened:
        await over_at_carrier(tx, call, at)
        return
    match dialdecision.after_attempt(result, attempt.made, attempt.max_attempts, attempt.retry_after_seconds, at):
        case dialdecision.Retry(due):
            await outbound.requeue(tx, call.id)
            await outbound.defer(tx, call.id, due, "retry", wanted=True)
            requeued = calls_pb2.CallStateChanged(status=calls_pb2.CALL_STATUS_QUEUED, reason=result)
            await append_event(tx, call.id, at, state=requeued)
        case dialdecision.End(status, reason):
            await end_call(tx, call, status, at, reason, carrier_code)
