"""`hum worker`: does the jobs that are owed, and sweeps what time leaves behind.  Any number may run."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

from pgqueuer import PgQueuer
from pgqueuer.adapters.drivers.asyncpg import AsyncpgPoolDriver
from pgqueuer.domain.errors import RetryRequested
from pgqueuer.domain.models import Job
from prometheus_client import Counter

from control import jobs
from control.analytics import usecases as analytics
from control.audit.usecases import seal
from control.calls import usecases
from control.calls.jobs import after_call
from control.clients.openai import Speech, Writer
from control.clients.twilio import Carrier, Lookups
from control.contacts.jobs import backfill_contacts, index_contact, look_up_contact
from control.flows.jobs import render_clips
from control.numbers import usecases as numbers
from control.numbers.purchases import Purchases
from hum.settings import ControlSettings
from hum.telemetry import log
from storage import idempotency, sessions
from storage import jobs as attempts
from storage.db import AWAY, Db

LOG = log(__name__)
DONE = Counter("hum_jobs_total", "Jobs that ended", ["job", "how"])
KEEP_COUNTS = timedelta(days=7)

Work = Callable[[UUID, UUID], Awaitable[object]]


class Worker:
    """The handlers of all jobs, on one queue."""

    def __init__(
        self,
        db: Db,
        settings: ControlSettings,
        *,
        speech: Speech,
        writer: Writer,
        lookups: Lookups,
        carrier: Carrier,
        purchases: Purchases,
    ) -> None:
        self._db, self._settings = db, settings
        self._carrier, self._purchases = carrier, purchases
        self._queue = PgQueuer(AsyncpgPoolDriver(db.queue_pool))
        self._add(jobs.RENDER_CLIPS, lambda org, row: render_clips(db, speech, settings.default_voice, org, row))
        self._add(jobs.AFTER_CALL, lambda org, row: after_call(db, writer, org, row))
        keep = timedelta(days=settings.lookup_days)
        self._add(jobs.LOOK_UP_CONTACT, lambda org, row: look_up_contact(db, lookups, keep, org, row))
        self._add(jobs.INDEX_CONTACT, lambda org, row: index_contact(db, org, row))
        self._add(jobs.BACKFILL_CONTACTS, lambda org, row: backfill_contacts(db, org, row))

    async def run(self, asked_to_stop: asyncio.Event) -> None:
        """Work until asked to stop; jobs that are under way are finished."""
        sweeper = asyncio.create_task(_forever(self._sweep, self._settings.sweep_seconds), name="sweep")
        counter = asyncio.create_task(_forever(self._roll_up, self._settings.roll_up_seconds), name="roll up")
        queue = asyncio.create_task(
            self._queue.run(
                dequeue_timeout=timedelta(seconds=self._settings.worker_idle_seconds),
                heartbeat_timeout=timedelta(seconds=self._settings.job_heartbeat_seconds),
            ),
            name="queue",
        )
        stop = asyncio.create_task(asked_to_stop.wait(), name="stop")
        try:
            await asyncio.wait({sweeper, counter, queue, stop}, return_when=asyncio.FIRST_COMPLETED)
            self._queue.shutdown.set()
            await queue
        finally:
            for task in (sweeper, counter, stop):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    def _add(self, name: str, work: Work) -> None:
        @self._queue.entrypoint(name, on_failure="hold")
        async def entry(job: Job) -> None:
            await self._attempt(name, job, work)

    async def _attempt(self, name: str, job: Job, work: Work) -> None:
        async with self._db.system() as tx:
            attempt = await attempts.begin(tx, job.id)
        if attempt > self._settings.job_attempts:
            DONE.labels(name, "held").inc()
            raise RuntimeError(f"job {job.id} was begun {attempt - 1} times and never ended")
        try:
            await work(*jobs.read_payload(job.payload))
        except Exception as error:
            if attempt >= self._settings.job_attempts:
                LOG.exception("job held", job=name, id=job.id, attempt=attempt)
                DONE.labels(name, "held").inc()
                raise
            LOG.warning("job failed", job=name, id=job.id, attempt=attempt, error=repr(error)[:300])
            DONE.labels(name, "retried").inc()
            wait = timedelta(seconds=self._settings.job_retry_seconds * 2 ** (attempt - 1))
            raise RetryRequested(delay=wait, reason=type(error).__name__) from error
        async with self._db.system() as tx:
            await attempts.done(tx, job.id)
        DONE.labels(name, "done").inc()

    async def _roll_up(self) -> None:
        while await analytics.roll_up(self._db):
            pass

    async def _sweep(self) -> None:
        if closed := await usecases.sweep(self._db, self._settings.link_lost_seconds):
            LOG.warning("calls closed whose stream never reported its end", calls=closed)
        async with self._db.system() as tx:
            await idempotency.forget(tx, timedelta(hours=self._settings.idempotency_hours))
            await attempts.forget(tx, KEEP_COUNTS)
            await sessions.forget(tx)
        await seal(self._db)
        abandoned = timedelta(seconds=self._settings.carrier_look_seconds)
        await self._purchases.sweep(abandoned)
        await numbers.sweep_releases(self._db, self._carrier, abandoned)


async def _forever(step: Callable[[], Awaitable[None]], every_seconds: float) -> None:
    """Take a step again and again; a database that is away is waited for."""
    while True:
        try:
            await step()
        except AWAY:
            LOG.warning("there is no database", step=step.__name__.strip("_"))
        await asyncio.sleep(every_seconds)
