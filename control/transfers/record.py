"""The record of transfers: their rows, the call's stream, the outbox, and messages to the agent."""

from datetime import datetime
from uuid import UUID

from control.base.wire import timestamp, value
from control.livecall import turns
from control.livecall.callstatus import TURNS_OF_A_STREAM
from control.livecall.nextsteps import AGENT, TakeMessage, Transfer, decode, encode
from control.livecall.stream import append_event
from control.transfers import transfertargets
from control.usage import callentries as usage
from hum import ids
from hum.ids import Kind
from hum.v1 import calls_pb2, events_pb2
from storage import calls, events, transfers
from storage.calls import CallStateRow
from storage.db import Tx
from storage.transfers import NewTransfer, TransferRow

#: The tag of calls whose transfers nobody took, until a person has dealt with the caller, or the caller has reached one.
NOT_TAKEN = "transfer-not-taken"


async def begin(tx: Tx, new: NewTransfer) -> TransferRow:
    """Record a transfer that is about to ring."""
    await transfers.begin(tx, new)
    row = await _row(tx, new.id)
    await append_event(tx, row.call_id, new.started_at, transfer_started=shown(row))
    return row


async def answered(tx: Tx, id: UUID, at: datetime) -> None:
    """Record that the dialled number has answered."""
    await transfers.record_answer(tx, id, at)


async def connected(tx: Tx, id: UUID, at: datetime) -> None:
    """Record that the caller is connected to the answering person, or about to be."""
    if await transfers.record_connection(tx, id, at):
        row = await _row(tx, id)
        await append_event(tx, row.call_id, at, transfer_connected=shown(row))
        await transfers.untag_reached(tx, row.call_id, NOT_TAKEN)


async def end(tx: Tx, state: CallStateRow, id: UUID, ended_as: str, at: datetime) -> TransferRow:
    """Record the end of a transfer, once; return its row."""
    if await transfers.end(tx, id, ended_as, at):
        row = await _row(tx, id)
        await append_event(tx, state.id, at, transfer_ended=shown(row))
        await events.append(tx, state.org_id, state.id, _event(row), at=at)
        if row.connected_at is not None:
            await transfers.untag_reached(tx, state.id, NOT_TAKEN)
        if row.answered_at is not None:
            await usage.record_transfer_estimate(tx, state, row.id, row.to_e164, (at - row.answered_at).total_seconds())
        return row
    return await _row(tx, id)


async def break_off(tx: Tx, state: CallStateRow, at: datetime) -> None:
    """End the active transfer of a call that is over, or goes elsewhere."""
    if (row := await transfers.active(tx, state.id)) is not None:
        await end(tx, state, row.id, transfertargets.broken_off(row.state), at)


async def mark_untaken(tx: Tx, state: CallStateRow) -> None:
    """Tag a call that is over, without a message, and whose transfers nobody took, so that somebody deals with its caller."""
    if await transfers.tag_untaken(tx, state.id, NOT_TAKEN):
        event = events_pb2.CallTransferNotTakenEvent(call_id=ids.show(Kind.CALL, state.id))
        await events.append(tx, state.org_id, state.id, event)


async def reason(tx: Tx, call: UUID) -> str:
    """Return the end reason of a call without a stream: the caller hung up, or had been transferred."""
    row = await transfers.active(tx, call)
    return transfertargets.CALLER if row is None else transfertargets.reason(row.state)


async def fall_back(tx: Tx, state: CallStateRow, row: TransferRow, at: datetime, *, has_voicemail: bool) -> None:
    """Return the call to its agent, or to the mailbox, after an unanswered transfer.  A newer pending step is kept."""
    await add_system_turn(tx, state, transfertargets.outcome_text(row.label, row.to_e164, row.state), at)
    step = decode(state.next_step)
    if step is None or (isinstance(step, Transfer) and step.id == row.id):
        to_mailbox = row.unanswered != AGENT and has_voicemail
        await calls.set_next_step(
            tx, state.id, encode(TakeMessage("unanswered")) if to_mailbox else None, due=to_mailbox
        )


async def discard_next_step(tx: Tx, state: CallStateRow, at: datetime) -> None:
    """Discard a call's pending step, as the last stream died before it was left for it; inform the next stream's agent."""
    if state.next_step is None:
        return
    await calls.set_next_step(tx, state.id, None)
    if isinstance(step := decode(state.next_step), Transfer):
        await add_system_turn(tx, state, transfertargets.fault_text(step.label, step.to_e164), at)


async def add_system_turn(tx: Tx, state: CallStateRow, text: str, at: datetime) -> None:
    """Add a turn of the system to the transcript, between the last stream and the next; the next agent reads it."""
    seq, at_ms = await transfers.between_streams(tx, state.id, state.streams_opened * TURNS_OF_A_STREAM, at)
    turn = calls_pb2.Turn(
        seq=seq,
        role=calls_pb2.SPEAKER_SYSTEM,
        text=text,
        start_ms=at_ms,
        end_ms=at_ms,
        item_id=f"system_{seq}",
    )
    await turns.add(tx, state.org_id, state.id, turn, at)


def shown(row: TransferRow) -> calls_pb2.Transfer:
    """Convert a transfer to the form for clients."""
    talked = row.ended_at - row.connected_at if row.ended_at and row.connected_at else None
    return calls_pb2.Transfer(
        id=ids.show(Kind.TRANSFER, row.id),
        label=row.label,
        to_e164=row.to_e164,
        asked_by=row.asked_by,
        state=value(calls_pb2.TransferState, row.state),
        summary=row.summary or None,
        started_at=timestamp(row.started_at),
        answered_at=timestamp(row.answered_at),
        connected_at=timestamp(row.connected_at),
        ended_at=timestamp(row.ended_at),
        talked_seconds=None if talked is None else max(0, int(talked.total_seconds())),
    )


def _event(row: TransferRow) -> events_pb2.CallTransferEvent:
    return events_pb2.CallTransferEvent(
        call_id=ids.show(Kind.CALL, row.call_id),
        transfer_id=ids.show(Kind.TRANSFER, row.id),
        label=row.label,
        to_e164=row.to_e164,
        asked_by=row.asked_by,
        state=value(calls_pb2.TransferState, row.state),
        started_at=timestamp(row.started_at),
        answered_at=timestamp(row.answered_at),
        connected_at=timestamp(row.connected_at),
        ended_at=timestamp(row.ended_at),
    )


async def _row(tx: Tx, id: UUID) -> TransferRow:
    row = await transfers.get(tx, id)
    assert row is not None, "its call is locked"
    return row
