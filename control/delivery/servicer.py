"""SmsDeliveryService (proto/hum/v1/sms_delivery.proto)."""

from control.base import paging
from control.base.paging import Cursors
from control.base.wire import word
from control.boundary import TransactionContext
from control.delivery import present, usecases
from control.texts import present as texts
from hum import ids
from hum.ids import Kind
from hum.v1 import sms_delivery_pb2 as pb
from storage import messages, text_attempts

#: Attempts shown per message.
MOST_ATTEMPTS = 20


class SmsDeliveryServicer:
    def __init__(self, cursors: Cursors) -> None:
        self._cursors = cursors

    async def GetMessage(self, request: pb.GetMessageRequest, ctx: TransactionContext) -> pb.GetMessageResponse:
        id = ids.require(Kind.MESSAGE, request.id)
        row = await messages.get(ctx.tx, id)
        attempts = await text_attempts.of_message(ctx.tx, id, MOST_ATTEMPTS)
        words = await text_attempts.ledger(ctx.tx, [attempt.id for attempt in attempts])
        return pb.GetMessageResponse(
            message=texts.message(row), attempts=[present.attempt(attempt, words) for attempt in attempts]
        )

    async def ResolveMessage(
        self, request: pb.ResolveMessageRequest, ctx: TransactionContext
    ) -> pb.ResolveMessageResponse:
        resolution = word(pb.MessageResolution, getattr(request, "as"))
        assert resolution is not None, "validated by the boundary"
        row = await usecases.resolve(ctx.tx, ids.require(Kind.MESSAGE, request.id), resolution)
        return pb.ResolveMessageResponse(message=texts.message(row))

    async def ListUnknownMessages(
        self, request: pb.ListUnknownMessagesRequest, ctx: TransactionContext
    ) -> pb.ListUnknownMessagesResponse:
        fetched = await text_attempts.page_unknown(ctx.tx, self._cursors.after(request), paging.rows_to_fetch(request))
        rows, more = self._cursors.cut(request, fetched, lambda row: (row.id,), lambda row: row.size)
        return pb.ListUnknownMessagesResponse(messages=[texts.message(row) for row in rows], next_cursor=more)
