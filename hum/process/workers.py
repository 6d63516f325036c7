"""Several processes of one plane behind one port: the workers accept from one queue, and this process supervises them.

When a worker drains or dies, the others accept the connections in the queue; with a queue per worker (SO_REUSEPORT)
they would be lost.

Each worker is a whole process of its plane.  One that dies is restarted, and only its work in flight is lost; one that
is asked to stop serves until its successor does.  SIGTERM drains all.

Workers notice the death of their supervisor (end of file on standard input) and serve on.  The next supervisor finds
them in a file below HUM_HOME, and asks them to drain once its own workers serve.  If none starts within
`successor_seconds`, they drain, so that none is left on the port.
"""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hum.network import parse_listen
from hum.observe.logs import log
from hum.process import home
from hum.process.lifetime import Lifetime
from hum.process.processes import POLL_SECONDS, ProcessIdentity, ProcessSpec
from hum.process.programs import GOODBYE_SECONDS, Program, Programs, StartFailed
from hum.process.sockets import reserve_socket
from hum.settings import Common, environment

LOG = log(__name__)


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """The program of every worker, the setting of the shared socket, and the time limit of a drain."""

    plane: str
    module: str
    variable: str
    listen: str
    drain_seconds: float


async def supervise(settings: Common, spec: WorkerSpec, count: int) -> int:
    """Run `count` workers until SIGTERM or SIGINT; return the exit status, which is not 0 if they don't start."""
    lifetime = Lifetime(settings)
    with reserve_socket(spec.listen, spec.variable) as port:
        roster = Roster(settings.home, f"{spec.plane}-{port.getsockname()[1]}")
        programs = roster.programs
        programs.adopt(roster.orphans(count))
        metrics = parse_listen(settings.metrics_listen)
        workers = [_worker(spec, number, port, str(metrics.plus(number))) for number in range(count)]
        running = asyncio.create_task(_run(lifetime, programs, workers), name="workers")
        reporting = asyncio.create_task(_report_calls(lifetime, programs), name="calls")
        LOG.info("workers are supervised", plane=spec.plane, workers=count, port=port.getsockname()[1])
        await asyncio.wait({running, reporting}, return_when=asyncio.FIRST_COMPLETED)
        await programs.stop(lifetime.signals.end_now)
        reporting.cancel()
        roster.close()
        return await running


class Roster:
    """A file below HUM_HOME with a supervisor's workers, for the next supervisor after its death.

    Each supervisor has its own file: a successor that starts beside a living supervisor does not touch the other's
    file.
    """

    def __init__(self, folder: Path, port: str) -> None:
        """Begin a roster.  `port` is the plane and the port that its supervisors share."""
        self.programs = Programs(LOG.warning, self._write)
        self._home, self._port = folder, port
        self._supervisor = ProcessIdentity.of(os.getpid())
        self._name = f"workers-{port}-{os.getpid()}.json"

    def orphans(self, count: int) -> list[dict[str, Any]]:
        """Return the workers of dead supervisors, under the names of the `count` workers that will succeed them."""
        return [
            worker | {"name": _name(number % count)}
            for path, facts in self._others()
            if not _is_alive(facts)
            for number, worker in enumerate(facts.get("workers", []))
        ]

    def close(self) -> None:
        """Remove the file, and those of dead supervisors."""
        for path, facts in self._others():
            if not _is_alive(facts):
                path.unlink(missing_ok=True)
        (self._home / self._name).unlink(missing_ok=True)

    def _others(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        for path in sorted(self._home.glob(f"workers-{self._port}-*.json")):
            if path.name != self._name:
                yield path, home.read_facts(self._home, path.name)

    def _write(self) -> None:
        supervisor = {"pid": os.getpid(), "began_ticks": self._supervisor.began_ticks if self._supervisor else 0}
        try:
            home.write_facts(self._home, self._name, {"supervisor": supervisor, "workers": self.programs.running()})
        # A full disk must not keep a worker from being restarted.
        except OSError as error:
            LOG.warning("could not record which workers run", file=self._name, error=error.strerror)


def has_orphans(folder: Path, plane: str, port: int) -> bool:
    """Tell whether workers from an earlier supervisor still serve on this port, for which the next starts successors."""
    all_facts = [home.read_facts(folder, path.name) for path in folder.glob(f"workers-{plane}-{port}-*.json")]
    workers = [worker for facts in all_facts for worker in facts.get("workers", [])]
    return any(ProcessIdentity(worker["pid"], worker["began_ticks"]).is_alive() for worker in workers)


def _is_alive(facts: dict[str, Any]) -> bool:
    """Tell whether the supervisor that wrote these facts still runs."""
    supervisor = facts.get("supervisor", {})
    return ProcessIdentity(supervisor.get("pid", 0), supervisor.get("began_ticks", 0)).is_alive()


def _name(number: int) -> str:
    return f"worker {number}"


async def _run(lifetime: Lifetime, programs: Programs, workers: list[Program]) -> int:
    """Run the workers until they must shut down; return 0, or the exit status of one that did not start."""
    starting = asyncio.create_task(programs.start(*workers), name="start")
    stopping = asyncio.create_task(lifetime.signals.stop.wait(), name="stop")
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        with suppress(asyncio.CancelledError, StartFailed):
            await starting
        return 0
    stopping.cancel()
    if isinstance(error := starting.exception(), StartFailed):
        LOG.error("could not start a worker", error=str(error))
        return abs(error.status or 1)
    starting.result()
    lifetime.report_ready()
    await lifetime.wait_for_shutdown()
    return 0


async def _report_calls(lifetime: Lifetime, programs: Programs) -> None:
    """Report the number of the workers' calls whenever it changes."""
    reported = 0
    while True:
        if programs.calls != reported:
            reported = programs.calls
            lifetime.report_calls(reported)
        await asyncio.sleep(POLL_SECONDS)


def _worker(spec: WorkerSpec, number: int, port: socket.socket, metrics: str) -> Program:
    worker_environment = environment() | {"HUM_METRICS_LISTEN": metrics}
    command = ProcessSpec(
        ("-m", spec.module, "--worker"),
        worker_environment,
        log=None,
        tied=True,
        listens=spec.variable,
        listener=port,
    )
    # No time limit: a worker that can't reach control yet is not ready, and must not be ended for that.
    return Program(_name(number), command, start_seconds=None, stop_seconds=spec.drain_seconds + GOODBYE_SECONDS)
