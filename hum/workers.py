"""Several media processes behind one port: the kernel distributes connections (SO_REUSEPORT), this process supervises.

Each worker is a whole process of its plane; one that dies is restarted, and only what it had under way is lost.  SIGTERM
drains all.  Workers whose supervisor is gone notice (end of file on standard input) and drain too, so that none is left
behind on the port.
"""

import asyncio
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from hum.clock import monotonic_ms
from hum.network import Listen, parse_listen
from hum.settings import Common, environment
from hum.signals import stop_signal
from hum.telemetry import log

LOG = log(__name__)
BAD_SETTINGS = 2  # a worker's exit status when a restart cannot help
QUICK_DEATH_MS = 5_000.0
QUICK_DEATHS = 5
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.1, 5.0


class Worker:
    """One process, kept running until it is told to stop."""

    def __init__(self, number: int, command: Sequence[str], sockets: Mapping[str, str]) -> None:
        self.process: asyncio.subprocess.Process | None = None
        self._number, self._command = number, command
        self._environment = environment() | dict(sockets)
        self._stopping = asyncio.Event()

    async def keep(self) -> int:
        """Run it, restarting it when it dies; return 0 after `stop`, else the exit status that it keeps dying with."""
        quick_deaths, wait_seconds = 0, FIRST_WAIT_SECONDS
        while not self._stopping.is_set():
            began_ms = monotonic_ms()
            self.process = await asyncio.create_subprocess_exec(
                *self._command, env=self._environment, stdin=asyncio.subprocess.PIPE
            )
            if self._stopping.is_set():  # `stop` was called during the start
                self.stop()
            status = await self.process.wait()
            if self._stopping.is_set():
                break
            LOG.error("a worker died", worker=self._number, status=status)
            quick_deaths = quick_deaths + 1 if monotonic_ms() - began_ms < QUICK_DEATH_MS else 0
            if status == BAD_SETTINGS or quick_deaths >= QUICK_DEATHS:
                return status
            await asyncio.sleep(wait_seconds)
            wait_seconds = min(2 * wait_seconds, LONGEST_WAIT_SECONDS) if quick_deaths else FIRST_WAIT_SECONDS
        return 0

    def stop(self) -> None:
        self._stopping.set()
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.terminate()


@dataclass(frozen=True, slots=True)
class Shared:
    """The program that every worker runs, and the setting that names the socket which they share."""

    plane: str
    module: str
    variable: str
    listen: str


async def supervise(settings: Common, shared: Shared, count: int) -> int:
    """Run `count` workers until SIGTERM or SIGINT, or until one keeps dying; return the exit status."""
    listen, metrics = parse_listen(shared.listen), parse_listen(settings.metrics_listen)
    command = [sys.executable, "-m", shared.module, "--worker"]
    with bound(listen, shared=True) as port:  # holds the port, and takes no connections
        socket_name = str(listen._replace(port=port.getsockname()[1]))
        workers = [
            Worker(number, command, {shared.variable: socket_name, "HUM_METRICS_LISTEN": str(metrics.plus(number))})
            for number in range(count)
        ]
        stop = stop_signal()
        keepers = [asyncio.create_task(worker.keep(), name=f"worker {n}") for n, worker in enumerate(workers)]
        stopping = asyncio.create_task(stop.wait(), name="stop signal")
        LOG.info("workers are supervised", of=shared.plane, workers=count, port=port.getsockname()[1])
        await asyncio.wait([stopping, *keepers], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        for worker in workers:
            worker.stop()
        return max(abs(status) for status in await asyncio.gather(*keepers))


def bound(listen: Listen, *, shared: bool) -> socket.socket:
    """A bound socket that does not listen yet; `shared`: other processes may bind the port too.  Raises OSError."""
    family, _, _, _, address = socket.getaddrinfo(
        listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shared)
        made.bind(address)
    except OSError:
        made.close()
        raise
    return made


def until_supervisor_goes(stop: asyncio.Event) -> Callable[[], None]:
    """Set `stop` when this worker's supervisor is gone, too; call what is returned when the worker stops anyway."""
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), stop.set)  # a pipe that the supervisor never writes to: readable at end of file

    def leave() -> None:
        loop.remove_reader(sys.stdin.fileno())

    return leave
