"""Jobs of many organizations on real queues: limits hold, and one organization's backlog delays no other's jobs."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from control import jobs
from control.base.job import Job
from control.feature import Feature, Sweep
from control.worker import Worker
from hum import ids
from hum.settings import WorkerSettings
from storage import identity
from storage import jobs as queue
from storage.db import Db
from tests.support.waits import patience

SLOW = Job("slow", concurrency=6, per_organization=2, timeout_seconds=5)
URGENT = Job("urgent", concurrency=6, per_organization=2, priority=100)


class Busy(Exception):  # noqa: N818 - what the other side is
    """Like a carrier's 429."""

    retry_after_seconds = 0.3


@dataclass
class Office:
    """Counts what runs at once, for all and for each organization."""

    db: Db
    settings: WorkerSettings
    #: Of each job in turn.
    seconds: Sequence[float] = (0.02,)
    running: Counter[UUID] = field(default_factory=Counter)
    most: Counter[UUID] = field(default_factory=Counter)
    most_of_all: int = 0
    done: list[tuple[str, UUID, UUID]] = field(default_factory=list)
    fail: list[Exception] = field(default_factory=list)
    began_at: list[float] = field(default_factory=list)

    async def organization(self) -> UUID:
        org = ids.new()
        async with self.db.system() as tx:
            await identity.create_organization(tx, org, "Clinic")
        return org

    async def owe(self, job: Job, org: UUID, count: int) -> list[UUID]:
        rows = [ids.new() for _ in range(count)]
        async with self.db.tenant(org) as tx:
            await jobs.enqueue_all(tx, job, org, rows)
        return rows

    async def work(self, name: str, org: UUID, row: UUID) -> None:
        self.began_at.append(asyncio.get_running_loop().time())
        self.running[org] += 1
        self.most[org] = max(self.most[org], self.running[org])
        self.most_of_all = max(self.most_of_all, self.running.total())
        try:
            if self.fail:
                raise self.fail.pop()
            await asyncio.sleep(self.seconds[len(self.began_at) % len(self.seconds)])
        finally:
            self.running[org] -= 1
        self.done.append((name, org, row))

    @asynccontextmanager
    async def working(self, workers: int = 1, *, sweeps: tuple[Sweep, ...] = ()) -> AsyncIterator[None]:
        feature = Feature(
            jobs={
                SLOW: lambda org, row: self.work("slow", org, row),
                URGENT: lambda org, row: self.work("urgent", org, row),
            },
            sweeps=sweeps,
        )
        stop = asyncio.Event()
        tasks = [asyncio.create_task(Worker(self.db, self.settings, [feature]).run(stop)) for _ in range(workers)]
        yield
        stop.set()
        await asyncio.gather(*tasks)

    async def until(self, count: int, seconds: float = 30) -> None:
        async with asyncio.timeout(seconds):
            while len(self.done) < count:
                await asyncio.sleep(0.01)


@pytest.fixture
async def office(database_url: str, tmp_path: Path) -> AsyncIterator[Office]:
    settings = WorkerSettings(
        home=tmp_path, worker_idle_seconds=0.05, job_retry_seconds=0.02, sweep_seconds=0.1, database_retry_seconds=0.05
    )
    db = await Db.open(database_url, size=16)
    yield Office(db, settings)
    await db.close()


async def test_limits_hold_over_all_workers(office: Office) -> None:
    orgs = [await office.organization() for _ in range(5)]
    owed = [row for org in orgs for row in await office.owe(SLOW, org, 12)]
    async with office.working(workers=2):
        await office.until(60)
    assert sorted(row for _, _, row in office.done) == sorted(owed), "each once"
    assert office.most_of_all <= SLOW.concurrency
    assert max(office.most.values()) <= SLOW.per_organization


async def test_a_noisy_organization_delays_nobody(office: Office) -> None:
    noisy, quiet = await office.organization(), await office.organization()
    await office.owe(SLOW, noisy, 1500)
    async with office.working():
        await office.until(10)
        (row,), (urgent,) = await office.owe(SLOW, quiet, 1), await office.owe(URGENT, quiet, 1)
        before = len(office.done)
        async with patience():
            while not {("slow", quiet, row), ("urgent", quiet, urgent)} <= set(office.done):
                await asyncio.sleep(0.01)
        # Counted in jobs, not in seconds: of the 1490 queued before it, only those that run meanwhile may go first.
        overtaken = sum(org == noisy for _, org, _ in office.done[before:])
    assert overtaken < 150, overtaken
    assert office.most[noisy] <= SLOW.per_organization


