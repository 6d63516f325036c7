"""A call's events as they happen: the stored ones from the database, the transcript's deltas from the bus.

The bus only signals that there is something new; stored events are read by the call's own sequence, so none is lost,
duplicated or out of order, even when the bus loses messages.  A delta that comes after its turn is dropped: bus and database
are two ways.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from uuid import UUID

from control.bus import Bus
from control.calls import rules
from control.calls.channels import CHANGED, COMMANDS, DELTAS
from control.calls.stream import streamed
from hum import ids
from hum.clock import monotonic_ms
from hum.ids import Kind
from hum.settings import CallsSettings
from hum.v1 import calls_pb2 as pb
from hum.v1 import runtime_pb2
from storage import call_events, calls
from storage.call_events import CallEventRow
from storage.db import Db

MAX_WAITING_DELTAS = 1000
STORED = 500


class LiveCall:
    """One listener of one call."""

    def __init__(self, db: Db, bus: Bus, settings: CallsSettings, stopping: asyncio.Event, org: UUID, id: UUID) -> None:
        self._db, self._bus, self._settings, self._stopping = db, bus, settings, stopping
        self._org, self._id, self._public_id = org, id, ids.show(Kind.CALL, id)
        self._wake = asyncio.Event()
        self._deltas: list[runtime_pb2.CallDelta] = []
        self._ended: set[str] = set()  # the utterances whose turns were sent

    async def events(self, after: int) -> AsyncGenerator[pb.StreamCallResponse, None]:
        """Yield the events after the sequence `after`, until the call is over or this process is asked to stop: then the
        client asks another process for the rest.
        """
        unsubscribe = (self._bus.subscribe(CHANGED, self._changed), self._bus.subscribe(DELTAS, self._spoken))
        stopping = asyncio.create_task(self._wake_on_stop())
        try:
            await self._recall(after)
            watched_ms = float("-inf")
            while not self._stopping.is_set():
                self._wake.clear()  # before looking, or a wake-up in between is lost
                stored = await self._stored(after)
                for event in stored:
                    yield self._told(event)
                    after = event.seq
                    if event.type == "call.ended":
                        return
                    if event.type == "call.state":
                        watched_ms = float("-inf")  # another media process may have it now
                if len(stored) == STORED:
                    continue
                if monotonic_ms() - watched_ms >= self._settings.watch_seconds * 500:
                    await self._watch()
                    watched_ms = monotonic_ms()
                for delta in await self._spoken_since():
                    yield delta
                if not stored:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._wake.wait(), self._settings.watch_seconds / 2)
        finally:
            stopping.cancel()
            for end in unsubscribe:
                end()

    async def _recall(self, after: int) -> None:
        """What a client that reconnects has had already."""
        if after:
            async with self._db.tenant(self._org) as tx:
                self._ended.update(await calls.items(tx, self._id))

    async def _stored(self, after: int) -> list[CallEventRow]:
        async with self._db.tenant(self._org) as tx:
            return await call_events.after(tx, self._id, after, STORED)

    def _told(self, event: CallEventRow) -> pb.StreamCallResponse:
        shown = streamed(event)
        if shown.WhichOneof("event") == "turn":
            self._ended.add(shown.turn.item_id)
        return shown

    async def _spoken_since(self) -> list[pb.StreamCallResponse]:
        """The deltas that have come, without those that come too late."""
        waiting, self._deltas = self._deltas, []
        kept = [each for each in waiting if each.delta.item_id not in self._ended]
        placed = [pb.StreamCallResponse(at=each.at, delta=each.delta) for each in kept]  # copies: others get them too
        offsets_ms = {number: await self._offset_ms(number) for number in {each.stream_number for each in kept}}
        for each, shown in zip(kept, placed, strict=True):
            shown.delta.start_ms += offsets_ms[each.stream_number]
        return placed

    async def _offset_ms(self, stream: int) -> int:
        """When one of the call's streams began, since the first did: turns count from there too."""
        if stream <= 1:
            return 0
        async with self._db.system() as tx:
            known = await calls.stream(tx, self._id, stream)
        return known.offset_ms if known else 0

    async def _wake_on_stop(self) -> None:
        await self._stopping.wait()
        self._wake.set()

    async def _watch(self) -> None:
        """Ask the media process for the live transcript until the lease expires.  It is never cancelled: others may be
        following the call too.
        """
        async with self._db.system() as tx:
            state = await calls.look(tx, self._id)
        if state.node is not None and state.status in rules.LIVE:
            watch = runtime_pb2.WatchCall(for_ms=round(self._settings.watch_seconds * 1000))
            command = runtime_pb2.CallCommand(call_id=self._public_id, watch=watch)
            await self._bus.publish(COMMANDS, runtime_pb2.NodeCommand(node=state.node, command=command))

    def _changed(self, id: UUID | None) -> None:
        if id in {None, self._id}:
            self._wake.set()

    def _spoken(self, batch: runtime_pb2.CallDeltas | None) -> None:
        for each in batch.deltas if batch else ():
            if each.call_id == self._public_id and len(self._deltas) < MAX_WAITING_DELTAS:
                self._deltas.append(each)
                self._wake.set()
