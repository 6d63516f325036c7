"""NumbersService (proto/hum/v1/numbers.proto)."""

from control.base import paging
from control.base.wire import timestamp, value
from control.boundary import Call
from control.clients.twilio import Carrier, Webhooks
from control.numbers import usecases
from hum import ids
from hum.ids import Kind
from hum.v1 import numbers_pb2 as pb
from storage import numbers
from storage.numbers import NumberRow


class NumbersServicer:
    def __init__(self, cursors: paging.Cursors, carrier: Carrier, webhooks: Webhooks) -> None:
        self._cursors, self._carrier, self._webhooks = cursors, carrier, webhooks

    async def ListNumbers(self, request: pb.ListNumbersRequest, call: Call) -> pb.ListNumbersResponse:
        found = await numbers.page(call.tx, self._cursors.after(request), paging.rows_to_fetch(request))
        rows, more = self._cursors.cut(request, found, lambda row: (row.id,))
        return pb.ListNumbersResponse(numbers=[present(row) for row in rows], next_cursor=more)

    async def RegisterNumber(self, request: pb.RegisterNumberRequest, call: Call) -> pb.RegisterNumberResponse:
        row = await usecases.register(call.tx, call.who, self._carrier, self._webhooks, request.number)
        return pb.RegisterNumberResponse(number=present(row))

    async def GetNumber(self, request: pb.GetNumberRequest, call: Call) -> pb.GetNumberResponse:
        return pb.GetNumberResponse(number=present(await numbers.get(call.tx, ids.require(Kind.NUMBER, request.id))))

    async def UpdateNumber(self, request: pb.UpdateNumberRequest, call: Call) -> pb.UpdateNumberResponse:
        id, paths = ids.require(Kind.NUMBER, request.id), list(request.update_mask.paths)
        row = await usecases.change(call.tx, call.who, id, request.number, paths)
        return pb.UpdateNumberResponse(number=present(row))


def present(row: NumberRow) -> pb.Number:
    return pb.Number(
        id=ids.show(Kind.NUMBER, row.id),
        e164=row.e164,
        friendly_name=row.friendly_name,
        flow_id=ids.show(Kind.FLOW, row.flow_id) if row.flow_id else None,
        sms_flow_id=ids.show(Kind.FLOW, row.sms_flow_id) if row.sms_flow_id else None,
        sms_enabled=row.sms_enabled,
        capabilities=pb.NumberCapabilities(**dict.fromkeys(row.capabilities, True)),
        status=value(pb.NumberStatus, row.status),
        created_at=timestamp(row.created_at),
    )
