"""Several processes of one plane behind one port: they accept from one queue, this one supervises.

What waits in the queue when a worker leaves or dies is the others'; with a queue for each (SO_REUSEPORT) it would be lost.

Each worker is a whole process of its plane.  One that dies is restarted, and only what it had under way is lost; one that is
asked to stop serves until its successor does.  SIGTERM drains all.

Workers whose supervisor is gone notice (end of file on standard input).  They serve on: the supervisor that comes next finds
them in a file below HUM_HOME, and has them leave once its own workers serve.  If none comes within HUM_SUCCESSOR_SECONDS,
they drain, so that none is left behind on the port.
"""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hum import home
from hum.lifetime import Lifetime
from hum.network import parse_listen
from hum.processes import LOOK_SECONDS, Command, Known
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
    """Run `count` workers until SIGTERM or SIGINT; return the exit status, which is not 0 if they don't start."""
    lifetime = Lifetime(settings)
    with held(shared.listen, shared.variable) as port:
        roll = Roll(settings.home, f"{shared.plane}-{port.getsockname()[1]}")
        programs = roll.programs
        programs.adopt(roll.orphans(count))
        metrics = parse_listen(settings.metrics_listen)
        workers = [_worker(shared, number, port, str(metrics.plus(number))) for number in range(count)]
        living = asyncio.create_task(_live(lifetime, programs, workers), name="workers")
        counting = asyncio.create_task(_count(lifetime, programs), name="calls")
        LOG.info("workers are supervised", plane=shared.plane, workers=count, port=port.getsockname()[1])
        await asyncio.wait({living, counting}, return_when=asyncio.FIRST_COMPLETED)
        await programs.stop(lifetime.signals.hurry)
        counting.cancel()
        roll.close()
        return await living


class Roll:
    """A file below HUM_HOME that names a supervisor's workers, for the supervisor that comes after its death.

    Each supervisor has a file of its own: one that starts beside a living one (a successor) leaves the other's alone.
    """

    def __init__(self, folder: Path, port: str) -> None:
        """`port`: the plane and the port that its supervisors share."""
        self.programs = Programs(LOG.warning, self._write)
        self._home, self._port = folder, port
        self._me = Known.of(os.getpid())
        self._name = f"workers-{port}-{os.getpid()}.json"

    def orphans(self, count: int) -> list[dict[str, Any]]:
        """Return the workers of dead supervisors, as successors of which `count` workers are going to be started."""
        return [
            worker | {"name": _name(number % count)}
            for path, facts in self._others()
            if not _lives(facts)
            for number, worker in enumerate(facts.get("workers", []))
        ]

    def close(self) -> None:
        """Remove the file, and those of the dead."""
        for path, facts in self._others():
            if not _lives(facts):
                path.unlink(missing_ok=True)
        (self._home / self._name).unlink(missing_ok=True)

    def _others(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        for path in sorted(self._home.glob(f"workers-{self._port}-*.json")):
            if path.name != self._name:
                yield path, home.read_facts(self._home, path.name)

    def _write(self) -> None:
        me = {"pid": os.getpid(), "began_ticks": self._me.began_ticks if self._me else 0}
        try:
            home.write_facts(self._home, self._name, {"supervisor": me, "workers": self.programs.known()})
        except OSError as error:  # a full disk must keep no worker from being restarted
            LOG.warning("could not write down which workers run", file=self._name, error=error.strerror)


def has_orphans(folder: Path, plane: str, port: int) -> bool:
    """Tell whether workers of a dead supervisor still serve on this port: the next supervisor gives them successors."""
    found = [home.read_facts(folder, path.name) for path in folder.glob(f"workers-{plane}-{port}-*.json")]
    workers = [worker for facts in found for worker in facts.get("workers", [])]
    return any(Known(worker["pid"], worker["began_ticks"]).lives() for worker in workers)


def _lives(facts: dict[str, Any]) -> bool:
    """Tell whether the supervisor that wrote this is still there."""
    supervisor = facts.get("supervisor", {})
    return Known(supervisor.get("pid", 0), supervisor.get("began_ticks", 0)).lives()


def _name(number: int) -> str:
    return f"worker {number}"


async def _live(lifetime: Lifetime, programs: Programs, workers: list[Program]) -> int:
    """Run the workers until they have to leave: 0; or, if they don't start, what they exit with."""
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
    await lifetime.over()
    return 0


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
    return Program(_name(number), command, start_seconds=None, stop_seconds=shared.drain_seconds + GOODBYE_SECONDS)
