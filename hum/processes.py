"""A process of the platform, as whoever watches over it sees it: its own child, or one that an earlier supervisor left.

Nothing here ends when its supervisor does: no process is killed by the interpreter's exit, and each is known again by its
id and by when it began.
"""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from hum import private, stderr
from hum.lifetime import CALLS, LEAVING, READY
from hum.network import INHERITED
from hum.signals import HURRY, LEAVE

LOOK_SECONDS = 0.05  # how soon a process's end is noticed
#: What a process that does not stop is killed after, once it was hurried.
HURRY_SECONDS = 5.0
MAX_LINE_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Known:
    """What tells a process from another that has its id later."""

    pid: int
    began_ticks: int

    @classmethod
    def of(cls, pid: int) -> "Known | None":
        """The process that has this id; None for one that is gone or waits to be reaped (proc(5), fields 3 and 22)."""
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] in {"Z", "X"} else cls(pid, int(fields[19]))

    def lives(self) -> bool:
        return Known.of(self.pid) == self


class Process:
    """One process.  `is_ready`, `is_leaving`, `calls` and `announced` are what it said of itself so far.

    `leaves`: it knows the signals LEAVE and HURRY; any other program is stopped by SIGTERM.
    """

    def __init__(self, known: Known, child: "subprocess.Popen[bytes] | None" = None, *, leaves: bool = True) -> None:
        self.known = known
        self.is_ready = self.is_leaving = False
        self.calls = 0
        self.announced: dict[str, Any] = {}
        self.leaves = leaves
        self._child = child
        self._unread = b""

    @property
    def pid(self) -> int:
        return self.known.pid

    @property
    def status(self) -> int | None:
        """What it exited with; None while it runs, and for what is no child of ours."""
        return self._child.poll() if self._child is not None else None

    def lives(self) -> bool:
        return self.status is None if self._child is not None else self.known.lives()

    async def ended(self) -> None:
        while self.lives():  # noqa: ASYNC110 - nothing signals the end of a process that is not a child
            await asyncio.sleep(LOOK_SECONDS)

    # What it is asked.

    def leave(self) -> None:
        """Ask it to leave in its own time; asking again changes nothing."""
        self._signal(LEAVE if self.leaves else signal.SIGTERM)

    async def end(self) -> None:
        """Have it end at once, and kill it if it does not."""
        self._signal(HURRY if self.leaves else signal.SIGTERM)
        with suppress(TimeoutError):
            await asyncio.wait_for(self.ended(), HURRY_SECONDS)
        self._signal(signal.SIGKILL)
        await self.ended()

    def _signal(self, number: int) -> None:
        if self.lives():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    # What it says.

    def listen(self, pipe: int) -> None:
        """Read what it says until it ends; `pipe` is ours from now on."""
        os.set_blocking(pipe, False)
        asyncio.get_running_loop().add_reader(pipe, self._read, pipe)

    def _read(self, pipe: int) -> None:
        try:
            read = os.read(pipe, MAX_LINE_BYTES)
        except BlockingIOError:
            return
        if not read:
            asyncio.get_running_loop().remove_reader(pipe)
            os.close(pipe)
            return
        *lines, self._unread = (self._unread + read)[-MAX_LINE_BYTES:].split(b"\n")
        for line in lines:
            self._take(line.decode(errors="replace"))

    def _take(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        if word == READY:
            self.is_ready = True
        elif word == LEAVING:
            self.is_leaving = True
        elif word == CALLS and rest.isdecimal():
            self.calls = int(rest)
        elif line.startswith("{"):
            self.announced, self.is_ready = json.loads(line), True


@dataclass(frozen=True, slots=True)
class Command:
    """How a process is started.

    `listener`: the socket that the setting `listens` names, which is handed on.  A plane that is `supervised` writes to
    HUM_SUPERVISOR_FD how it is; any other program prints a line of JSON when it is ready.  One that is `tied` has a standard
    input that ends with its supervisor.  Without a `log` it writes where its supervisor does.
    """

    arguments: Sequence[str]
    environment: Mapping[str, str]
    log: Path | None
    supervised: bool = True
    tied: bool = False
    listens: str = ""
    listener: socket.socket | None = None

    def spawn(self) -> Process:
        """Start it; it is not ready yet.  Raises OSError when the system has no room for it."""
        ours, theirs = os.pipe()
        try:
            child = self._child(theirs)
        except OSError:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        process = Process(Known.of(child.pid) or Known(child.pid, 0), child, leaves=self.supervised)
        process.listen(ours)
        return process

    def _child(self, theirs: int) -> "subprocess.Popen[bytes]":
        environment, handed_on = dict(self.environment), []
        if self.supervised:
            environment["HUM_SUPERVISOR_FD"], handed_on = str(theirs), [theirs]
        if self.listener is not None:
            environment[self.listens] = f"{INHERITED}:{self.listener.fileno()}"
            handed_on.append(self.listener.fileno())
        with self._log() as log:
            return subprocess.Popen(
                [sys.executable, *self.arguments],
                env=environment,
                stdin=subprocess.PIPE if self.tied else subprocess.DEVNULL,
                stdout=log if self.supervised else theirs,
                stderr=stderr.descriptor() if log is None else log,
                pass_fds=handed_on,
                start_new_session=True,  # only the supervisor gets Ctrl-C, and stops the others in order
            )

    @contextmanager
    def _log(self) -> Iterator[IO[bytes] | None]:
        if self.log is None:
            yield None
            return
        private.directory(self.log.parent)
        with private.appender(self.log) as log:
            yield log
