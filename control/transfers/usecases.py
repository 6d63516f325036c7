"""The commands of people that transfer or take over a live call, on any node."""

from dataclasses import dataclass
from uuid import UUID

from control.actors import actor
from control.audit.usecases import append_action
from control.base import phone
from control.boundary import ActionContext
from control.bus import Bus
from control.clients.twilio import CarrierClient, is_refusal
from control.flows.definitions import usable
from control.livecall.commands import DONE, UNKNOWN, Commands, own_id
from control.livecall.nextsteps import TRANSFER, Transfer, decode, encode
from control.transfers import transfertargets
from control.transfers.transfertargets import Parties, TransferTarget
from hum import ids
from hum.connectionoverrides import OVERRIDES
from hum.contract.errors import CarrierError, FieldError, InvalidRequest, InvalidState, Unavailable
from hum.ids import Kind
from hum.settings import CallsSettings
from hum.v1 import calls_pb2, runtime_pb2
from storage import calls, transfers
from storage.calls import CallStateRow
from storage.db import Db, Tx

IN_PROGRESS = "in_progress"


@dataclass(frozen=True, slots=True)
class TransferRequest:
    """A requested transfer: to a number, or a label of the flow's transfer map."""

    to_e164: str = ""
    label: str = ""
    summary: str = ""
    needs_key: bool = False
    whispers: bool = True

    @classmethod
    def of(cls, request: calls_pb2.TransferCallRequest | calls_pb2.TakeOverCallRequest) -> "TransferRequest":
        if isinstance(request, calls_pb2.TakeOverCallRequest):
            return cls(request.to_e164, whispers=False)
        return cls(request.to_e164, request.label, request.summary, request.accept_key)


class Transfers:
    """The commands of people that transfer calls."""

    def __init__(self, db: Db, bus: Bus, carrier: CarrierClient, settings: CallsSettings) -> None:
        self._db, self._carrier, self._settings = db, carrier, settings
        self._commands = Commands(db, bus, settings)

    async def command(self, ctx: ActionContext, action: str, id: UUID, request: TransferRequest) -> None:
        """Transfer a call.  Raises NotFound, InvalidState, InvalidRequest, CarrierError, Unavailable.

        The pending transfer is committed before the media process or the carrier is asked, so the carrier's next request dials it.
        """
        own = own_id(ctx, action)
        async with self._db.tenant(ctx.organization) as tx:
            state = await calls.lock(tx, id)
            if await transfers.get(tx, own) is not None:
                return  # a retry after a lost response
            transfer = await self._transfer(tx, state, own, request, actor(ctx.principal))
            has_stream = await self._commands.reaches(state)
            await calls.set_next_step(tx, id, encode(transfer), due=not has_stream)
            fields = [name for name in TransferRequest.__slots__ if getattr(request, name) and name != "whispers"]
            await append_action(
                tx, ctx.organization, ctx.principal, action, ids.show(Kind.CALL, id), fields, ctx.request_id
            )
        if has_stream:
            await self._leave_stream(state, transfer)
        else:
            await self._redirect(state, transfer)

    async def _leave_stream(self, state: CallStateRow, transfer: Transfer) -> None:
        """Have the call's media process leave its stream.  Raises Unavailable, InvalidState.

        If the outcome is unknown, the transfer stays pending, and is dialled when the stream ends, unless the call ends with it.
        """
        assert state.node is not None, "a process has the call"
        command = runtime_pb2.CallCommand(
            call_id=ids.show(Kind.CALL, state.id),
            command_id=ids.show(Kind.TRANSFER, transfer.id),
            leave=runtime_pb2.LeaveStream(reason=TRANSFER),
        )
        outcome = await self._commands.carry_out(state.node, command)
        if outcome is None:
            raise Unavailable(UNKNOWN)
        if outcome == DONE:
            return
        async with self._db.tenant(state.org_id) as tx:
            now = await calls.lock(tx, state.id)
            # The agent left the stream meanwhile for a step of its own, and the carrier was given this transfer.
            if await _is_begun(tx, now, transfer.id):
                return
        await self._restore_step(state, transfer)
        raise InvalidState("The call is ending.")

    async def _transfer(
        self, tx: Tx, state: CallStateRow, id: UUID, request: TransferRequest, asked_by: str
    ) -> Transfer:
        """Return the transfer of a locked call to the requested target.  Raises InvalidState, InvalidRequest."""
        if state.status != IN_PROGRESS or state.call_sid is None:
            raise InvalidState(f"The call is {state.status.replace('_', ' ')}.")
        if await transfers.count(tx, state.id) >= transfertargets.MAX_OF_CALL:
            raise InvalidState("The call was transferred too often.")
        target = await self._target(tx, state, request)
        leg = await calls.leg(tx, state.id)
        parties = Parties.of(leg.direction, leg.from_e164, leg.to_e164)
        if (complaint := parties.bad_target(target.to_e164, self._settings.countries)) is not None:
            raise InvalidRequest([FieldError("label" if request.label else "to", complaint)])
        return Transfer(
            id=id,
            to_e164=target.to_e164,
            label=request.label,
            summary=request.summary,
            asked_by=asked_by,
            whispers=request.whispers,
            needs_key=target.needs_key and request.whispers,
            ring_seconds=target.ring_seconds,
            unanswered=target.unanswered,
        )

    async def _target(self, tx: Tx, state: CallStateRow, request: TransferRequest) -> TransferTarget:
        if bool(request.label) == bool(request.to_e164):
            raise InvalidRequest([FieldError("to", "give either this or label")])
        if request.to_e164:
            if (complaint := phone.bad_target(request.to_e164)) is not None:
                raise InvalidRequest([FieldError("to", complaint)])
            return TransferTarget(request.to_e164, request.needs_key)
        target = transfertargets.targets(usable(await transfers.definition(tx, state.id))).get(request.label)
        if target is None:
            raise InvalidRequest([FieldError("label", "is not a number's label in the flow's transfer map")])
        return target

    async def _redirect(self, state: CallStateRow, transfer: Transfer) -> None:
        """Redirect a call without a media process through the carrier.  Raises CarrierError, InvalidState.

        If the carrier refuses, the earlier pending step is restored.  If the outcome is unknown, the transfer stays pending, and is
        dialled when the carrier requests the next step.
        """
        assert state.call_sid is not None, "it was checked"
        url = f"{self._settings.public_url}/twilio/voice/next/{ids.show(Kind.CALL, state.id)}{OVERRIDES}"
        try:
            is_live = await self._carrier.redirect_call(state.call_sid, url, state.carrier_account)
        except CarrierError as error:
            if is_refusal(error):
                await self._restore_step(state, transfer)
            raise
        if not is_live:
            await self._restore_step(state, transfer)
            raise InvalidState("The call is over.")

    async def _restore_step(self, state: CallStateRow, transfer: Transfer) -> None:
        """Restore the step that was pending before the transfer, unless another has replaced it."""
        async with self._db.tenant(state.org_id) as tx:
            now = await calls.lock(tx, state.id)
            if decode(now.next_step) == transfer:
                await calls.set_next_step(tx, state.id, state.next_step, due=state.next_step_due)


async def _is_begun(tx: Tx, state: CallStateRow, id: UUID) -> bool:
    """Return whether a transfer has begun, or begins with the next step of this locked call."""
    step = decode(state.next_step)
    is_due = state.next_step_due and isinstance(step, Transfer) and step.id == id
    return is_due or await transfers.get(tx, id) is not None
