"""Approvals as they change, for those who follow.

A client's place is a transaction: all that changed up to there was told, each approval as it is now.  One that stands in the middle
of a transaction has no id, and is told again to whoever goes on from an older place.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from uuid import UUID

from control.approvals import present
from control.bus import Bus, Channel
from hum.v1 import approvals_pb2 as pb
from storage import approvals
from storage.db import Db, Tx

#: The organization in which something has changed; sent by the transaction that changed it.
CHANGED = Channel(approvals.CHANNEL, UUID, str)
BATCH = 100
_ALL = UUID(int=(1 << 128) - 1)
Place = tuple[int, UUID]


@dataclass(frozen=True, slots=True)
class Rests:
    """Seconds that a stream waits without news until it looks again, and until an older transaction may be over."""

    idle_seconds: float
    look_seconds: float


class LiveApprovals:
    """One listener of an organization's approvals."""

    def __init__(self, db: Db, bus: Bus, rests: Rests, stopping: asyncio.Event, org: UUID) -> None:
        self._db, self._bus, self._rests, self._stopping, self._org = db, bus, rests, stopping, org
        self._wake = asyncio.Event()

    async def events(self, last: int) -> AsyncGenerator[pb.StreamApprovalsResponse, None]:
        """Yield what changed after the transaction `last` (0: from now on), until this process is asked to stop."""
        unfollow = self._bus.subscribe(CHANGED, self._changed)
        stopping = asyncio.create_task(self._wake_on_stop())
        try:
            place = last, _ALL
            while not self._stopping.is_set():
                self._wake.clear()  # before looking, or a wake-up in between is lost
                async with self._db.tenant(self._org) as tx:
                    found, place, rest_seconds = await self._look(tx, place)
                for event in found:
                    yield event
                if rest_seconds:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._wake.wait(), rest_seconds)
        finally:
            stopping.cancel()
            unfollow()

    def _changed(self, org: UUID | None) -> None:
        if org in {None, self._org}:
            self._wake.set()

    async def _look(self, tx: Tx, place: Place) -> tuple[list[pb.StreamApprovalsResponse], Place, float]:
        """What is new, the place after it, and how long to rest then."""
        below = await approvals.horizon(tx)
        if not 0 < place[0] < below:
            resync = pb.StreamApprovalsResponse(seq=below - 1, resync=pb.ApprovalsResync())
            return [resync], (below - 1, _ALL), 0
        rows = await approvals.after(tx, place, below, BATCH)
        is_all = len(rows) < BATCH
        ends = [one[0] != other[0] for one, other in pairwise(rows)] + [is_all]
        found = [
            pb.StreamApprovalsResponse(seq=xid if ends_here else 0, approval=present.approval(row))
            for (xid, row), ends_here in zip(rows, ends, strict=False)
        ]
        if not is_all:
            return found, (rows[-1][0], rows[-1][1].id), 0
        more = await approvals.is_more(tx, below)
        return found, (below - 1, _ALL), self._rests.look_seconds if more else self._rests.idle_seconds

    async def _wake_on_stop(self) -> None:
        await self._stopping.wait()
        self._wake.set()
