"""The lifetime of a process, from ready to shutdown, and its reports to its supervisor.

A supervisor (`hum up`, or a plane that has workers) gives each process the writing end of a pipe (HUM_SUPERVISOR_FD),
to which the process writes lines:

    ready       it serves
    leaving     it was asked to stop, and serves on until its successor process does
    calls N     N calls are open

The supervisor answers by signals (hum/process/signals.py), which a later supervisor can send as well.  A process without a
supervisor, or with one that is gone, shuts down at once when it is asked to stop.  A worker with a dead supervisor
serves on for `successor_seconds`, or until the next supervisor has started its successor and sends DRAIN.

Example, a deploy: SIGTERM reaches a worker, which writes `leaving` and goes on serving.  The supervisor starts a
successor process and reads its `ready`, then sends DRAIN to the old worker, which drains and ends.
"""

import asyncio
import inspect
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from hum.process.signals import Signals
from hum.settings import Common, notify_socket

#: The words of the lines; a supervisor of an earlier release reads them, too.
READY, STOPPING, CALLS = "ready", "leaving", "calls"


class Lifetime:
    """The lifetime of this process.  Construct it first in the running loop: from then on signals are handled."""

    def __init__(self, settings: Common, *, tied: bool = False) -> None:
        """Handle signals from now on.  If `tied`, standard input is a pipe that ends when the supervisor is gone."""
        self.signals = Signals()
        self._is_orphaned = False
        if tied:
            asyncio.get_running_loop().add_reader(sys.stdin.fileno(), self._on_supervisor_gone)
        self._successor_seconds = settings.successor_seconds
        self._supervisor = settings.supervisor_fd
        if self._supervisor is not None:
            try:
                os.set_inheritable(self._supervisor, False)
                os.set_blocking(self._supervisor, False)
            except OSError:  # it is closed
                self._supervisor = None

    def report_ready(self) -> None:
        """Report that this process serves, to systemd as well."""
        self._write(READY)
        notify()

    def report_calls(self, count: int) -> None:
        """Report the number of open calls."""
        self._write(f"{CALLS} {count}")

    def _on_supervisor_gone(self) -> None:
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        self._is_orphaned = True
        self.signals.stop.set()

    async def wait_for_shutdown(self) -> None:
        """Wait until the process must shut down: it was asked to stop, and its successor serves, if one does in time."""
        await self.signals.stop.wait()
        if self.signals.drain.is_set():
            return
        self._write(STOPPING)
        if self._supervisor is not None or self._is_orphaned:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._successor_seconds):
                    await self.signals.drain.wait()

    def _write(self, line: str) -> None:
        if self._supervisor is None:
            return
        try:
            os.write(self._supervisor, f"{line}\n".encode())
        except BlockingIOError:  # the supervisor does not read: drop it
            pass
        except OSError:
            os.close(self._supervisor)
            self._supervisor = None


def notify() -> None:
    """Report by sd_notify(3) that this process serves; do nothing without systemd."""
    if path := notify_socket():
        address = "\0" + path[1:] if path.startswith("@") else path
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
            connection.sendto(b"READY=1", address)


@asynccontextmanager
async def when(event: asyncio.Event | None, act: Callable[[], object]) -> AsyncIterator[None]:
    """Call `act` once `event` is set, if that happens while the context lasts."""

    async def wait(event: asyncio.Event) -> None:
        await event.wait()
        if inspect.isawaitable(result := act()):
            await result

    task = asyncio.create_task(wait(event)) if event is not None else None
    try:
        yield
    finally:
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
