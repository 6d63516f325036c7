"""Sending deliveries that are due: many receivers side by side, none waiting for another.

Three moments, as with texts: deliveries are taken, a batch in one transaction; their receivers are asked with nothing open
(`posting`); what came of it is recorded, a batch in one transaction (`recording`).  A receiver that is slow or dead has as many
requests under way as its window lets it, which shrinks with each failure; one that keeps failing is tried once in a while.
"""

import asyncio
from collections import Counter as Counts
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

from prometheus_client import Histogram

from control.webhooks import rules
from control.webhooks.posting import Poster, Taken
from control.webhooks.recording import Recorder
from control.webhooks.rules import Ask
from hum import ids
from hum.clock import monotonic_ms, now
from hum.telemetry import log
from storage import webhook_queues
from storage.db import Db
from storage.webhook_queues import Dead, QueueRow, TakenRow

LOG = log(__name__)
LAG = Histogram(
    "hum_webhook_lag_seconds",
    "From an event until its first attempt at a webhook began",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 30, 300, 3600),
)
#: Webhooks whose windows are remembered though nothing is under way.
MOST_WINDOWS = 10_000
FIRST_WINDOW = 8


@dataclass(frozen=True, slots=True)
class Means:
    """How many requests at once, in all and of one; the rest in seconds."""

    width: int
    organization_width: int
    endpoint_width: int
    dead_width: int
    dead: Dead
    request_seconds: float
    lease_seconds: float
    batch_seconds: float
    look_seconds: float


@dataclass(slots=True)
class Traffic:
    """Requests under way, and how many more there may be."""

    by_webhook: Counts[UUID] = field(default_factory=Counts)
    by_organization: Counts[UUID] = field(default_factory=Counts)
    #: Those of webhooks that were taken for dead.
    dead: int = 0
    windows: dict[UUID, int] = field(default_factory=dict)

    def begin(self, row: TakenRow, is_dead: bool) -> None:
        self.by_webhook[row.webhook_id] += 1
        self.by_organization[row.org_id] += 1
        self.dead += is_dead

    def end(self, row: TakenRow, is_dead: bool) -> None:
        for counts, id in ((self.by_webhook, row.webhook_id), (self.by_organization, row.org_id)):
            counts[id] -= 1
            if not counts[id]:
                del counts[id]
        self.dead -= is_dead

    def widen(self, webhook: UUID, widest: int, succeeded: bool) -> None:
        self.windows[webhook] = rules.widened(self.window(webhook), widest, succeeded)
        if len(self.windows) > MOST_WINDOWS:
            self.windows.pop(next(iter(self.windows)))

    def window(self, webhook: UUID) -> int:
        return self.windows.get(webhook, FIRST_WINDOW)

    def room(self, webhook: UUID, widest: int) -> int:
        return min(widest, self.window(webhook)) - self.by_webhook[webhook]


