"""The event stream of changed approvals.

A client's cursor (`seq`) is a transaction id: all changes up to that transaction were sent, each approval in its
present state.  Of a transaction with several approvals only the last event has a `seq`: a client that resumes from an
older one gets the others again.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from itertools import pairwise
from uuid import UUID

from control.approvals import present
from control.bus import Bus, BusChannel
from control.changestreams import PollIntervals
from hum.v1 import approvals_pb2 as pb
from storage import approvals
from storage.db import Db, Tx

#: The organization of a changed approval, notified by the transaction that changed it.
CHANGED = BusChannel(approvals.CHANNEL, UUID, str)
BATCH = 100
_ALL = UUID(int=(1 << 128) - 1)
Place = tuple[int, UUID]


class LiveApprovals:
    """One client's stream of an organization's approvals."""

    def __init__(self, db: Db, bus: Bus, intervals: PollIntervals, stopping: asyncio.Event, org: UUID) -> None:
        self._db, self._bus, self._intervals, self._stopping, self._org = db, bus, intervals, stopping, org
        self._wake = asyncio.Event()

    async def events(self, last: int) -> AsyncGenerator[pb.StreamApprovalsResponse, None]:
        """Yield approvals that changed after the transaction `last` (0: from now on), until this process stops."""
        unsubscribe = self._bus.subscribe(CHANGED, self._on_change)
        stopping = asyncio.create_task(self._wake_on_stop())
        try:
            place = last, _ALL
            while not self._stopping.is_set():
                # Before reading, or a notification in between would be lost.
                self._wake.clear()
                async with self._db.tenant(self._org) as tx:
                    events, place, wait_seconds = await self._read(tx, place)
                for event in events:
                    yield event
                if wait_seconds:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._wake.wait(), wait_seconds)
        finally:
            stopping.cancel()
            unsubscribe()

    def _on_change(self, org: UUID | None) -> None:
        if org in {None, self._org}:
            self._wake.set()

    async def _read(self, tx: Tx, place: Place) -> tuple[list[pb.StreamApprovalsResponse], Place, float]:
        """Return new events, the cursor after them, and the seconds to wait before the next read."""
        below = await approvals.horizon(tx)
        if not 0 < place[0] < below:
            resync = pb.StreamApprovalsResponse(seq=below - 1, resync=pb.ApprovalsResync())
            return [resync], (below - 1, _ALL), 0
        rows = await approvals.after(tx, place, below, BATCH)
        is_all = len(rows) < BATCH
        ends = [row[0] != next_row[0] for row, next_row in pairwise(rows)] + [is_all]
        events = [
            pb.StreamApprovalsResponse(seq=xid if ends_here else 0, approval=present.approval(row))
            for (xid, row), ends_here in zip(rows, ends, strict=False)
        ]
        if not is_all:
            return events, (rows[-1][0], rows[-1][1].id), 0
        more = await approvals.has_more(tx, below)
        return events, (below - 1, _ALL), self._intervals.poll_seconds if more else self._intervals.idle_seconds

    async def _wake_on_stop(self) -> None:
        await self._stopping.wait()
        self._wake.set()