async def test_many_that_enqueue_at_once_do_not_pass_the_limit(office: Office) -> None:
    office.seconds = (0.01, 0.2, 0.07)  # one that had no room comes back while a later one runs
    org, rows = await office.organization(), [ids.new() for _ in range(12)]

    async def owe(row: UUID) -> None:
        async with office.db.tenant(org) as tx:
            await jobs.enqueue(tx, SLOW, org, row)
            await asyncio.sleep(0.05)  # so that none sees the others' jobs

    await asyncio.gather(*(owe(row) for row in rows))
    async with office.working(workers=2):
        await office.until(12)
    assert office.most[org] <= SLOW.per_organization
    assert sorted(row for _, _, row in office.done) == sorted(rows)


async def test_the_other_side_says_when_to_come_again(office: Office) -> None:
    org = await office.organization()
    office.fail.append(Busy())
    await office.owe(SLOW, org, 1)
    async with office.working():
        await office.until(1)
    assert office.began_at[1] - office.began_at[0] >= Busy.retry_after_seconds


async def test_a_job_that_takes_too_long_is_tried_again(office: Office) -> None:
    org, office.seconds = await office.organization(), 0.0
    hangs = Job("hangs", concurrency=1, per_organization=1, timeout_seconds=0.05, attempts=2)
    began = 0

    async def hang(_: UUID, __: UUID) -> None:
        nonlocal began
        began += 1
        await asyncio.sleep(30)

    async with office.db.tenant(org) as tx:
        await jobs.enqueue(tx, hangs, org, ids.new())
    stop = asyncio.Event()
    task = asyncio.create_task(Worker(office.db, office.settings, [Feature(jobs={hangs: hang})]).run(stop))
    async with patience():
        while True:
            async with office.db.system() as tx:
                if await tx.fetchval("SELECT count(*) FROM pgqueuer WHERE status = 'failed'"):
                    break
            await asyncio.sleep(0.02)
    stop.set()
    await task
    assert began == 2


async def test_a_step_that_fails_now_and_then_ends_no_worker(office: Office) -> None:
    org, steps = await office.organization(), 0

    async def step() -> None:
        nonlocal steps
        steps += 1
        if steps % 2:
            raise asyncpg.LockNotAvailableError if steps % 3 else ValueError("a bad row")

    async with office.working(sweeps=(Sweep("shaky", step, 0.01),)):
        async with patience():
            while steps < 40:
                await asyncio.sleep(0.01)
        await office.owe(SLOW, org, 1)
        await office.until(1)


async def test_a_step_that_always_fails_is_tried_more_and_more_rarely_and_ends_nothing(office: Office) -> None:
    office.settings = office.settings.model_copy(update={"step_retry_seconds": 0.1})
    org, began = await office.organization(), []

    async def step() -> None:
        began.append(asyncio.get_running_loop().time())
        raise ValueError("a bug")

    async with office.working(sweeps=(Sweep("broken", step, 0.01),)):
        async with patience():
            while len(began) < 15:
                await asyncio.sleep(0.01)
        await office.owe(SLOW, org, 1)
        await office.until(1)
    waits = [later - earlier for earlier, later in pairwise(began)]
    assert min(waits[-5:]) >= 0.099


async def test_a_job_that_comes_back_finds_those_that_began_before_it(office: Office) -> None:
    org = await office.organization()
    for _ in range(3):
        async with office.db.tenant(org) as tx:
            await jobs._queue(tx, SLOW, org, [ids.new()])
    async with office.db.system() as tx:
        first, *others = [
            row["id"] for row in await tx.fetch("UPDATE pgqueuer SET status = 'picked', updated = now() RETURNING id")
        ]
        for other in others:
            await queue.begin(tx, other)
        assert await queue.running(tx, SLOW.name, org) == len(others)
        await queue.begin(tx, first)
        await tx.execute("UPDATE pgqueuer SET status = 'queued', updated = now() WHERE id = $1", others[0])
        assert await queue.running(tx, SLOW.name, org) == len(others)
