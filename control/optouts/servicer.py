"""OptOutService (proto/hum/v1/opt_outs.proto)."""

from control.base import paging
from control.base.paging import Cursors
from control.base.wire import timestamp, value
from control.boundary import Call
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

    async def ListOptOuts(self, request: pb.ListOptOutsRequest, call: Call) -> pb.ListOptOutsResponse:
        if request.HasField("contact_e164"):
            return pb.ListOptOutsResponse(
                opt_outs=[present(row) for row in await opt_outs.of_contact(call.tx, request.contact_e164)]
            )
        place, count = self._cursors.read(request), paging.rows_to_fetch(request)
        page = await opt_outs.page(call.tx, (place[0], place[1]) if place else None, count)
        rows, more = self._cursors.cut(request, page, lambda row: (row.changed_at, row.contact_e164))
        return pb.ListOptOutsResponse(opt_outs=[present(row) for row in rows], next_cursor=more)

    async def AddOptOut(self, request: pb.AddOptOutRequest, call: Call) -> pb.AddOptOutResponse:
        org, contact_e164 = call.who.org_id, request.opt_out.contact_e164
        await usecases.opt_out(call.tx, org, contact_e164, _source(call.who))
        return pb.AddOptOutResponse(opt_out=present(await opt_outs.get(call.tx, org, contact_e164)))

    async def GetOptOut(self, request: pb.GetOptOutRequest, call: Call) -> pb.GetOptOutResponse:
        row = await opt_outs.get(call.tx, call.who.org_id, request.contact_e164)
        return pb.GetOptOutResponse(opt_out=present(row))

    async def RemoveOptOut(self, request: pb.RemoveOptOutRequest, call: Call) -> pb.RemoveOptOutResponse:
        row = await opt_outs.get(call.tx, call.who.org_id, request.contact_e164)
        await usecases.opt_in(call.tx, call.who.org_id, row.contact_e164, _source(call.who))
        return pb.RemoveOptOutResponse()


def _source(who: Principal) -> str:
    return "api" if who.key_id is not None else "human"


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
