"""The leg of a transfer, from the ringing to its end.

The carrier may request every step twice and in any order.  The state is in the database, so any process may answer the next step.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from control.flows.definitions import usable
from control.livecall.callerid import is_vouched_for
from control.livecall.callstatus import ANSWERED, AWAY_REASON, CARRIER_ENDINGS, LIVE
from control.livecall.nextsteps import Transfer
from control.transfers import record, transfertargets
from control.transfers.whisper import whisper
from control.usage import callentries as usage
from hum import ids
from hum.clock import now
from hum.contract.errors import NotFound
from hum.ids import Kind
from hum.observe.logs import log
from hum.v1 import runtime_pb2 as pb
from storage import call_agents, calls, transfers
from storage.calls import CallStateRow
from storage.db import Db, Tx
from storage.transfers import NewTransfer, TransferRow

LOG = log(__name__)


async def dial(
    tx: Tx, state: CallStateRow, transfer: Transfer, ring_seconds: int, countries: frozenset[str]
) -> pb.CarrierStep | None:
    """Return the step that rings for a locked call, the same for a repeated request; None if the transfer is over.

    A number that the deployment does not call (`countries`: besides the called number's own) ends the transfer as
    failed, whatever offered it: the call goes where it goes after an unanswered transfer.
    """
    row = await transfers.get(tx, transfer.id)
    if row is None:
        at = now()
        await record.break_off(tx, state, at)  # of an earlier transfer
        leg = await calls.leg(tx, state.id)
        parties = transfertargets.Parties.of(leg.direction, leg.from_e164, leg.to_e164)
        new = NewTransfer(
            id=transfer.id,
            org_id=state.org_id,
            call_id=state.id,
            label=transfer.label or None,
            to_e164=transfer.to_e164,
            caller_id_e164=parties.number_e164,
            asked_by=transfer.asked_by,
            summary=transfer.summary,
            ring_seconds=transfer.ring_seconds or ring_seconds,
            whispers=transfer.whispers,
            needs_key=transfer.needs_key,
            unanswered=transfer.unanswered,
            started_at=at,
        )
        row = await record.begin(tx, new)
        if (complaint := parties.bad_target(row.to_e164, countries)) is not None:
            LOG.warning("did not dial a transfer", reason=complaint)
            row = await record.end(tx, state, row.id, "failed", at)
            await _fall_back(tx, state, row, at)
    if row.call_id != state.id or row.ended_at is not None:
        return None
    # Also for a repeated request: an apology in place of the first answer has not ended the call.
    await transfers.record_dial(tx, state.id)
    id = ids.show(Kind.TRANSFER, row.id)
    return transfertargets.dial(id, row.to_e164, row.caller_id_e164, row.ring_seconds, whispers=row.whispers)


async def whisper_step(db: Db, request: pb.WhisperRequest, key_seconds: int) -> pb.WhisperResponse:
    """Return the whisper for the person who answered, or the effect of the key that they pressed.  Raises NotFound."""
    async with db.system() as tx:
        state, row = await _dialled(tx, request.transfer_id, request.parent_call_sid, request.to_e164)
        if state.status not in LIVE or row.ended_at is not None:
            return pb.WhisperResponse(hang_up=pb.HangUpNow())  # the caller is gone
        at = now()
        await record.answered(tx, row.id, at)
        if request.HasField("digits"):
            if row.needs_key and request.digits != transfertargets.ACCEPT_KEY:
                return pb.WhisperResponse(hang_up=pb.HangUpNow())
            await record.connected(tx, row.id, at)
            return pb.WhisperResponse(connect=pb.ConnectCaller())
        if not row.needs_key:
            await record.connected(tx, row.id, at)
        return pb.WhisperResponse(say=await _whisper(tx, state.id, row, key_seconds))


async def _whisper(tx: Tx, call: UUID, row: TransferRow, key_seconds: int) -> pb.SayToAnswerer:
    session, leg = await call_agents.session(tx, call), await calls.leg(tx, call)
    flow = usable(session.definition) if session else {}
    # Unless the network vouches for the caller ID, withhold the contact's name: the number may be spoofed.
    is_trusted = session is not None and is_vouched_for(
        session.caller_verification, leg.direction, leg.from_e164, leg.to_e164
    )
    parties = transfertargets.Parties.of(leg.direction, leg.from_e164, leg.to_e164)
    words = whisper(
        flow.get("language"),
        flow.get("whisper_text"),
        session.contact_name if session and is_trusted else None,
        parties.peer_e164,
        row.summary,
    )
    return pb.SayToAnswerer(
        text=words.text,
        language=words.language,
        prompt=words.prompt if row.needs_key else "",
        key_seconds=key_seconds if row.needs_key else 0,
    )


async def record_status(db: Db, request: pb.ReportDialRequest, at: datetime) -> None:
    """Record the carrier's status of the dialled leg: its answer and its duration.  Raises NotFound."""
    async with db.system() as tx:
        state, row = await _dialled(tx, request.transfer_id, request.parent_call_sid, request.to_e164)
        if request.HasField("lasted_seconds"):
            await usage.record_transfer_duration(tx, state, row.id, row.to_e164, request.lasted_seconds)
        if request.carrier_status == ANSWERED:
            await record.answered(tx, row.id, at)
            if not row.whispers:
                await record.connected(tx, row.id, at)


@dataclass(frozen=True, slots=True)
class CallEnding:
    """The status and the reason with which a call ends."""

    status: str
    reason: str


async def record_end(
    tx: Tx, request: pb.EndDialRequest, at: datetime, *, apologized: bool
) -> tuple[CallStateRow, CallEnding | None]:
    """Record the end of a dial, once; return the locked call, and its end if it is over with the dial.  Raises NotFound.

    `apologized`: the caller hears an apology, unless they were connected.
    """
    state, row = await _of_transfer(tx, request.transfer_id)
    if (state.call_sid, state.to_e164) != (request.call_sid, request.to_e164):
        raise NotFound("There is no such call.")
    if row.ended_at is not None:
        return state, None
    caller_left = request.carrier_status in CARRIER_ENDINGS
    ended_as = transfertargets.ended(
        request.dial_status,
        bridged=request.bridged if request.HasField("bridged") else None,
        needs_key=row.needs_key,
        connected=row.connected_at is not None,
    )
    if caller_left and ended_as != "completed":
        ended_as = "canceled"
    row = await record.end(tx, state, row.id, ended_as, at)
    if state.status not in LIVE:
        return state, None
    if ended_as == "completed" or caller_left:
        return state, CallEnding(
            "completed", transfertargets.TRANSFERRED if ended_as == "completed" else transfertargets.CALLER
        )
    if apologized:
        return state, CallEnding("failed", AWAY_REASON)
    await _fall_back(tx, state, row, at)
    return await calls.lock(tx, state.id), None


async def _fall_back(tx: Tx, state: CallStateRow, row: TransferRow, at: datetime) -> None:
    has_voicemail = bool((await transfers.definition(tx, state.id)).get("voicemail_enabled"))
    await record.fall_back(tx, state, row, at, has_voicemail=has_voicemail)


async def _dialled(tx: Tx, transfer_id: str, parent_call_sid: str, to_e164: str) -> tuple[CallStateRow, TransferRow]:
    """Get the transfer that dialled this number for this call, which is locked.  Raises NotFound."""
    state, row = await _of_transfer(tx, transfer_id)
    if (state.call_sid, row.to_e164) != (parent_call_sid, to_e164):
        raise NotFound("There is no such transfer.")
    return state, row


async def _of_transfer(tx: Tx, transfer_id: str) -> tuple[CallStateRow, TransferRow]:
    """Get a transfer and its call, which is locked.  Raises NotFound."""
    id = ids.require(Kind.TRANSFER, transfer_id)
    unlocked = await transfers.get(tx, id)
    if unlocked is None:
        raise NotFound("There is no such transfer.")
    state = await calls.lock(tx, unlocked.call_id)
    row = await transfers.get(tx, id)  # under the lock
    assert row is not None, "its call is locked"
    return state, row
