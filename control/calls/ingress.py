"""IngressService (proto/hum/v1/runtime.proto), which the gateway calls for the carrier's webhooks."""

import asyncio
from datetime import timedelta
from uuid import UUID

from control.base.wire import moment
from control.boundary import NodeContext
from control.bus import Bus
from control.calls import carriersteps
from control.calls.contextupdates import Callers
from control.livecall.channels import CHANGED, LINKS
from control.transfers import transferleg
from hum import ids
from hum.clock import now
from hum.ids import Kind
from hum.settings import CallsSettings
from hum.v1 import runtime_pb2 as pb
from storage import calls
from storage.db import Db

#: Seconds to press the key that accepts a transferred call, each of the two times that it is requested.
TRANSFER_KEY_SECONDS = 8


class IngressServicer:
    """The servicer of the carrier's webhooks about calls."""

    def __init__(self, db: Db, bus: Bus, settings: CallsSettings, callers: Callers) -> None:
        self._db, self._bus, self._settings, self._callers = db, bus, settings, callers
        self._contexts = carriersteps.StepContexts(db, bus, settings)
        self._silent = timedelta(seconds=settings.link_silent_seconds)

    async def RouteCall(self, request: pb.RouteCallRequest, ctx: NodeContext) -> pb.RouteCallResponse:
        if request.HasField("apologized_at"):
            await carriersteps.record_apology(self._db, request, moment(request.apologized_at))
            return pb.RouteCallResponse()
        keep = timedelta(days=self._settings.lookup_days)
        step = await carriersteps.route_inbound(self._db, self._contexts.context(ctx), request, keep)
        if step.HasField("connect"):
            await self._callers.introduce(ids.require(Kind.CALL, step.connect.call_id))
        return pb.RouteCallResponse(step=step)

    async def ReportCallStatus(
        self, request: pb.ReportCallStatusRequest, _: NodeContext
    ) -> pb.ReportCallStatusResponse:
        lasted_seconds = request.lasted_seconds if request.HasField("lasted_seconds") else None
        await carriersteps.carrier_status(
            self._db, request.call_sid, request.to_e164, request.carrier_status, lasted_seconds
        )
        return pb.ReportCallStatusResponse()

    async def NextStep(self, request: pb.NextStepRequest, ctx: NodeContext) -> pb.NextStepResponse:
        if request.HasField("apologized_at"):
            await carriersteps.record_next_apology(self._db, request, moment(request.apologized_at))
            return pb.NextStepResponse()
        await self._wait_for_report(ids.require(Kind.CALL, request.call_id))
        step = await carriersteps.next_step(self._db, self._contexts.context(ctx), request)
        return pb.NextStepResponse(step=step)

    async def EndDial(self, request: pb.EndDialRequest, ctx: NodeContext) -> pb.EndDialResponse:
        if request.HasField("apologized_at"):
            await carriersteps.record_dial(self._db, request, moment(request.apologized_at))
            return pb.EndDialResponse()
        step = await carriersteps.after_dial(self._db, self._contexts.context(ctx), request)
        return pb.EndDialResponse(step=step)

    async def ReportDial(self, request: pb.ReportDialRequest, _: NodeContext) -> pb.ReportDialResponse:
        at = moment(request.received_at) if request.HasField("received_at") else now()
        await transferleg.record_status(self._db, request, at)
        return pb.ReportDialResponse()

    async def Whisper(self, request: pb.WhisperRequest, _: NodeContext) -> pb.WhisperResponse:
        return await transferleg.whisper_step(self._db, request, TRANSFER_KEY_SECONDS)

    async def CheckReady(self, _: pb.CheckReadyRequest, __: NodeContext) -> pb.CheckReadyResponse:
        await self._db.check()
        return pb.CheckReadyResponse()

    async def _wait_for_report(self, id: UUID) -> None:
        """Wait briefly for the media plane's last report if one is due: the carrier's webhook often overtakes it."""
        changed = asyncio.Event()
        unsubscribes = (
            self._bus.subscribe(CHANGED, lambda changed_id: changed.set() if changed_id in {None, id} else None),
            self._bus.subscribe(LINKS, lambda _: changed.set()),
        )
        try:
            async with asyncio.timeout(self._settings.settle_seconds):
                while await self._is_report_due(id):
                    await changed.wait()
                    changed.clear()
        except TimeoutError:
            pass
        finally:
            for unsubscribe in unsubscribes:
                unsubscribe()

    async def _is_report_due(self, id: UUID) -> bool:
        async with self._db.system() as tx:
            return await calls.is_report_due(tx, id, self._silent)
