"""A process from when it serves to when it leaves, and what it tells whoever started it.

`hum up`, and a plane that has workers, give each process the writing end of a pipe (HUM_SUPERVISOR_FD), to which it writes
lines:

    ready       it serves
    leaving     it was asked to stop, and serves on until its successor does
    calls N     so many calls are open

The supervisor answers by signals (hum/signals.py), which a supervisor that comes later can send too.  Without one, or when
it is gone, a process that is asked to stop leaves at once.  A worker whose supervisor is gone serves on for
HUM_SUCCESSOR_SECONDS, or until the supervisor that comes next has others and tells it to leave.
"""

import asyncio
import inspect
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from hum.settings import Common
from hum.signals import Signals

READY, LEAVING, CALLS = "ready", "leaving", "calls"


class Lifetime:
    """Make it in the running loop, before anything else: from then on signals are heard."""

    def __init__(self, settings: Common, *, tied: bool = False) -> None:
        """`tied`: standard input is a pipe that nobody writes to; when it ends, the supervisor is gone."""
        self.signals = Signals()
        self._is_orphaned = False
        if tied:
            asyncio.get_running_loop().add_reader(sys.stdin.fileno(), self._untied)
        self._successor_seconds = settings.successor_seconds
        self._supervisor, self._notify_socket = settings.supervisor_fd, settings.notify_socket
        if self._supervisor is not None:
            try:
                os.set_inheritable(self._supervisor, False)
                os.set_blocking(self._supervisor, False)
            except OSError:  # it was closed on the way here
                self._supervisor = None

    def ready(self) -> None:
        """Say that this process serves, to systemd as well."""
        self._tell(READY)
        notify(self._notify_socket)

    def calls(self, count: int) -> None:
        """Say how many calls are open."""
        self._tell(f"{CALLS} {count}")

    def _untied(self) -> None:
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        self._is_orphaned = True
        self.signals.stop.set()

    async def over(self) -> None:
        """Wait until the process has to leave: it was asked to stop, and its successor serves, if it gets one in time."""
        await self.signals.stop.wait()
        if self.signals.leave.is_set():
            return
        self._tell(LEAVING)
        if self._supervisor is not None or self._is_orphaned:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._successor_seconds):
                    await self.signals.leave.wait()

    def _tell(self, line: str) -> None:
        if self._supervisor is None:
            return
        try:
            os.write(self._supervisor, f"{line}\n".encode())
        except BlockingIOError:  # whoever does not read loses a number
            pass
        except OSError:
            os.close(self._supervisor)
            self._supervisor = None


def notify(notify_socket: str) -> None:
    """Say by sd_notify(3) that this process serves; does nothing where nobody waits for it."""
    if notify_socket:
        address = "\0" + notify_socket[1:] if notify_socket.startswith("@") else notify_socket
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as word:
            word.sendto(b"READY=1", address)


@asynccontextmanager
async def when(event: asyncio.Event | None, act: Callable[[], object]) -> AsyncIterator[None]:
    """Do `act` once `event` is set, if that happens while this lasts."""

    async def wait(event: asyncio.Event) -> None:
        await event.wait()
        if inspect.isawaitable(doing := act()):
            await doing

    waiting = asyncio.create_task(wait(event)) if event is not None else None
    try:
        yield
    finally:
        if waiting is not None:
            waiting.cancel()
            with suppress(asyncio.CancelledError):
                await waiting
