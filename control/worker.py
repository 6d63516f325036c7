"""`hum worker`, which runs queued jobs, periodic sweeps and outbox readers.  Any number of workers may run."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from uuid import UUID

from pgqueuer import PgQueuer
from pgqueuer.adapters.drivers.asyncpg import AsyncpgPoolDriver
from pgqueuer.domain.errors import RetryRequested
from pgqueuer.domain.models import Job as QueuedJob
from prometheus_client import Counter, Gauge

from control import certificates, jobs, outlook, readers
from control.base.job import Job
from control.feature import Feature, Handler, Reader, Sweep
from control.outlook import Outlook
from control.pacing import Activity, StepPace, first_of
from hum.clock import now
from hum.observe.logs import log
from hum.settings import WorkerSettings
from storage import event_backlogs, events, health, quarantine
from storage import jobs as queue
from storage.db import BUSY, UNAVAILABLE, Db, Tx

#: Seconds between checks of the certificates of the public URLs.
CERTIFICATE_POLL_SECONDS = 3600.0
#: Seconds that such a check may take.
CERTIFICATE_ANSWER_SECONDS = 10.0
#: Seconds between looks whether jobs were left by their workers, or by their notifications.
LEFT_JOBS_SECONDS = 1.0
#: The longest wait of measures, which alarms are set on, when nothing has happened for long: a scrape a minute sees each.
MEASURE_NET_SECONDS = 60.0
#: Jobs that one worker runs at once.
WORKER_TASKS = 32

LOG = log(__name__)
DONE = Counter("hum_jobs_total", "Attempts at jobs, by how they ended", ["job", "how"])
FAILED = Counter("hum_steps_failed_total", "Failed steps of sweeps, readers and the queue", ["step"])
WAITING = Gauge("hum_jobs_waiting_seconds", "For how long the oldest job has waited that could run, or is deferred")
HELD = Gauge("hum_jobs_held", "Jobs that failed too often and wait for an operator")
LAG = Gauge(
    "hum_reader_lag_seconds",
    "Age of the oldest event that a reader of the outbox has not read, but for backlogs",
    ["reader"],
)
BACKLOG = Gauge(
    "hum_reader_backlog_seconds",
    "Age of the oldest event that a reader of the outbox has not read for an organization with very many",
    ["reader"],
)
STANDBYS = Gauge("hum_database_standbys", "Servers that replay the database's log")
REPLICATION_LAG = Gauge(
    "hum_database_replication_lag_bytes", "Bytes of the database's log that a standby has not replayed yet", ["standby"]
)
CLOCK_OFFSET = Gauge("hum_clock_offset_seconds", "By how much this machine's clock is ahead of the database's")
NET_FINDS = Counter(
    "hum_net_finds_total",
    "Looks of a step that found work after a long wait, of which neither a hint nor a due time told",
    ["step"],
)
FAILING = Gauge("hum_steps_failing", "Consecutive failures of a step, 0 after a success", ["step"])
BATCH = 10
MAX_DOUBLINGS = 20
KEEP_COUNTS = timedelta(days=7)
LOG_BATCH = 5_000


class Worker:
    """The jobs of all features on one queue, their sweeps and their readers."""

    def __init__(
        self, db: Db, settings: WorkerSettings, features: Sequence[Feature], activity: Activity | None = None
    ) -> None:
        self._db, self._settings, self._features = db, settings, features
        self._activity = activity or Activity()
        self._heartbeat = timedelta(seconds=settings.job_heartbeat_seconds)
        self._jobs: dict[Job, Handler] = {job: handler for feature in features for job, handler in feature.jobs.items()}
        assert len({job.name for job in self._jobs}) == len(self._jobs), "two jobs have one name"
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def missing(self) -> list[str]:
        """Return why the worker can't work, a sentence each; empty if it can."""
        ended = [task.get_name() for task in self._tasks if task.done()]
        if ended or not self._tasks:
            return [f"{name} has ended" for name in ended] or ["it has not started yet"]
        try:
            await self._db.check()
            return [reason for feature in self._features if feature.missing for reason in await feature.missing()]
        except (*UNAVAILABLE, *BUSY) as error:
            return [f"the database doesn't answer: {error!r}"[:200]]

    async def run(self, stop: asyncio.Event) -> None:
        """Work until asked to stop, and finish running jobs."""
        self._stop = stop
        steps = self._steps()
        ahead = Outlook(self._db, self._activity, [step.due for step in steps if step.due])
        steps.append(Sweep("outlook", ahead.look, outlook.EVERY_SECONDS, net_seconds=outlook.NET_SECONDS))
        tasks = [asyncio.create_task(self._forever(step), name=step.name) for step in steps]
        tasks.append(asyncio.create_task(self._work(), name="queue"))
        self._tasks = tasks
        stopping = asyncio.create_task(stop.wait())
        try:
            done, _ = await asyncio.wait({stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopping}:
                # Only an unavailable database ends one of them.
                task.result()
            await tasks[-1]
        finally:
            ahead.close()
            for task in (stopping, *tasks):
                task.cancel()
            await asyncio.gather(stopping, *tasks, return_exceptions=True)

    def _steps(self) -> list[Sweep]:
        sweeps: list[Sweep] = [sweep for feature in self._features for sweep in feature.sweeps]
        own_sweeps = (
            Sweep("jobs", self._sweep_jobs, self._settings.sweep_seconds),
            Sweep("left_jobs", self._announce_left, LEFT_JOBS_SECONDS, due=self._left_seconds),
            Sweep("released events", self._read_released, self._settings.sweep_seconds),
            Sweep("measures", self._measure, self._settings.sweep_seconds, net_seconds=MEASURE_NET_SECONDS),
            Sweep("health", self._measure_database, self._settings.sweep_seconds, net_seconds=MEASURE_NET_SECONDS),
            Sweep("certificates", self._check_certificates, CERTIFICATE_POLL_SECONDS),
        )
        return [
            *own_sweeps,
            *sweeps,
            *(
                Sweep(reader.name, partial(self._read, reader, readers.ReadAttempts()), reader.every_seconds)
                for feature in self._features
                for reader in feature.readers
            ),
        ]

    async def _read(self, reader: Reader, attempts: readers.ReadAttempts) -> int:
        found = 0
        while count := await readers.read(self._db, reader, attempts=attempts):
            found += count
        return found

    async def _read_released(self) -> int:
        async with self._db.system() as tx:
            released = await quarantine.released_readers(tx)
        found = 0
        for reader in [reader for feature in self._features for reader in feature.readers if reader.name in released]:
            while await readers.read_released(self._db, reader):
                found += 1
        return found

    async def _announce_left(self) -> int:
        """Have the workers look at the queue again, if jobs were left."""
        ready = timedelta(seconds=LEFT_JOBS_SECONDS)
        async with self._db.system() as tx:
            is_left = await queue.is_left(tx, self._heartbeat, ready)
            if is_left:
                await jobs.wake(tx)
        return int(is_left)

    async def _left_seconds(self, tx: Tx) -> float | None:
        return await queue.left_seconds(tx, self._heartbeat)

    async def _sweep_jobs(self) -> None:
        async with self._db.system() as tx:
            await queue.prune_attempts(tx, KEEP_COUNTS)
        pruned = LOG_BATCH
        while pruned == LOG_BATCH:
            async with self._db.system() as tx:
                pruned = await queue.prune_log(tx, KEEP_COUNTS, LOG_BATCH)
        # Jobs may stay deferred when a worker died, or after a race with a transaction that enqueued.
        by_name = {job.name: job for job in self._jobs}
        async with self._db.system() as tx:
            parked = await queue.parked(tx, list(by_name))
        for name, org in parked:
            async with self._db.system() as tx:
                await jobs.admit(tx, by_name[name], org)

    async def _measure(self) -> None:
        """Measure the backlogs of jobs and readers; the figures are the same in every worker."""
        async with self._db.system() as tx:
            WAITING.set(await queue.waiting_seconds(tx))
            HELD.set(await queue.count_dead_letters(tx))
            for reader in [reader for feature in self._features for reader in feature.readers]:
                LAG.labels(reader.name).set(await events.lag_seconds(tx, reader.name))
                BACKLOG.labels(reader.name).set(await event_backlogs.lag_seconds(tx, reader.name))

    async def _measure_database(self) -> None:
        async with self._db.system() as tx:
            before = now().timestamp()
            database_seconds = await health.clock_seconds(tx)
            CLOCK_OFFSET.set((before + now().timestamp()) / 2 - database_seconds)
            standbys = await health.standbys(tx)
        STANDBYS.set(len(standbys))
        REPLICATION_LAG.clear()  # of standbys that are gone
        for standby in standbys:
            REPLICATION_LAG.labels(standby.name).set(standby.lag_bytes)

    async def _check_certificates(self) -> None:
        urls = {"public_url": self._settings.public_url, "media_url": self._settings.media_url}
        await certificates.measure(urls, CERTIFICATE_ANSWER_SECONDS)

    async def _forever(self, sweep: Sweep) -> None:
        """Repeat a step until asked to stop: at its pace, with a back-off while it fails."""
        failures, is_net, name = 0, False, sweep.name
        pace = StepPace(self._activity, sweep.every_seconds, sweep.net_seconds)
        ends = (self._stop, sweep.woken) if sweep.woken is not None else (self._stop,)
        while not self._stop.is_set():
            try:
                found = await sweep.step()
                failures = 0
                if isinstance(found, int) and found > 0:
                    self._activity.note()
                    NET_FINDS.labels(name).inc(is_net)
            except (*UNAVAILABLE, *BUSY) as error:
                LOG.warning("a step was postponed: database unavailable or busy", step=name, error=repr(error)[:200])
            # The boundary of one step: the worker's other steps go on, and this one is repeated.
            except Exception:
                failures += 1
                FAILED.labels(name).inc()
                LOG.exception("a step failed", step=name, failures=failures)
            FAILING.labels(name).set(failures)
            if failures:
                is_net = False
                await self._pause(sweep.every_seconds, failures)
            else:
                is_net = await pace.rest(*ends)

    async def _pause(self, seconds: float, failures: int) -> None:
        """Wait before the next attempt, or until asked to stop."""
        longest = max(seconds, self._settings.step_retry_seconds)
        await first_of((self._stop,), min(seconds * 2 ** min(failures, MAX_DOUBLINGS), longest))

    # The queue.

    async def _work(self) -> None:
        """Run the queue until asked to stop, and restart it when it fails.

        Raises UNAVAILABLE, after every connection is lost.
        """
        failures = 0
        while not self._stop.is_set():
            began = asyncio.get_running_loop().time()
            try:
                await self._run_queue()
            except UNAVAILABLE:
                raise
            # No error may end the queue, on which all jobs depend.
            except Exception:
                lasted_seconds = asyncio.get_running_loop().time() - began
                failures = 1 if lasted_seconds > self._settings.step_retry_seconds else failures + 1
                FAILED.labels("queue").inc()
                LOG.exception("the queue failed", failures=failures)
                await self._pause(self._settings.database_retry_seconds, failures - 1)

    async def _run_queue(self) -> None:
        # Without the library's scheduler, which asks every second for schedules, and there are none.
        pgqueuer = PgQueuer(AsyncpgPoolDriver(self._db.queue_pool)).qm
        for job, handler in self._jobs.items():
            entry = pgqueuer.entrypoint(job.name, concurrency_limit=job.concurrency, on_failure="hold")
            entry(partial(self._attempt, job, handler))
        stopping = asyncio.create_task(self._stop.wait())
        stopping.add_done_callback(lambda _: pgqueuer.shutdown.set())
        try:
            await pgqueuer.run(
                dequeue_timeout=timedelta(seconds=self._settings.worker_idle_seconds),
                batch_size=BATCH,
                max_concurrent_tasks=WORKER_TASKS,
                heartbeat_timeout=timedelta(seconds=self._settings.job_heartbeat_seconds),
            )
        finally:
            stopping.cancel()

    async def _attempt(self, job: Job, handler: Handler, queued: QueuedJob) -> None:
        """Run a job once.  A failure of the database causes a retry, and never makes the job a dead letter."""
        self._activity.note()
        org, row = jobs.read_payload(queued.payload)
        later = timedelta(seconds=self._settings.job_retry_seconds)
        try:
            async with self._db.system() as tx:
                if await queue.running(tx, job.name, org) >= job.per_organization:
                    # Transactions that enqueued at the same moment did not see each other's jobs.
                    raise RetryRequested(delay=later, reason="no room")
                attempt = await queue.begin(tx, queued.id)
            await self._do(job, handler, queued.id, attempt, org, row)
        except (*UNAVAILABLE, *BUSY) as error:
            raise RetryRequested(delay=later, reason=type(error).__name__) from error
        finally:
            await self._admit(job, org, queued.id)
            self._activity.note()

    async def _admit(self, job: Job, org: UUID, ended: int) -> None:
        """Enqueue the organization's next deferred job; if this fails, the sweep does it later."""
        try:
            async with self._db.system() as tx:
                await jobs.admit(tx, job, org, excluded=ended)
        except (*UNAVAILABLE, *BUSY) as error:
            LOG.warning("could not enqueue deferred jobs; the sweep will retry", job=job.name, error=repr(error)[:200])

    async def _do(self, job: Job, handler: Handler, id: int, attempt: int, org: UUID, row: UUID) -> None:
        max_attempts = job.attempts or self._settings.job_attempts
        if attempt > max_attempts:
            DONE.labels(job.name, "held").inc()
            raise RuntimeError(f"job {id} was started {attempt - 1} times and never finished")
        try:
            async with asyncio.timeout(job.timeout_seconds):
                await handler(org, row)
        # Whatever the handler raises, its job is retried, and held after the last attempt.
        except Exception as error:
            if attempt >= max_attempts:
                LOG.exception("job held", job=job.name, id=id, attempt=attempt)
                DONE.labels(job.name, "held").inc()
                raise
            LOG.warning("job failed", job=job.name, id=id, attempt=attempt, error=repr(error)[:300])
            DONE.labels(job.name, "retried").inc()
            raise RetryRequested(delay=self._delay(attempt, error), reason=type(error).__name__) from error
        async with self._db.system() as tx:
            await queue.delete_attempts(tx, id)
        DONE.labels(job.name, "done").inc()

    def _delay(self, attempt: int, error: Exception) -> timedelta:
        """Return the exponential back-off of an attempt, at least the error's `retry_after_seconds`."""
        retry_after_seconds = getattr(error, "retry_after_seconds", None) or 0.0
        return timedelta(seconds=max(retry_after_seconds, self._settings.job_retry_seconds * 2 ** (attempt - 1)))
