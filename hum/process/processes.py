"""A process of the platform as its supervisor sees it: its own child, or one that an earlier supervisor left running.

A process survives its supervisor: the interpreter's exit kills none, and the next supervisor identifies a process by
its id and start time.
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

from hum.network import INHERITED
from hum.observe import stderr
from hum.process import private
from hum.process.lifetime import CALLS, READY, STOPPING
from hum.process.signals import DRAIN, END_NOW, PREPARE

POLL_SECONDS = 0.05
#: A process that has not ended so long after END_NOW is killed.
END_SECONDS = 5.0
MAX_LINE_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """The identity of a process: its id and start time, as ids are reused."""

    pid: int
    began_ticks: int

    @classmethod
    def of(cls, pid: int) -> "ProcessIdentity | None":
        """Return the process that has this id; None if it is gone or waits to be reaped (proc(5), fields 3 and 22)."""
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] in {"Z", "X"} else cls(pid, int(fields[19]))

    def is_alive(self) -> bool:
        return ProcessIdentity.of(self.pid) == self


class Process:
    """One process.  `is_ready`, `is_stopping`, `calls` and `announcement` are what it has reported so far.

    `handles_drain`: it handles the signals DRAIN and END_NOW; any other program is stopped by SIGTERM.
    """

    def __init__(
        self, identity: ProcessIdentity, child: "subprocess.Popen[bytes] | None" = None, *, handles_drain: bool = True
    ) -> None:
        self.identity = identity
        self.is_ready = self.is_stopping = False
        self.calls = 0
        self.announcement: dict[str, Any] = {}
        self.handles_drain = handles_drain
        self._child = child
        self._partial_line = b""

    @property
    def pid(self) -> int:
        return self.identity.pid

    @property
    def status(self) -> int | None:
        """Its exit status; None while it runs, and for a process that is not a child of ours."""
        return self._child.poll() if self._child is not None else None

    def is_alive(self) -> bool:
        return self.status is None if self._child is not None else self.identity.is_alive()

    async def wait(self) -> None:
        while self.is_alive():  # noqa: ASYNC110 - nothing signals the end of a process that is not a child
            await asyncio.sleep(POLL_SECONDS)

    # Requests to the process.

    def prepare(self) -> None:
        """Tell it that everything begins to stop; planes hear of it when their turn comes."""
        if not self.handles_drain:
            self._signal(PREPARE)

    def drain(self) -> None:
        """Ask it to drain and end in its own time.  Idempotent."""
        self._signal(DRAIN if self.handles_drain else signal.SIGTERM)

    async def end(self) -> None:
        """Ask it to end at once, and kill it if it does not."""
        self._signal(END_NOW if self.handles_drain else signal.SIGTERM)
        with suppress(TimeoutError):
            await asyncio.wait_for(self.wait(), END_SECONDS)
        self._signal(signal.SIGKILL)
        await self.wait()

    def _signal(self, number: int) -> None:
        if self.is_alive():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    # Reports of the process.

    def listen(self, pipe: int) -> None:
        """Read its reports until it ends; this takes ownership of `pipe`."""
        os.set_blocking(pipe, False)
        asyncio.get_running_loop().add_reader(pipe, self._read, pipe)

    def _read(self, pipe: int) -> None:
        try:
            received = os.read(pipe, MAX_LINE_BYTES)
        except BlockingIOError:
            return
        if not received:
            asyncio.get_running_loop().remove_reader(pipe)
            os.close(pipe)
            return
        *lines, self._partial_line = (self._partial_line + received)[-MAX_LINE_BYTES:].split(b"\n")
        for line in lines:
            self._process_line(line.decode(errors="replace"))

    def _process_line(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        if word == READY:
            self.is_ready = True
        elif word == STOPPING:
            self.is_stopping = True
        elif word == CALLS and rest.isdecimal():
            self.calls = int(rest)
        elif line.startswith("{"):
            self.announcement, self.is_ready = json.loads(line), True


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """How a process is started.

    `listener` is the socket for the setting `listens`, which the process inherits.  A plane that is `supervised`
    reports to HUM_SUPERVISOR_FD; any other program prints a line of JSON when it is ready.  If `tied`, its standard
    input ends with its supervisor.  Without a `log` it writes to its supervisor's standard error.
    """

    arguments: Sequence[str]
    environment: Mapping[str, str]
    log: Path | None
    supervised: bool = True
    tied: bool = False
    listens: str = ""
    listener: socket.socket | None = None

    def spawn(self) -> Process:
        """Start the process, which is not ready yet.  Raises OSError if the system lacks the resources."""
        read_end, write_end = os.pipe()
        try:
            child = self._child(write_end)
        except OSError:
            os.close(read_end)
            raise
        finally:
            os.close(write_end)
        process = Process(
            ProcessIdentity.of(child.pid) or ProcessIdentity(child.pid, 0), child, handles_drain=self.supervised
        )
        process.listen(read_end)
        return process

    def _child(self, write_end: int) -> "subprocess.Popen[bytes]":
        environment, inherited = dict(self.environment), []
        if self.supervised:
            environment["HUM_SUPERVISOR_FD"], inherited = str(write_end), [write_end]
        if self.listener is not None:
            environment[self.listens] = f"{INHERITED}:{self.listener.fileno()}"
            inherited.append(self.listener.fileno())
        with self._log() as log:
            return subprocess.Popen(
                [sys.executable, *self.arguments],
                env=environment,
                stdin=subprocess.PIPE if self.tied else subprocess.DEVNULL,
                stdout=log if self.supervised else write_end,
                stderr=stderr.descriptor() if log is None else log,
                pass_fds=inherited,
                # Only the supervisor gets Ctrl-C, and stops the others in order.
                start_new_session=True,
            )

    @contextmanager
    def _log(self) -> Iterator[IO[bytes] | None]:
        if self.log is None:
            yield None
            return
        private.directory(self.log.parent)
        with private.appender(self.log) as log:
            yield log
