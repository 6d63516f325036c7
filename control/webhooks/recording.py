"""The record of attempts' outcomes: those that end within a moment are recorded together, in a few statements."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from control.webhooks import usecases
from control.webhooks.posting import AtStep, DeliveryOutcome, go_on
from hum.clock import monotonic_ms
from hum.observe.logs import log
from storage import webhook_queues
from storage.db import BUSY, UNAVAILABLE, Db
from storage.webhook_queues import DeadBackOff, HealthRow

LOG = log(__name__)
#: The message of an attempt whose outcome could not be recorded whole.
NOT_STORED = "HUM could not store the receiver's answer."


@dataclass(frozen=True, slots=True)
class OutcomePace:
    """Durations in seconds: of gathering a batch, of the back-off while the database is unavailable, of a claim's lease."""

    batch_seconds: float
    retry_seconds: float
    lease_seconds: float


class OutcomeRecorder:
    """The recorder of outcomes, in batches.

    While the database is unavailable it retains outcomes until their leases end; then another process may claim the deliveries.
    """

    def __init__(self, db: Db, dead: DeadBackOff, pace: OutcomePace, at_step: AtStep = go_on) -> None:
        self._db, self._dead = db, dead
        self._pace, self._at_step = pace, at_step
        self._queue: list[DeliveryOutcome] = []
        self._task: asyncio.Task[None] | None = None
        #: Called after each batch: ordered deliveries may have become due.
        self.then: Callable[[], None] = lambda: None

    def enqueue(self, outcome: DeliveryOutcome) -> None:
        """Queue an outcome."""
        self._queue.append(outcome)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="webhook records")

    async def rest(self) -> None:
        """Wait until the queue is recorded, or given up."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while self._queue:
            await asyncio.sleep(self._pace.batch_seconds)
            batch, self._queue = self._queue, []
            try:
                await self._record_each(batch)
            except (*UNAVAILABLE, *BUSY) as error:
                LOG.warning("could not record webhooks' outcomes; they are retried", error=repr(error)[:200])
                oldest_ms = monotonic_ms() - self._pace.lease_seconds * 1000
                self._queue += [outcome for outcome in batch if outcome.claimed.began_ms > oldest_ms]
                await asyncio.sleep(self._pace.retry_seconds)
            self.then()

    async def _record_each(self, batch: Sequence[DeliveryOutcome]) -> None:
        """Record outcomes together; if that fails, each half, down to the single outcome that can't be recorded."""
        try:
            await self._record(batch)
        except (*UNAVAILABLE, *BUSY):
            raise
        # Any outcome may reveal a bug, which must not hold up those of other organizations.  Without a record of the attempt, the delivery
        # is sent again once its lease has ended, and retries never run out.
        except Exception:
            if len(batch) == 1:
                LOG.exception("could not record a webhook's outcome", delivery=str(batch[0].row.id))
                if (bare := _bare(batch[0])) != batch[0]:
                    await self._record_each([bare])
                return
            middle = len(batch) // 2
            await self._record_each(batch[:middle])
            await self._record_each(batch[middle:])

    async def _record(self, batch: Sequence[DeliveryOutcome]) -> None:
        async with self._db.system() as tx:
            await webhook_queues.lock(tx, list({outcome.claimed.row.webhook_id for outcome in batch}))
            recorded = await webhook_queues.record(tx, [outcome.row for outcome in batch])
            owned = [outcome for outcome in batch if outcome.row.id in recorded]
            if delays := [delay for outcome in owned if (delay := _delay_of_successors(outcome)) is not None]:
                await webhook_queues.delay_followers(tx, delays)
            await webhook_queues.health(tx, _healths(owned), self._dead)
            gone = {outcome.claimed.row.webhook_id: outcome.claimed.row for outcome in owned if outcome.is_gone}
            for row in gone.values():
                await usecases.disable(tx, row.org_id, row.webhook_id, row.url, "gone")
        await self._at_step("recorded")


def _bare(outcome: DeliveryOutcome) -> DeliveryOutcome:
    """Return the outcome without the receiver's words and without an effect on the webhook."""
    row = replace(outcome.row, message=NOT_STORED, response_body=None, response_type=None)
    return replace(outcome, row=row, is_gone=False)


def _delay_of_successors(outcome: DeliveryOutcome) -> tuple[UUID, UUID, int, float] | None:
    """Return the delay of the later deliveries in an ordered webhook's stream: they wait as long as this one; else None."""
    row = outcome.claimed.row
    if not row.ordered or row.stream_id is None or row.sequence is None:
        return None
    return row.webhook_id, row.stream_id, row.sequence, outcome.row.wait_seconds


def _healths(batch: Sequence[DeliveryOutcome]) -> list[HealthRow]:
    """Return the health of each webhook by the recorded outcomes of a batch; one success suffices."""
    by_webhook = dict[UUID, list[DeliveryOutcome]]()
    for outcome in batch:
        by_webhook.setdefault(outcome.claimed.row.webhook_id, []).append(outcome)
    healths = []
    for webhook, outcomes in by_webhook.items():
        failed = [outcome for outcome in outcomes if outcome.row.state in {"pending", "failed"}]
        last = failed[-1].row if failed else None
        healths.append(
            HealthRow(
                webhook_id=webhook,
                delivered=any(outcome.row.state == "delivered" for outcome in outcomes),
                failed=len(failed),
                error=last.error if last else None,
                response_status=last.response_status if last else None,
            )
        )
    return healths
