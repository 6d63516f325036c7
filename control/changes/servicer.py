"""ChangesService (proto/hum/v1/changes.proto)."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from control.boundary import TenantContext
from control.changepoller import ChangePoller
from control.changes import kinds
from control.changestreams import ChangeStream, PollIntervals, StreamDependencies
from control.feature import Deps
from hum import rpc
from hum.v1 import changes_pb2 as pb


class ChangesServicer:
    """The servicer of changes."""

    def __init__(self, deps: Deps, intervals: PollIntervals) -> None:
        self._dependencies = StreamDependencies(
            deps.db, ChangePoller(deps.db, intervals.poll_seconds), intervals, deps.stopping
        )

    async def StreamChanges(
        self, request: pb.StreamChangesRequest, ctx: TenantContext
    ) -> AsyncIterator[pb.StreamChangesResponse]:
        await ctx.context.send_initial_metadata(((rpc.STREAM, "open"),))
        stream = ChangeStream(
            self._dependencies, ctx.organization, pb.StreamChangesResponse, kinds.visible_to(ctx.principal)
        )
        async with aclosing(stream.events(request.last_event_id)) as events:
            async for event in events:
                yield event
