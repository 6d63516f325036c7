"""OptOutService (proto/hum/v1/opt_outs.proto)."""

from control.base import paging
from control.base.paging import Cursors
from control.base.wire import timestamp, value
from control.boundary import TransactionContext
from control.optouts import usecases
from hum import ids
from hum.contract.principal import Principal
from hum.ids import Kind
from hum.v1 import opt_outs_pb2 as pb
from storage import opt_outs
from storage.opt_outs import OptOutRow


class OptOutServicer:
    def __init__(self, cursors: Cursors) -> None:
        self._cursors = cursors

    async def ListOptOuts(self, request: pb.ListOptOutsRequest, ctx: TransactionContext) -> pb.ListOptOutsResponse:
        if request.HasField("contact_e164"):
            return pb.ListOptOutsResponse(
                opt_outs=[present(row) for row in await opt_outs.of_contact(ctx.tx, request.contact_e164)]
            )
        place, count = self._cursors.read(request), paging.rows_to_fetch(request)
        page = await opt_outs.page(ctx.tx, (place[0], place[1]) if place else None, count)
        rows, more = self._cursors.cut(request, page, lambda row: (row.changed_at, row.contact_e164))
        return pb.ListOptOutsResponse(opt_outs=[present(row) for row in rows], next_cursor=more)

    async def AddOptOut(self, request: pb.AddOptOutRequest, ctx: TransactionContext) -> pb.AddOptOutResponse:
        org, contact_e164 = ctx.organization, request.opt_out.contact_e164
        await usecases.opt_out(ctx.tx, org, contact_e164, _source(ctx.principal))
        return pb.AddOptOutResponse(opt_out=present(await opt_outs.get(ctx.tx, org, contact_e164)))

    async def GetOptOut(self, request: pb.GetOptOutRequest, ctx: TransactionContext) -> pb.GetOptOutResponse:
        row = await opt_outs.get(ctx.tx, ctx.organization, request.contact_e164)
        return pb.GetOptOutResponse(opt_out=present(row))

    async def RemoveOptOut(self, request: pb.RemoveOptOutRequest, ctx: TransactionContext) -> pb.RemoveOptOutResponse:
        row = await opt_outs.get(ctx.tx, ctx.organization, request.contact_e164)
        await usecases.opt_in(ctx.tx, ctx.organization, row.contact_e164, _source(ctx.principal))
        return pb.RemoveOptOutResponse()


def _source(principal: Principal) -> str:
    return "api" if principal.key_id is not None else "human"


def present(row: OptOutRow) -> pb.OptOut:
    return pb.OptOut(
        contact_e164=row.contact_e164,
        opted_out=row.opted_out,
        source=value(pb.OptOutSource, row.source),
        keyword=row.keyword,
        message_id=ids.show(Kind.MESSAGE, row.message_id) if row.message_id else None,
        carrier_blocked=row.carrier_blocked,
        changed_at=timestamp(row.changed_at),
    )
