"""PlacedCallsService (proto/hum/v1/runtime.proto): the carrier's webhooks of placed calls, forwarded by the gateway."""

from uuid import UUID

from control.base.wire import moment
from control.boundary import NodeContext
from control.bus import Bus
from control.calls import answeredby, carriersteps
from control.calls.contextupdates import Callers
from control.calls.ending import ended_by_gateway
from control.clients.twilio import CarrierClient
from control.flows.definitions import usable
from control.livecall.commands import DONE, Commands
from control.outbound import attempts
from control.usage import callentries as usage
from hum import ids, rpc
from hum.clock import now
from hum.contract.errors import CarrierError, Unavailable
from hum.ids import Kind
from hum.observe.logs import log
from hum.settings import CallsSettings
from hum.v1 import runtime_pb2 as pb
from storage import call_agents, calls, outbound
from storage.db import Db

LOG = log(__name__)
HANG_UP = pb.CarrierStep(hang_up=pb.HangUpNow())
RINGING = "ringing"
LIVE_AT_CARRIER = frozenset({"initiated", "queued", RINGING, "in-progress"})


class NotConfirmed(Unavailable):
    """The process that has the call did not confirm that a machine answered."""

    reason = rpc.NOT_CONFIRMED


class PlacedCallsServicer:
    def __init__(self, db: Db, bus: Bus, carrier: CarrierClient, settings: CallsSettings, callers: Callers) -> None:
        self._db, self._carrier, self._callers = db, carrier, callers
        self._commands = Commands(db, bus, settings)
        self._contexts = carriersteps.StepContexts(db, bus, settings)

    async def AnswerPlacedCall(
        self, request: pb.AnswerPlacedCallRequest, ctx: NodeContext
    ) -> pb.AnswerPlacedCallResponse:
        """Connect the agent to an answered call, unless the call was canceled, or no media process has capacity."""
        async with self._db.system() as tx:
            call, attempt = await attempts.of_webhook(tx, request.attempt_id, request.call_sid, request.to_e164)
            if request.HasField("hung_up_at"):
                await ended_by_gateway(tx, call, moment(request.hung_up_at))
                return pb.AnswerPlacedCallResponse()
            await attempts.progressed(tx, call, attempt, "ringing", now())  # its webhook may be late or lost
        if attempt.status != "under_way" or call.ended_at is not None:
            return pb.AnswerPlacedCallResponse(step=HANG_UP)
        await self._callers.introduce(call.id)
        context = self._contexts.context(ctx)
        return pb.AnswerPlacedCallResponse(step=await carriersteps.offer(self._db, context, call.id))

    async def ReportPlacedCall(
        self, request: pb.ReportPlacedCallRequest, _: NodeContext
    ) -> pb.ReportPlacedCallResponse:
        async with self._db.system() as tx:
            call, attempt = await attempts.of_webhook(tx, request.attempt_id, request.call_sid, request.to_e164)
            code = request.carrier_code or None
            if request.HasField("lasted_seconds"):
                await usage.record_call_duration(tx, call, request.lasted_seconds)
            await attempts.progressed(tx, call, attempt, request.carrier_status, now(), code)
        if request.carrier_status == RINGING and call.ended_at is None:
            await self._callers.rings(call.id)
        gone = call.ended_at is not None and not call.streams_opened
        if request.carrier_status in LIVE_AT_CARRIER and (gone or attempt.status == "not_placed"):
            await self._end(request.call_sid, attempt.account)
        return pb.ReportPlacedCallResponse()

    async def _end(self, call_sid: str, account: str) -> None:
        """End a canceled call that still rings at the carrier.  If that fails, the call is hung up when it is answered."""
        try:
            await self._carrier.end_call(call_sid, account)
        except CarrierError as error:
            LOG.warning("could not end a canceled call at the carrier; it rings on", error=str(error)[:200])

    async def ReportAnsweredBy(
        self, request: pb.ReportAnsweredByRequest, _: NodeContext
    ) -> pb.ReportAnsweredByResponse:
        async with self._db.system() as tx:
            call, _attempt = await attempts.of_webhook(tx, request.attempt_id, request.call_sid, None)
            word = answeredby.answered_by(request.answered_by, await outbound.transcript(tx, call.id))
            # A repeated report acts on the word that was stored first: the process that has the call may not know it yet.
            answered_by = await outbound.set_answered_by(tx, call.id, word)
            session = await call_agents.session(tx, call.id)
        machine = answeredby.for_machine(usable(session.definition), answered_by) if session else None
        if machine is not None:
            await self._inform_process(call.id, machine)
        return pb.ReportAnsweredByResponse()

    async def _inform_process(self, id: UUID, machine: pb.ForMachine) -> None:
        """Inform the process that has the call; a process that gets it later learns of the machine with its session.

        Raises NotConfirmed if the process may not know it: the gateway reports again.
        """
        async with self._db.system() as tx:
            call = await calls.get(tx, id)
        if call.node is None or call.ended_at is not None:
            return
        command = pb.CallCommand(call_id=ids.show(Kind.CALL, id), machine=machine)
        # One that is gone would be waited for in vain, and the gateway's other webhooks would wait too.
        if not await self._commands.reaches(call) or await self._commands.carry_out(call.node, command) != DONE:
            raise NotConfirmed
