"""EventsService (proto/hum/v1/events.proto)."""

from control.base import eventscopes
from control.base.wire import timestamp
from control.boundary import TransactionContext
from hum import ids, pages
from hum.contract.errors import InvalidCursor
from hum.ids import Kind
from hum.v1 import events_pb2 as pb
from storage import events
from storage.db import Tx
from storage.events import EventRow

DEFAULT_LIMIT = 50
BEGINNING = ("0", 0)


class EventsServicer:
    async def ListEvents(self, request: pb.ListEventsRequest, ctx: TransactionContext) -> pb.ListEventsResponse:
        limit = request.limit if request.HasField("limit") else DEFAULT_LIMIT
        eventscopes.require(ctx.principal, request.type)
        types = list(request.type) or eventscopes.readable(ctx.principal)
        after = await _place(ctx.tx, request.after, events.END if request.newest_first else BEGINNING)
        rows = await events.page(ctx.tx, after, types, limit + 1, newest_first=request.newest_first)
        length = pages.length((row.size for row in rows), limit)
        return pb.ListEventsResponse(events=[present(row) for row in rows[:length]], has_more=len(rows) > length)


async def _place(tx: Tx, after: str, start: tuple[str, int]) -> tuple[str, int]:
    if not after:
        return start
    id = ids.parse(Kind.EVENT, after)
    place = await events.position_of(tx, id) if id else None
    if place is None:
        raise InvalidCursor
    return place


def present(row: EventRow) -> pb.Event:
    return pb.Event(
        id=ids.show(Kind.EVENT, row.public_id),
        type=row.type,
        version=row.version,
        created_at=timestamp(row.created_at),
        organization_id=ids.show(Kind.ORGANIZATION, row.org_id),
        data_json=row.data,
    )
