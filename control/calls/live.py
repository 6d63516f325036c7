"""A call's events as they happen: the stored ones from the database, the transcript's deltas from the bus.

The bus only says that there is something new; what is new is read by the call's own sequence, so nothing is lost,
doubled or out of order, however often the bus stumbles.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from uuid import UUID

from control.bus import COMMANDS, DELTAS, Bus
from control.calls import present, rules
from hum import ids
from hum.clock import monotonic_ms, now
from hum.errors import ApiKeyRequired
from hum.ids import Kind
from hum.v1 import calls_pb2 as pb
from storage import calls, events
from storage.db import Db

MAX_WAITING_DELTAS = 1000


class LiveCall:
    """One listener of one call."""

    def __init__(self, db: Db, bus: Bus, org: UUID, id: UUID, recheck_seconds: float) -> None:
        self._db, self._bus, self._org, self._id = db, bus, org, id
        self._recheck_seconds = recheck_seconds
        self._public_id = ids.show(Kind.CALL, id)
        self._wake = asyncio.Event()
        self._deltas: list[pb.StreamCallResponse] = []

    async def events(
        self, after: int, still_admitted: Callable[[], Awaitable[bool]]
    ) -> AsyncIterator[pb.StreamCallResponse]:
        """The events behind the sequence `after`, until the call is over.  Raises ApiKeyRequired when access is lost."""
        unsubscribe = (
            self._bus.subscribe(calls.CHANNEL, self._changed),
            self._bus.subscribe(DELTAS, self._said),
        )
        try:
            checked_ms = monotonic_ms()
            await self._watch(on=True)
            while True:
                self._wake.clear()  # before looking, or a wake-up in between is lost
                async with self._db.tenant(self._org) as tx:
                    stored = await events.of_subject(tx, self._id, after)
                for event in stored:
                    yield present.streamed(event)
                    after = event.seq
                    if event.type == "call.ended":
                        return
                waiting, self._deltas = self._deltas, []
                for delta in waiting:
                    yield delta
                if not stored:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._wake.wait(), self._recheck_seconds)
                if monotonic_ms() - checked_ms >= self._recheck_seconds * 1000:
                    if not await still_admitted():
                        raise ApiKeyRequired
                    checked_ms = monotonic_ms()
                    await self._watch(on=True)  # another listener's leaving may have switched it off
        finally:
            for end in unsubscribe:
                end()
            await asyncio.shield(self._watch(on=False))

    async def _watch(self, *, on: bool) -> None:
        """Ask the media process for the transcript as it comes, or tell it to stop."""
        async with self._db.system() as tx:
            state = await calls.look(tx, self._id)
        if state.node is not None and state.status in rules.LIVE:
            await self._bus.publish(
                COMMANDS, {"node": state.node, "call": self._public_id, "command": "watch", "on": on}
            )

    def _changed(self, payload: str) -> None:
        if payload in {"", str(self._id)}:
            self._wake.set()

    def _said(self, payload: str) -> None:
        if not payload or self._public_id not in payload:
            return
        call_id, delta = present.delta(payload, now())
        if call_id == self._public_id and len(self._deltas) < MAX_WAITING_DELTAS:
            self._deltas.append(delta)
            self._wake.set()
