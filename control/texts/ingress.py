"""TextsIngressService (proto/hum/v1/runtime.proto): the carrier's webhooks of texts, forwarded by the gateway."""

from datetime import timedelta

from control.base.wire import moment
from control.boundary import NodeContext
from control.texts import inboundtext
from control.texts.inboundbatches import Arrivals
from control.texts.inboundtext import InboundTextLimits, Received
from control.texts.statusbatches import AttemptReport, StatusRecorder
from control.texts.statuses import CarrierReport
from hum import ids
from hum.ids import Kind
from hum.settings import ControlSettings
from hum.v1 import runtime_pb2 as pb
from storage.db import Db

#: Seconds in which `keyword_replies` counts.
KEYWORD_REPLY_SECONDS = 3600.0


class TextsIngressServicer:
    def __init__(self, db: Db, settings: ControlSettings) -> None:
        self._recorder = StatusRecorder(db)
        limits = InboundTextLimits(
            timedelta(days=settings.lookup_days),
            settings.lookups_per_day,
            settings.keyword_replies,
            timedelta(seconds=KEYWORD_REPLY_SECONDS),
        )
        self._arrivals = Arrivals(db, limits)

    async def ReceiveText(self, request: pb.ReceiveTextRequest, _: NodeContext) -> pb.ReceiveTextResponse:
        text = Received(
            sid=request.message_sid,
            account=request.carrier_account,
            sender=request.from_e164 or inboundtext.ANONYMOUS,
            to_e164=request.to_e164,
            body=request.body,
            media=[(file.url, file.content_type) for file in request.media],
            carrier_type=request.opt_out_type,
            is_group=request.is_group,
            at=moment(request.received_at) if request.HasField("received_at") else None,
            arrived_at=moment(request.arrived_at) if request.HasField("arrived_at") else None,
        )
        await self._arrivals.receive(text)
        return pb.ReceiveTextResponse()

    async def ReportText(self, request: pb.ReportTextRequest, _: NodeContext) -> pb.ReportTextResponse:
        report = CarrierReport(request.message_sid, request.carrier_status, request.error_code or None, "callback")
        attempt = ids.require(Kind.SEND, request.attempt_id)
        await self._recorder.record(AttemptReport(attempt, report, request.to_e164 or None))
        return pb.ReportTextResponse()
