"""`python -m tests.chaos.reporters URL`: what control does for media processes, on a machine of its own, while the database fails over.

Each reporter stands for a media process that sends batches; they are stored by control's own code over its own connections.  It
runs until its input ends, and then prints what it saw.  `prepare` migrates the database and ends.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import uvloop

from control import jobs
from control.base.job import Job
from control.bus import BusChannel, PostgresBus
from control.calls.reports import LostReports, apply_batch
from control.feature import Feature
from control.worker import Worker
from hum import ids
from hum.settings import WorkerSettings
from hum.v1 import runtime_pb2 as pb
from storage import identity, media_links
from storage.db import BUSY, UNAVAILABLE, Db
from storage.migrate import migrate
from tests.support.stalls import Stalls

REPORTERS = 8
PAUSE_SECONDS = 0.01
RETRY_SECONDS = 0.05
#: How long the worker may take for what is left at the end.
DONE_SECONDS = 10
JOB = Job("chaos", concurrency=20, per_organization=20)
NEWS = BusChannel("chaos_news", str, str)


@dataclass
class Seen:
    """Times are of the monotonic clock, which all namespaces share."""

    stored_at: list[float] = field(default_factory=list)
    heard_at: list[float] = field(default_factory=list)
    #: By reporter: the last batch that was acknowledged, and how many had to be sent again.
    acknowledged: dict[str, int] = field(default_factory=dict)
    sent_again: dict[str, int] = field(default_factory=Counter)
    errors: dict[str, int] = field(default_factory=Counter)
    #: By reporter: the last batch that the database has at the end.
    kept: dict[str, int] = field(default_factory=dict)
    server: str = ""
    #: Jobs that were enqueued, and those that a worker has not done.
    enqueued: int = 0
    not_done: list[str] = field(default_factory=list)
    #: For how long this process could not run.
    stalled_ms: float = 0.0


async def report(db: Db, node: str, seen: Seen, stop: asyncio.Event) -> None:
    """One media process: a batch after the other, each until it is stored; it ends with all that was acknowledged once."""
    acknowledged = await begun(db, node)
    while not stop.is_set() or acknowledged < seen.acknowledged.get(node, 0):
        try:
            await apply_batch(db, node, pb.ReportBatch(seq=acknowledged + 1), acknowledged)
        except LostReports:
            has = await begun(db, node)
            seen.sent_again[node] += acknowledged - has
            acknowledged = has
        except (*UNAVAILABLE, *BUSY) as error:
            seen.errors[type(error).__name__] += 1
            await asyncio.sleep(RETRY_SECONDS)
        else:
            acknowledged += 1
            seen.acknowledged[node] = max(acknowledged, seen.acknowledged.get(node, 0))
            seen.stored_at.append(time.monotonic())
            await asyncio.sleep(PAUSE_SECONDS)


async def begun(db: Db, node: str) -> int:
    """A link begins: which batches the database has."""
    async with db.system() as tx:
        await media_links.open(tx, node, uuid4(), media_links.NodeState())
        return await media_links.seq(tx, node)


async def tell(bus: PostgresBus, seen: Seen, stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            await bus.publish(NEWS, "news")
        except (*UNAVAILABLE, *BUSY) as error:
            seen.errors[f"publish {type(error).__name__}"] += 1
        await asyncio.sleep(RETRY_SECONDS)


async def enqueue(db: Db, org: UUID, waiting: set[UUID], seen: Seen, stop: asyncio.Event) -> None:
    while not stop.is_set():
        row = ids.new()
        waiting.add(row)  # a worker may be done with it before we know that it is enqueued
        try:
            async with db.system() as tx:
                await jobs.enqueue(tx, JOB, org, row)
        except (*UNAVAILABLE, *BUSY) as error:
            seen.errors[f"enqueue {type(error).__name__}"] += 1
            waiting.discard(row)
        else:
            seen.enqueued += 1
        await asyncio.sleep(10 * PAUSE_SECONDS)


async def work(url: str, waiting: set[UUID], seen: Seen, stop: asyncio.Event) -> None:
    """A worker, as `hum worker` runs one: begun anew when the database was away."""

    async def do(_: UUID, row: UUID) -> None:
        waiting.discard(row)

    settings = WorkerSettings(job_heartbeat_seconds=2, step_retry_seconds=1)
    while not stop.is_set():
        try:
            db = await Db.open(url, size=4)
            try:
                await Worker(db, settings, [Feature(jobs={JOB: do})]).run(stop)
            finally:
                await db.close()
        except UNAVAILABLE as error:
            seen.errors[f"worker {type(error).__name__}"] += 1
            await asyncio.sleep(RETRY_SECONDS)


async def run(url: str) -> Seen:
    seen, stop, stalls = Seen(), asyncio.Event(), Stalls()
    watching = asyncio.create_task(stalls.watch())
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), stop.set)
    db = await Db.open(url, size=REPORTERS)
    bus = PostgresBus(db, retry_seconds=0.2)
    await bus.start([NEWS])
    bus.subscribe(NEWS, lambda news: seen.heard_at.append(time.monotonic()) if news else None)
    tasks = [asyncio.create_task(report(db, f"media-{number}", seen, stop)) for number in range(REPORTERS)]
    tasks.append(asyncio.create_task(tell(bus, seen, stop)))
    org, waiting, is_done = ids.new(), set[UUID](), asyncio.Event()
    async with db.system() as tx:
        await identity.create_organization(tx, org, "chaos")
    tasks.append(asyncio.create_task(enqueue(db, org, waiting, seen, stop)))
    working = asyncio.create_task(work(url, waiting, seen, is_done))
    say("ready")
    await asyncio.gather(*tasks)
    until = time.monotonic() + DONE_SECONDS
    while waiting and time.monotonic() < until:
        await asyncio.sleep(RETRY_SECONDS)
    seen.not_done = [str(row) for row in waiting]
    is_done.set()
    await working
    async with db.system() as tx:
        seen.kept = {node: await media_links.seq(tx, node) for node in seen.acknowledged}
        seen.server = await tx.fetchval("SELECT host(inet_server_addr())")
    watching.cancel()
    seen.stalled_ms = stalls.longest_ms
    await bus.stop()
    await db.close()
    return seen


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    url, *prepare = sys.argv[1:]
    if prepare:
        asyncio.run(migrate(url))
        return
    found: dict[str, Any] = vars(uvloop.run(run(url)))
    say(json.dumps(found))


if __name__ == "__main__":
    main()
