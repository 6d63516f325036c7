"""SmsDeliveryService (proto/hum/v1/sms_delivery.proto)."""

from control.base import paging
from control.base.paging import Cursors
from control.base.wire import word
from control.boundary import Call
from control.delivery import present, usecases
from control.texts import present as texts
from hum import ids
from hum.ids import Kind
from hum.v1 import sms_delivery_pb2 as pb
from storage import messages, text_attempts

#: Attempts that are shown of one message.
MOST_ATTEMPTS = 20


class SmsDeliveryServicer:
    def __init__(self, cursors: Cursors) -> None:
        self._cursors = cursors

    async def GetMessage(self, request: pb.GetMessageRequest, call: Call) -> pb.GetMessageResponse:
        id = ids.require(Kind.MESSAGE, request.id)
        row = await messages.get(call.tx, id)
        attempts = await text_attempts.of_message(call.tx, id, MOST_ATTEMPTS)
        words = await text_attempts.ledger(call.tx, [each.id for each in attempts])
        return pb.GetMessageResponse(
            message=texts.message(row), attempts=[present.attempt(each, words) for each in attempts]
        )

    async def ResolveMessage(self, request: pb.ResolveMessageRequest, call: Call) -> pb.ResolveMessageResponse:
        resolution = word(pb.MessageResolution, getattr(request, "as"))
        assert resolution is not None, "the boundary has checked it"
        row = await usecases.resolve(call.tx, ids.require(Kind.MESSAGE, request.id), resolution)
        return pb.ResolveMessageResponse(message=texts.message(row))

    async def ListUnknownMessages(
        self, request: pb.ListUnknownMessagesRequest, call: Call
    ) -> pb.ListUnknownMessagesResponse:
        found = await text_attempts.page_unknown(call.tx, self._cursors.after(request), paging.rows_to_fetch(request))
        rows, more = self._cursors.cut(request, found, lambda each: (each,))
        shown = [texts.message(await messages.get(call.tx, id)) for id in rows]
        return pb.ListUnknownMessagesResponse(messages=shown, next_cursor=more)
