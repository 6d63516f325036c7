"""IngressService (proto/hum/v1/runtime.proto): what the gateway asks when it receives a carrier's webhook."""

import asyncio
from datetime import timedelta
from uuid import UUID

from control.base.wire import moment
from control.boundary import Call
from control.bus import Bus
from control.calls import routing, rules
from control.calls.channels import CHANGED, LINKS
from control.calls.room import Rooms
from hum import ids
from hum.ids import Kind
from hum.settings import CallsSettings
from hum.v1 import runtime_pb2 as pb
from storage import calls
from storage.db import Db


class IngressServicer:
    def __init__(self, db: Db, bus: Bus, settings: CallsSettings) -> None:
        self._db, self._bus, self._settings = db, bus, settings
        self._rooms = Rooms(db, bus, settings)
        self._silent = timedelta(seconds=settings.link_silent_seconds)
        self._caps = rules.Caps(settings.max_calls_per_organization, settings.max_calls_per_caller)

    async def RouteCall(self, request: pb.RouteCallRequest, _: Call) -> pb.RouteCallResponse:
        if request.HasField("apologized_at"):
            await routing.record_apology(self._db, request, moment(request.apologized_at))
            return pb.RouteCallResponse()
        room = await self._rooms.before_a_call()
        step = await routing.route_inbound(
            self._db,
            request,
            self._settings.token_seconds,
            timedelta(days=self._settings.lookup_days),
            self._caps,
            full=room.is_full,
        )
        return pb.RouteCallResponse(step=step)

    async def ReportCallStatus(self, request: pb.ReportCallStatusRequest, _: Call) -> pb.ReportCallStatusResponse:
        await routing.carrier_status(self._db, request.call_sid, request.to_e164, request.carrier_status)
        return pb.ReportCallStatusResponse()

    async def NextStep(self, request: pb.NextStepRequest, _: Call) -> pb.NextStepResponse:
        id = ids.require(Kind.CALL, request.call_id)
        await self._settled(id)
        full = False
        if await routing.may_go_on(self._db, id):
            room = await self._rooms.after_a_stream()
            full = room.is_full
        step = await routing.next_step(
            self._db, id, request.call_sid, request.to_e164, self._settings.token_seconds, full=full
        )
        return pb.NextStepResponse(step=step)

    async def CheckReady(self, _: pb.CheckReadyRequest, __: Call) -> pb.CheckReadyResponse:
        await self._db.check()
        return pb.CheckReadyResponse()

    async def _settled(self, id: UUID) -> None:
        """Wait briefly for the media plane's last report, if one can come: the carrier's webhook often overtakes it."""
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
