"""Several processes of one plane behind one port: they accept from one queue, this one supervises.

What waits in the queue when a worker leaves or dies is the others'; with a queue for each (SO_REUSEPORT) it would be lost.

Each worker is a whole process of its plane.  One that dies is restarted, and only what it had under way is lost; one that is
asked to stop serves until its successor does.  SIGTERM drains all.  Workers whose supervisor is gone notice (end of file on
standard input) and drain too, so that none is left behind on the port.
"""

import asyncio
import socket
from contextlib import suppress
from dataclasses import dataclass

from hum.lifetime import Lifetime
from hum.network import parse_listen
from hum.processes import LOOK_SECONDS, Command
from hum.programs import GOODBYE_SECONDS, DidNotStart, Program, Programs
from hum.settings import Common, environment
from hum.sockets import held
from hum.telemetry import log

LOG = log(__name__)


@dataclass(frozen=True, slots=True)
class Shared:
    """The program that every worker runs, the setting that names the socket which they share, and how long they may drain."""

    plane: str
    module: str
    variable: str
    listen: str
    drain_seconds: float


async def supervise(settings: Common, shared: Shared, count: int) -> int:
    """Run `count` workers until SIGTERM or SIGINT, or until one keeps dying; the exit status."""
    lifetime, programs = Lifetime(settings), Programs(LOG.warning)
    with held(shared.listen, shared.variable) as port:
        metrics = parse_listen(settings.metrics_listen)
        workers = [_worker(shared, number, port, str(metrics.plus(number))) for number in range(count)]
        living = asyncio.create_task(_live(lifetime, programs, workers), name="workers")
        counting = asyncio.create_task(_count(lifetime, programs), name="calls")
        LOG.info("workers are supervised", plane=shared.plane, workers=count, port=port.getsockname()[1])
        await asyncio.wait({living, counting}, return_when=asyncio.FIRST_COMPLETED)
        await programs.stop(lifetime.signals.hurry, together=True)
        counting.cancel()
        return await living


async def _live(lifetime: Lifetime, programs: Programs, workers: list[Program]) -> int:
    """Until the workers have to leave: 0; or until they can't be kept running: what they exit with."""
    starting = asyncio.create_task(programs.start(*workers), name="start")
    stopping = asyncio.create_task(lifetime.signals.stop.wait(), name="stop")
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        with suppress(asyncio.CancelledError, DidNotStart):
            await starting
        return 0
    stopping.cancel()
    if isinstance(error := starting.exception(), DidNotStart):
        LOG.error("a worker does not start", error=str(error))
        return abs(error.status or 1)
    starting.result()
    lifetime.ready()
    over = asyncio.create_task(lifetime.over(), name="over")
    failing = asyncio.create_task(programs.failed.wait(), name="failed")
    await asyncio.wait({over, failing}, return_when=asyncio.FIRST_COMPLETED)
    over.cancel()
    failing.cancel()
    if programs.failure:
        LOG.error("a worker can't be kept running", error=programs.failure)
    return abs(programs.status)


async def _count(lifetime: Lifetime, programs: Programs) -> None:
    """Pass on how many calls the workers have."""
    before = 0
    while True:
        if programs.calls != before:
            before = programs.calls
            lifetime.calls(before)
        await asyncio.sleep(LOOK_SECONDS)


def _worker(shared: Shared, number: int, port: socket.socket, metrics: str) -> Program:
    own = environment() | {"HUM_METRICS_LISTEN": metrics}
    command = Command(
        ("-m", shared.module, "--worker"), own, log=None, tied=True, listens=shared.variable, listener=port
    )
    # A worker that can't reach control yet is not ready, and that is no reason to end it.
    return Program(f"worker {number}", command, start_seconds=None, stop_seconds=shared.drain_seconds + GOODBYE_SECONDS)
