"""The sender of due deliveries: many receivers in parallel, none delayed by another.

A delivery takes three steps, as a text does: it is claimed, in a batch per transaction; its receiver is called, with no
transaction open (`posting`); the outcome is recorded, in a batch per transaction (`recording`).  A window limits the requests in
flight to each receiver, and shrinks with each failure; a receiver that keeps failing counts as dead and is probed rarely.
"""

import asyncio
from collections import Counter as Counts
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

from prometheus_client import Histogram

from control.webhooks import fairshare
from control.webhooks.fairshare import Demand
from control.webhooks.posting import ClaimedDelivery, WebhookPoster
from control.webhooks.recording import OutcomeRecorder
from hum import ids
from hum.clock import monotonic_ms, now
from hum.observe.logs import log
from storage import webhook_queues
from storage.db import Db
from storage.webhook_queues import DeadBackOff, DueDeliveryRow, QueueRow

LOG = log(__name__)
LAG = Histogram(
    "hum_webhook_lag_seconds",
    "From an event until its first attempt at a webhook began",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 30, 300, 3600),
)
#: Webhooks whose windows are remembered.
MOST_WINDOWS = 10_000
FIRST_WINDOW = 8


@dataclass(frozen=True, slots=True)
class WebhookSendLimits:
    """Concurrency limits (all requests, of an organization, an endpoint, dead endpoints), and durations in seconds."""

    width: int
    organization_width: int
    endpoint_width: int
    dead_width: int
    dead: DeadBackOff
    request_seconds: float
    lease_seconds: float
    batch_seconds: float
    poll_seconds: float


@dataclass(slots=True)
class Traffic:
    """The requests in flight, and the windows of webhooks."""

    by_webhook: Counts[UUID] = field(default_factory=Counts)
    by_organization: Counts[UUID] = field(default_factory=Counts)
    #: Requests to webhooks that count as dead.
    dead: int = 0
    windows: dict[UUID, int] = field(default_factory=dict)

    def begin(self, row: DueDeliveryRow, is_dead: bool) -> None:
        self.by_webhook[row.webhook_id] += 1
        self.by_organization[row.org_id] += 1
        self.dead += is_dead

    def end(self, row: DueDeliveryRow, is_dead: bool) -> None:
        for counts, id in ((self.by_webhook, row.webhook_id), (self.by_organization, row.org_id)):
            counts[id] -= 1
            if not counts[id]:
                del counts[id]
        self.dead -= is_dead

    def widen(self, webhook: UUID, widest: int, succeeded: bool) -> None:
        self.windows[webhook] = fairshare.widened(self.window(webhook), widest, succeeded)
        if len(self.windows) > MOST_WINDOWS:
            self.windows.pop(next(iter(self.windows)))

    def window(self, webhook: UUID) -> int:
        return self.windows.get(webhook, FIRST_WINDOW)

    def capacity(self, webhook: UUID, widest: int) -> int:
        """Return how many more requests to a webhook may be in flight."""
        return min(widest, self.window(webhook)) - self.by_webhook[webhook]


