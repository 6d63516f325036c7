"""Several media processes behind one port: the kernel distributes connections (SO_REUSEPORT), this process supervises.

Each worker is a whole media process with its own link and spool; one that dies is restarted, and only its calls are
lost.  SIGTERM drains all.  Workers whose supervisor is gone notice (end of file on standard input) and drain too, so
that none is left behind on the port.
"""

import asyncio
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress

from hum.clock import monotonic_ms
from hum.network import parse_listen
from hum.settings import MediaSettings, environment
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
        self._environment = {**environment(), **sockets}
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


async def supervise(settings: MediaSettings, count: int, command: Sequence[str]) -> int:
    """Run `count` workers until SIGTERM or SIGINT, or until one keeps dying; return the exit status."""
    listen, metrics = parse_listen(settings.media_listen), parse_listen(settings.metrics_listen)
    with _reserved(listen.host, listen.port) as port:
        shared = str(listen._replace(port=port.getsockname()[1]))
        workers = [
            Worker(number, command, {"HUM_MEDIA_LISTEN": shared, "HUM_METRICS_LISTEN": str(metrics.plus(number))})
            for number in range(count)
        ]
        stop = stop_signal()
        keepers = [asyncio.create_task(worker.keep(), name=f"worker {n}") for n, worker in enumerate(workers)]
        stopping = asyncio.create_task(stop.wait(), name="stop signal")
        LOG.info("media supervises", workers=count, port=port.getsockname()[1])
        await asyncio.wait([stopping, *keepers], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        for worker in workers:
            worker.stop()
        return max(abs(status) for status in await asyncio.gather(*keepers))


def _reserved(host: str, port: int) -> socket.socket:
    """A socket that reserves the port, takes no connections, and lets the workers bind it too."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    held = socket.socket(family, socket.SOCK_STREAM)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind(address)
    return held


def as_worker() -> list[str]:
    """The command line of one worker."""
    return [sys.executable, "-m", "media.app", "--worker"]
