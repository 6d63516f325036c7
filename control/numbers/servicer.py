"""NumbersService (proto/hum/v1/numbers.proto)."""

from control.base import paging, phone
from control.base.phone import NotANumber
from control.base.wire import timestamp, value
from control.boundary import ActionContext, TransactionContext
from control.boundary.budget import Budget
from control.clients.twilio import CarrierClient, NumberSearch, Offer, Webhooks
from control.numbers import usecases
from control.numbers.purchases import Purchases
from hum import ids
from hum.contract.errors import FieldError, InvalidRequest
from hum.ids import Kind
from hum.v1 import numbers_pb2 as pb
from storage import contacts, numbers
from storage.db import Db
from storage.numbers import NumberRow

DEFAULT_OFFERS = 20


class NumbersServicer:
    def __init__(
        self,
        db: Db,
        cursors: paging.Cursors,
        carrier: CarrierClient,
        webhooks: Webhooks,
        purchases: Purchases,
        budget: Budget,
    ) -> None:
        self._db, self._cursors, self._carrier = db, cursors, carrier
        self._webhooks, self._purchases, self._budget = webhooks, purchases, budget

    async def ListNumbers(self, request: pb.ListNumbersRequest, ctx: TransactionContext) -> pb.ListNumbersResponse:
        page = await numbers.page(ctx.tx, self._cursors.after(request), paging.rows_to_fetch(request))
        rows, more = self._cursors.cut(request, page, lambda row: (row.id,))
        return pb.ListNumbersResponse(numbers=[present(row) for row in rows], next_cursor=more)

    async def RegisterNumber(self, request: pb.RegisterNumberRequest, ctx: ActionContext) -> pb.RegisterNumberResponse:
        async with self._budget.slot(ctx.organization):
            row = await usecases.register(
                self._db, self._carrier, self._webhooks, ctx.principal, request.number, ctx.request_id
            )
        return pb.RegisterNumberResponse(number=present(row))

    async def GetNumber(self, request: pb.GetNumberRequest, ctx: TransactionContext) -> pb.GetNumberResponse:
        return pb.GetNumberResponse(number=present(await numbers.get(ctx.tx, ids.require(Kind.NUMBER, request.id))))

    async def ListAvailableNumbers(
        self, request: pb.ListAvailableNumbersRequest, ctx: ActionContext
    ) -> pb.ListAvailableNumbersResponse:
        filters = {field.name: value for field, value in request.ListFields() if field.name != "limit"}
        limit = request.limit if request.HasField("limit") else DEFAULT_OFFERS
        async with self._budget.slot(ctx.organization):
            offers = await self._carrier.offers(NumberSearch(**filters), limit)
        return pb.ListAvailableNumbersResponse(numbers=[present_offer(offer) for offer in offers])

    async def ConvertToE164(
        self, request: pb.ConvertToE164Request, ctx: TransactionContext
    ) -> pb.ConvertToE164Response:
        own = phone.region(await contacts.own_number(ctx.tx))
        region = request.default_region if request.HasField("default_region") else own
        try:
            return pb.ConvertToE164Response(e164=phone.e164(request.text, region))
        except NotANumber as error:
            raise InvalidRequest([FieldError("text", str(error))]) from error

    async def BuyNumber(self, request: pb.BuyNumberRequest, ctx: ActionContext) -> pb.BuyNumberResponse:
        async with self._budget.slot(ctx.organization):
            row = await self._purchases.buy(
                ctx.principal, request, request_id=ctx.request_id, key=ctx.key, body_hash=ctx.body_hash
            )
        return pb.BuyNumberResponse(number=present(row))

    async def SyncNumbers(self, _: pb.SyncNumbersRequest, ctx: ActionContext) -> pb.SyncNumbersResponse:
        async with self._budget.slot(ctx.organization):
            synced = await usecases.sync(self._db, self._carrier, self._webhooks, ctx.principal, ctx.request_id)
        return pb.SyncNumbersResponse(
            added=synced.added, updated=synced.updated, gone=synced.gone, elsewhere=synced.elsewhere
        )

    async def ReleaseNumber(self, request: pb.ReleaseNumberRequest, ctx: ActionContext) -> pb.ReleaseNumberResponse:
        id = ids.require(Kind.NUMBER, request.id)
        async with self._budget.slot(ctx.organization):
            await usecases.release(self._db, self._carrier, ctx.principal, id, ctx.request_id)
        return pb.ReleaseNumberResponse()

    async def UpdateNumber(self, request: pb.UpdateNumberRequest, ctx: TransactionContext) -> pb.UpdateNumberResponse:
        id, paths = ids.require(Kind.NUMBER, request.id), list(request.update_mask.paths)
        row = await usecases.change(ctx.tx, ctx.principal, id, request.number, paths)
        return pb.UpdateNumberResponse(number=present(row))


def present_offer(offer: Offer) -> pb.AvailableNumber:
    return pb.AvailableNumber(
        e164=offer.e164,
        friendly_name=offer.friendly_name,
        locality=offer.locality,
        region=offer.region,
        country=offer.country,
        capabilities=pb.NumberCapabilities(**dict.fromkeys(offer.capabilities, True)),
    )


def present(row: NumberRow) -> pb.Number:
    return pb.Number(
        id=ids.show(Kind.NUMBER, row.id),
        e164=row.e164,
        friendly_name=row.friendly_name,
        flow_id=ids.show(Kind.FLOW, row.flow_id) if row.flow_id else None,
        sms_flow_id=ids.show(Kind.FLOW, row.sms_flow_id) if row.sms_flow_id else None,
        sms_enabled=row.sms_enabled,
        missed_call_text=row.missed_call_text,
        capabilities=pb.NumberCapabilities(**dict.fromkeys(row.capabilities, True)),
        status=value(pb.NumberStatus, row.status),
        created_at=timestamp(row.created_at),
    )
