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
from control.calls import usecases
from control.calls.jobs import after_call
from control.clients.openai import Speech, Writer
from control.flows.jobs import render_clips
from hum.settings import ControlSettings
from hum.telemetry import log
from storage import idempotency
from storage import jobs as attempts
from storage.db import Db

LOG = log(__name__)
DONE = Counter("hum_jobs_total", "Jobs that ended", ["job", "how"])
KEEP_COUNTS = timedelta(days=7)

Work = Callable[[UUID, UUID], Awaitable[object]]


class Worker:
    """The handlers of all jobs, on one queue."""

    def __init__(self, db: Db, settings: ControlSettings, *, speech: Speech, writer: Writer) -> None:
        self._db, self._settings = db, settings
        self._queue = PgQueuer(AsyncpgPoolDriver(db.queue_pool))
        self._add(jobs.RENDER_CLIPS, lambda org, row: render_clips(db, speech, settings.default_voice, org, row))
        self._add(jobs.AFTER_CALL, lambda org, row: after_call(db, writer, org, row))

    async def run(self, asked_to_stop: asyncio.Event) -> None:
        """Work until asked to stop; jobs that are under way are finished."""
        sweeper = asyncio.create_task(self._sweep_forever(), name="sweep")
        queue = asyncio.create_task(
            self._queue.run(
                dequeue_timeout=timedelta(seconds=self._settings.worker_idle_seconds),
                heartbeat_timeout=timedelta(seconds=self._settings.job_heartbeat_seconds),
            ),
            name="queue",
        )
        stop = asyncio.create_task(asked_to_stop.wait(), name="stop")
        try:
            await asyncio.wait({sweeper, queue, stop}, return_when=asyncio.FIRST_COMPLETED)
            self._queue.shutdown.set()
            await queue
        finally:
            for task in (sweeper, stop):
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

    async def _sweep_forever(self) -> None:
        while True:
            try:
                await self._sweep()
            except OSError:
                LOG.warning("the sweep found no database")
            await asyncio.sleep(self._settings.sweep_seconds)

    async def _sweep(self) -> None:
        if closed := await usecases.sweep(self._db, self._settings.link_lost_seconds):
            LOG.warning("calls closed whose stream never reported its end", calls=closed)
        async with self._db.system() as tx:
            await idempotency.forget(tx, timedelta(hours=self._settings.idempotency_hours))
            await attempts.forget(tx, KEEP_COUNTS)
