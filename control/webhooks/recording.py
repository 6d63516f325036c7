"""Recording what came of attempts: those that end within a moment together, in a few statements."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from control.webhooks import usecases
from control.webhooks.posting import AtStep, Outcome, go_on
from hum.clock import monotonic_ms
from hum.telemetry import log
from storage import webhook_queues
from storage.db import AWAY, BUSY, Db
from storage.webhook_queues import Dead, HealthRow

LOG = log(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds: in which outcomes are gathered, before a database that is away is asked again, and for which a claim holds."""

    batch_seconds: float
    retry_seconds: float
    lease_seconds: float


class Recorder:
    """Gathers outcomes and records them, a batch at a time.

    While the database is away they are kept, until their leases have ended and others have taken their deliveries.
    """

    def __init__(self, db: Db, dead: Dead, pace: Pace, at_step: AtStep = go_on) -> None:
        self._db, self._dead = db, dead
        self._pace, self._at_step = pace, at_step
        self._waiting: list[Outcome] = []
        self._task: asyncio.Task[None] | None = None
        #: Called when something was recorded: what waited for it may be due.
        self.then: Callable[[], None] = lambda: None

    def put(self, outcome: Outcome) -> None:
        self._waiting.append(outcome)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="webhook records")

    async def rest(self) -> None:
        """Wait until all is recorded, or can't be."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while self._waiting:
            await asyncio.sleep(self._pace.batch_seconds)
            batch, self._waiting = self._waiting, []
            try:
                await self._record(batch)
            except (*AWAY, *BUSY) as error:
                LOG.warning("webhooks' answers wait to be recorded", error=repr(error)[:200])
                oldest_ms = monotonic_ms() - self._pace.lease_seconds * 1000
                self._waiting += [each for each in batch if each.taken.began_ms > oldest_ms]
                await asyncio.sleep(self._pace.retry_seconds)
            self.then()

    async def _record(self, batch: Sequence[Outcome]) -> None:
        async with self._db.system() as tx:
            await webhook_queues.lock(tx, list({each.taken.row.webhook_id for each in batch}))
            recorded = await webhook_queues.record(tx, [each.row for each in batch])
            ours = [each for each in batch if each.row.id in recorded]
            if after := [found for each in ours if (found := _followed(each)) is not None]:
                await webhook_queues.follow(tx, after)
            await webhook_queues.health(tx, _healths(batch), self._dead)
            for each in {each.taken.row.webhook_id: each for each in ours if each.gone}.values():
                await usecases.disable(tx, each.taken.row.org_id, each.taken.row.webhook_id, each.taken.row.url, "gone")
        await self._at_step("recorded")


def _followed(outcome: Outcome) -> tuple[UUID, UUID, int, float] | None:
    """Of a webhook that keeps order: what comes after this waits as long as this one does."""
    row = outcome.taken.row
    if not row.ordered or row.stream_id is None or row.sequence is None:
        return None
    return row.webhook_id, row.stream_id, row.sequence, outcome.row.wait_seconds


def _healths(batch: Sequence[Outcome]) -> list[HealthRow]:
    """How each webhook does, by the outcomes of a batch; one success is enough."""
    by_webhook = dict[UUID, list[Outcome]]()
    for each in batch:
        by_webhook.setdefault(each.taken.row.webhook_id, []).append(each)
    found = []
    for webhook, outcomes in by_webhook.items():
        failed = [each for each in outcomes if each.row.state in {"pending", "failed"}]
        last = failed[-1].row if failed else None
        found.append(
            HealthRow(
                webhook_id=webhook,
                delivered=any(each.row.state == "delivered" for each in outcomes),
                failed=len(failed),
                error=last.error if last else None,
                response_status=last.response_status if last else None,
            )
        )
    return found