class Sender:
    """Sends what is due; any number of processes may have one."""

    def __init__(self, db: Db, poster: Poster, recorder: Recorder, means: Means) -> None:
        self._db, self._poster, self._recorder, self._means = db, poster, recorder, means
        self._traffic, self._tasks = Traffic(), set[asyncio.Task[None]]()
        #: Somebody told of a delivery, or there is room again.
        self.woken = asyncio.Event()
        recorder.then = self.woken.set

    def tell(self, _: object) -> None:
        """Something is due."""
        self.woken.set()

    async def send_due(self) -> None:
        """Send everything that is due, and what becomes due meanwhile."""
        try:
            while True:
                self.woken.clear()
                began_ms = monotonic_ms()
                taken = await self._take()
                if taken:
                    await self._poster.at_step("claimed")
                for each, is_dead in taken:
                    task = asyncio.create_task(self._send(each, is_dead), name="webhook")
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
                if not taken and not self._tasks:
                    await self._recorder.rest()  # it locks what it records, so this look may have passed some by
                    if not self.woken.is_set():
                        return
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.woken.wait(), self._means.look_seconds)
                await asyncio.sleep(max(0.0, self._means.batch_seconds - (monotonic_ms() - began_ms) / 1000))
        finally:
            if self._tasks:
                await asyncio.wait(self._tasks)
            await self._recorder.rest()

    async def _take(self) -> list[tuple[Taken, bool]]:
        """Take what there is room for."""
        means, traffic = self._means, self._traffic
        room = means.width - len(self._tasks)
        if room <= 0:
            return []
        full = [id for id in traffic.by_webhook if traffic.room(id, means.endpoint_width) <= 0]
        full_orgs = [id for id, count in traffic.by_organization.items() if count >= means.organization_width]
        dead_room = means.dead_width - traffic.dead
        began_ms = monotonic_ms()
        async with self._db.system() as tx:
            found = await webhook_queues.look(tx, full, full_orgs, means.dead, dead_room > 0, room)
            if not found:
                return []
            rooms = self._rooms(found, room, dead_room)
            claim = ids.new()
            rows = await webhook_queues.take(tx, rooms, claim, means.lease_seconds) if rooms else []
            await webhook_queues.look_again(tx, self._waits(found, rooms, rows))
        at, taken = now(), list[tuple[Taken, bool]]()
        dead = {each.webhook_id for each in found if each.failures >= means.dead.failures}
        for row in rows:
            if row.attempts == 1:
                LAG.observe(max(0.0, (at - row.created_at).total_seconds()))
            is_dead = row.webhook_id in dead
            traffic.begin(row, is_dead)
            taken.append((Taken(row, claim, began_ms), is_dead))
        return taken

    def _rooms(self, found: list[QueueRow], room: int, dead_room: int) -> dict[UUID, int]:
        """How many deliveries of each are taken: one of a dead one, none of an organization that has enough."""
        means, traffic, asks = self._means, self._traffic, list[Ask]()
        for each in found:
            held, wish = traffic.by_webhook[each.webhook_id], traffic.room(each.webhook_id, means.endpoint_width)
            if each.failures >= means.dead.failures:
                wish = min(1 - held, dead_room)
                dead_room -= max(0, wish)
            asks.append(Ask(each.org_id, wish, held))
        left = {org: means.organization_width - traffic.by_organization[org] for org in {each.org_id for each in found}}
        shares = rules.share(room, left, asks)
        return {each.webhook_id: count for each, count in zip(found, shares, strict=True) if count}

    def _waits(self, found: list[QueueRow], rooms: dict[UUID, int], rows: list[TakenRow]) -> dict[UUID, float]:
        """For how many seconds nobody needs to look at each again.

        One that filled its room may have more; one that did not has no more, or only what waits for what is under way.
        """
        counts, waits = Counts(row.webhook_id for row in rows), dict[UUID, float]()
        for each in found:
            if each.failures >= self._means.dead.failures:
                waits[each.webhook_id] = (
                    self._means.lease_seconds if counts[each.webhook_id] else self._means.look_seconds
                )
            else:
                is_full = counts[each.webhook_id] >= rooms.get(each.webhook_id, 0)
                waits[each.webhook_id] = 0.0 if is_full else self._means.look_seconds
        return waits

    async def _send(self, taken: Taken, is_dead: bool) -> None:
        means, row = self._means, taken.row
        try:
            if monotonic_ms() - taken.began_ms > (means.lease_seconds - means.request_seconds) * 1000:
                return  # this process stood still for so long that others may have it soon
            outcome = await self._poster.send(taken)
            self._traffic.widen(row.webhook_id, means.endpoint_width, outcome.row.state == "delivered")
            self._recorder.put(outcome)
        except Exception:  # whatever it was, the lease ends and another attempt is made
            LOG.exception("an attempt at a webhook failed", delivery=str(row.id))
        finally:
            self._traffic.end(row, is_dead)
            self.woken.set()