class WebhookSender:
    """The sender of due deliveries; any number of processes may run one."""

    def __init__(self, db: Db, poster: WebhookPoster, recorder: OutcomeRecorder, limits: WebhookSendLimits) -> None:
        self._db, self._poster, self._recorder, self._limits = db, poster, recorder, limits
        self._traffic, self._tasks = Traffic(), set[asyncio.Task[None]]()
        #: Set when a delivery is due, or capacity is free again.
        self.woken = asyncio.Event()
        recorder.then = self.woken.set

    def wake(self, _: object) -> None:
        """Wake the sender: a delivery is due."""
        self.woken.set()

    async def send_due(self) -> int:
        """Send the due deliveries, and those that become due meanwhile; return how many."""
        found = 0
        try:
            while True:
                self.woken.clear()
                began_ms = monotonic_ms()
                batch = await self._claim()
                found += len(batch)
                if batch:
                    await self._poster.at_step("claimed")
                for claimed, is_dead in batch:
                    task = asyncio.create_task(self._send(claimed, is_dead), name="webhook")
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
                if not batch and not self._tasks:
                    # The claim skips webhooks that the recorder has locked.
                    await self._recorder.rest()
                    if not self.woken.is_set():
                        return found
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.woken.wait(), self._limits.poll_seconds)
                await asyncio.sleep(max(0.0, self._limits.batch_seconds - (monotonic_ms() - began_ms) / 1000))
        finally:
            if self._tasks:
                await asyncio.wait(self._tasks)
            await self._recorder.rest()

    async def _claim(self) -> list[tuple[ClaimedDelivery, bool]]:
        """Claim as many due deliveries as there is capacity for; return them, and whether their webhooks count as dead."""
        limits, traffic = self._limits, self._traffic
        capacity = limits.width - len(self._tasks)
        if capacity <= 0:
            return []
        full = [id for id in traffic.by_webhook if traffic.capacity(id, limits.endpoint_width) <= 0]
        full_orgs = [id for id, count in traffic.by_organization.items() if count >= limits.organization_width]
        dead_capacity = limits.dead_width - traffic.dead
        began_ms = monotonic_ms()
        async with self._db.system() as tx:
            queues = await webhook_queues.lock_due(tx, full, full_orgs, limits.dead, dead_capacity > 0, capacity)
            if not queues:
                return []
            shares = self._shares(queues, capacity, dead_capacity)
            claim = ids.new()
            rows = await webhook_queues.claim(tx, shares, claim, limits.lease_seconds) if shares else []
            await webhook_queues.schedule_visits(tx, self._waits(queues, shares, rows))
        at, claimed = now(), list[tuple[ClaimedDelivery, bool]]()
        dead = {queue.webhook_id for queue in queues if queue.failures >= limits.dead.failures}
        for row in rows:
            if row.attempts == 1:
                LAG.observe(max(0.0, (at - row.created_at).total_seconds()))
            is_dead = row.webhook_id in dead
            traffic.begin(row, is_dead)
            claimed.append((ClaimedDelivery(row, claim, began_ms), is_dead))
        return claimed

    def _shares(self, queues: list[QueueRow], capacity: int, dead_capacity: int) -> dict[UUID, int]:
        """Return how many deliveries to claim per webhook: one of a dead webhook, none of an organization at its limit."""
        limits, traffic, demands = self._limits, self._traffic, list[Demand]()
        for queue in queues:
            in_flight, wanted = (
                traffic.by_webhook[queue.webhook_id],
                traffic.capacity(queue.webhook_id, limits.endpoint_width),
            )
            if queue.failures >= limits.dead.failures:
                wanted = min(1 - in_flight, dead_capacity)
                dead_capacity -= max(0, wanted)
            demands.append(Demand(queue.org_id, wanted, in_flight))
        left = {
            org: limits.organization_width - traffic.by_organization[org] for org in {queue.org_id for queue in queues}
        }
        shares = fairshare.share(capacity, left, demands)
        return {queue.webhook_id: count for queue, count in zip(queues, shares, strict=True) if count}

    def _waits(self, queues: list[QueueRow], shares: dict[UUID, int], rows: list[DueDeliveryRow]) -> dict[UUID, float]:
        """Return the seconds until each webhook is polled again.

        A webhook that used its whole share may have more due.  Any other has nothing due, or only what waits for requests in flight.
        """
        counts, waits = Counts(row.webhook_id for row in rows), dict[UUID, float]()
        for queue in queues:
            if queue.failures >= self._limits.dead.failures:
                waits[queue.webhook_id] = (
                    self._limits.lease_seconds if counts[queue.webhook_id] else self._limits.poll_seconds
                )
            else:
                is_full = counts[queue.webhook_id] >= shares.get(queue.webhook_id, 0)
                waits[queue.webhook_id] = 0.0 if is_full else self._limits.poll_seconds
        return waits

    async def _send(self, claimed: ClaimedDelivery, is_dead: bool) -> None:
        limits, row = self._limits, claimed.row
        try:
            # If this process was suspended, the lease may end during the request, and another may claim the delivery.
            if monotonic_ms() - claimed.began_ms > (limits.lease_seconds - limits.request_seconds) * 1000:
                return
            try:
                outcome = await self._poster.send(claimed)
            # The boundary of one delivery: the others go on, and this one is retried as after any failure.
            except Exception:
                LOG.exception("could not make an attempt at a webhook's delivery", delivery=str(row.id))
                outcome = self._poster.unsent(claimed)
            self._traffic.widen(row.webhook_id, limits.endpoint_width, outcome.row.state == "delivered")
            self._recorder.enqueue(outcome)
        finally:
            self._traffic.end(row, is_dead)
            self.woken.set()
