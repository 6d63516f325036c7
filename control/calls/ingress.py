"""IngressService (proto/hum/v1/runtime.proto): what the gateway asks when it receives a carrier's webhook."""

import asyncio
from datetime import timedelta
from uuid import UUID

from control.boundary import Call
from control.bus import Bus
from control.calls import ending, routing, rules
from control.calls.channels import CHANGED
from hum import ids
from hum.ids import Kind
from hum.settings import CallsSettings
from hum.v1 import runtime_pb2 as pb
from storage.db import Db


class IngressServicer:
    def __init__(self, db: Db, bus: Bus, settings: CallsSettings) -> None:
        self._db, self._bus, self._settings = db, bus, settings
        self._caps = rules.Caps(settings.max_calls_per_organization, settings.max_calls_per_caller)

    async def RouteCall(self, request: pb.RouteCallRequest, _: Call) -> pb.RouteCallResponse:
        lookup_keep = timedelta(days=self._settings.lookup_days)
        step = await routing.route_inbound(self._db, request, self._settings.token_seconds, lookup_keep, self._caps)
        return pb.RouteCallResponse(step=step)

    async def ReportCallStatus(self, request: pb.ReportCallStatusRequest, _: Call) -> pb.ReportCallStatusResponse:
        await routing.carrier_status(self._db, request.call_sid, request.carrier_status)
        return pb.ReportCallStatusResponse()

    async def NextStep(self, request: pb.NextStepRequest, _: Call) -> pb.NextStepResponse:
        id = ids.require(Kind.CALL, request.call_id)
        await self._settled(id)
        step = await routing.next_step(self._db, id, request.call_sid, self._settings.token_seconds)
        return pb.NextStepResponse(step=step)

    async def _settled(self, id: UUID) -> None:
        """Wait briefly for the media plane's last report: the carrier's webhook often overtakes it."""
        changed = asyncio.Event()
        unsubscribe = self._bus.subscribe(
            CHANGED, lambda changed_id: changed.set() if changed_id in {None, id} else None
        )
        try:
            async with asyncio.timeout(self._settings.settle_seconds):
                while await ending.is_live(self._db, id):
                    await changed.wait()
                    changed.clear()
        except TimeoutError:
            pass
        finally:
            unsubscribe()
