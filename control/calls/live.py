"""A call's events as they happen: stored events from the database, transcript deltas from the bus.

For stored events, the bus only signals that there are new ones; they are read by the call's own sequence, so none is
lost, duplicated or out of order even when the bus loses messages.  A delta may arrive after its turn, which comes from
the database, and is dropped then.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from uuid import UUID

from control.bus import Bus
from control.livecall.callstatus import LIVE
from control.livecall.channels import CHANGED, COMMANDS, DELTAS
from control.livecall.stream import streamed
from hum import ids
from hum.clock import monotonic_ms
from hum.ids import Kind
from hum.v1 import calls_pb2 as pb
from hum.v1 import runtime_pb2
from storage import call_events, call_records, calls
from storage.call_events import CallEventRow
from storage.db import LIMITS, Db

#: Seconds before a lease on a call's transcript deltas expires, unless renewed.
WATCH_SECONDS = 30.0

MAX_PENDING_DELTAS = 1000
EVENTS_PER_READ = 500


class LiveCall:
    """A client that follows a call."""

    def __init__(self, db: Db, bus: Bus, stopping: asyncio.Event, org: UUID, id: UUID) -> None:
        self._db, self._bus, self._stopping = db, bus, stopping
        self._org, self._id, self._public_id = org, id, ids.show(Kind.CALL, id)
        self._wake = asyncio.Event()
        self._deltas: list[runtime_pb2.CallDelta] = []
        #: The items with final turns that were sent.
        self._final_items: set[str] = set()

    async def events(self, after: int) -> AsyncGenerator[pb.StreamCallResponse, None]:
        """Yield the events after the sequence `after`, until the call is over or this process is asked to stop.

        In the second case, the client requests the rest from another process.
        """
        unsubscribe = (self._bus.subscribe(CHANGED, self._notice), self._bus.subscribe(DELTAS, self._add_deltas))
        stopping = asyncio.create_task(self._wake_on_stop())
        try:
            await self._load_sent_items(after)
            watched_ms = float("-inf")
            while not self._stopping.is_set():
                # Before reading, so that no wake-up in between is lost.
                self._wake.clear()
                stored = await self._stored(after)
                for event in stored:
                    yield self._present(event)
                    after = event.seq
                    if event.type == "call.ended":
                        return
                    # Another media process may have the call now.
                    if event.type == "call.state":
                        watched_ms = float("-inf")
                if len(stored) == EVENTS_PER_READ:
                    continue
                if monotonic_ms() - watched_ms >= WATCH_SECONDS * 500:
                    await self._watch()
                    watched_ms = monotonic_ms()
                deltas = await self._drain_deltas()
                if not await self._is_seen():
                    return
                for delta in deltas:
                    yield delta
                if not stored:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._wake.wait(), WATCH_SECONDS / 2)
        finally:
            stopping.cancel()
            for end in unsubscribe:
                end()

    async def _load_sent_items(self, after: int) -> None:
        """Load the items of the turns that a reconnecting client already has."""
        if after:
            async with self._db.tenant(self._org) as tx:
                self._final_items.update(await calls.items(tx, self._id))

    async def _stored(self, after: int) -> list[CallEventRow]:
        async with self._db.tenant(self._org) as tx:
            return await call_events.after(tx, self._id, after, EVENTS_PER_READ)

    def _present(self, event: CallEventRow) -> pb.StreamCallResponse:
        response = streamed(event)
        if response.WhichOneof("event") == "turn":
            self._final_items.add(response.turn.item_id)
        return response

    async def _is_seen(self) -> bool:
        """Return whether the client still sees the call: another agent may have it now, and the bus knows no limits."""
        if LIMITS.get() is None:
            return True
        async with self._db.tenant(self._org) as tx:
            return bool(await call_records.get_many(tx, [self._id]))

    async def _drain_deltas(self) -> list[pb.StreamCallResponse]:
        """Return the deltas that have arrived, without those of final turns; empty the buffer."""
        pending, self._deltas = self._deltas, []
        current = [delta for delta in pending if delta.delta.item_id not in self._final_items]
        # Copies, since other listeners get the same deltas.
        responses = [pb.StreamCallResponse(at=delta.at, delta=delta.delta) for delta in current]
        offsets_ms = {number: await self._offset_ms(number) for number in {delta.stream_number for delta in current}}
        for delta, response in zip(current, responses, strict=True):
            response.delta.start_ms += offsets_ms[delta.stream_number]
        return responses

    async def _offset_ms(self, stream: int) -> int:
        """Return when one of the call's streams began, in ms since the first one did, as turns count."""
        if stream <= 1:
            return 0
        async with self._db.system() as tx:
            row = await calls.stream(tx, self._id, stream)
        return row.offset_ms if row else 0

    async def _wake_on_stop(self) -> None:
        await self._stopping.wait()
        self._wake.set()

    async def _watch(self) -> None:
        """Request the live transcript from the media process for the time of a lease.

        The lease is never cancelled, since other clients may follow the call too.
        """
        async with self._db.system() as tx:
            state = await calls.get(tx, self._id)
        if state.node is not None and state.status in LIVE:
            watch = runtime_pb2.WatchCall(for_ms=round(WATCH_SECONDS * 1000))
            command = runtime_pb2.CallCommand(call_id=self._public_id, watch=watch)
            await self._bus.publish(COMMANDS, runtime_pb2.NodeCommand(node=state.node, command=command))

    def _notice(self, id: UUID | None) -> None:
        if id in {None, self._id}:
            self._wake.set()

    def _add_deltas(self, batch: runtime_pb2.CallDeltas | None) -> None:
        for delta in batch.deltas if batch else ():
            if delta.call_id == self._public_id and len(self._deltas) < MAX_PENDING_DELTAS:
                self._deltas.append(delta)
                self._wake.set()
