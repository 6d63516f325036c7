"""IngressService (proto/hum/v1/runtime.proto): what the gateway asks when the carrier asks it."""

import asyncio
from datetime import timedelta
from uuid import UUID

from control.boundary import Call
from control.bus import Bus
from control.calls import usecases
from hum import ids
from hum.ids import Kind
from hum.v1 import runtime_pb2 as pb
from storage.calls import CHANNEL
from storage.db import Db


class IngressServicer:
    def __init__(self, db: Db, bus: Bus, *, token_seconds: int, settle_seconds: float, lookup_keep: timedelta) -> None:
        self._db, self._bus = db, bus
        self._token_seconds, self._settle_seconds, self._lookup_keep = token_seconds, settle_seconds, lookup_keep

    async def RouteCall(self, request: pb.RouteCallRequest, _: Call) -> pb.RouteCallResponse:
        step = await usecases.route_inbound(self._db, request, self._token_seconds, self._lookup_keep)
        return pb.RouteCallResponse(step=step)

    async def ReportCallStatus(self, request: pb.ReportCallStatusRequest, _: Call) -> pb.ReportCallStatusResponse:
        await usecases.carrier_status(self._db, request.call_sid, request.carrier_status)
        return pb.ReportCallStatusResponse()

    async def NextStep(self, request: pb.NextStepRequest, _: Call) -> pb.NextStepResponse:
        id = ids.require(Kind.CALL, request.call_id)
        await self._settled(id)
        step = await usecases.next_step(self._db, id, request.call_sid, self._token_seconds)
        return pb.NextStepResponse(step=step)

    async def _settled(self, id: UUID) -> None:
        """Give the media plane's last report a moment: the carrier's question often overtakes it."""
        changed = asyncio.Event()
        unsubscribe = self._bus.subscribe(CHANNEL, lambda payload: changed.set() if payload in {"", str(id)} else None)
        try:
            async with asyncio.timeout(self._settle_seconds):
                while await usecases.is_live(self._db, id):
                    await changed.wait()
                    changed.clear()
        except TimeoutError:
            pass
        finally:
            unsubscribe()
