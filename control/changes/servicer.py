"""ChangesService (proto/hum/v1/changes.proto)."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from control.boundary import TenantContext
from control.changes import kinds
from control.feature import Deps
from control.following import Following, Rests, Source
from control.watch import Watch
from hum.contract import rpc
from hum.v1 import changes_pb2 as pb


class ChangesServicer:
    """The servicer of changes."""

    def __init__(self, deps: Deps, rests: Rests) -> None:
        self._source = Source(deps.db, Watch(deps.db, rests.poll_seconds), rests, deps.stopping)

    async def StreamChanges(
        self, request: pb.StreamChangesRequest, ctx: TenantContext
    ) -> AsyncIterator[pb.StreamChangesResponse]:
        await ctx.context.send_initial_metadata(((rpc.STREAM, "open"),))
        following = Following(self._source, ctx.organization, pb.StreamChangesResponse, kinds.visible_to(ctx.principal))
        async with aclosing(following.events(request.last_event_id)) as events:
            async for event in events:
                yield event
