"""A group of programs: started in order, restarted when they die, stopped in reverse order."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hum import private
from hum.clock import monotonic_ms

QUICK_DEATH_MS = 5_000.0
QUICK_DEATHS = 5
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.3, 5.0

Ready = Callable[[], Awaitable[bool]]


class DidNotStart(Exception):  # noqa: N818
    """A program exited, or did not become ready in time; the message names its log."""


@dataclass
class Program:
    """One program: how to start it, and how to tell that it is ready."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    #: None: the program prints one line of JSON when it is ready.
    ready: Ready | None = None
    announced: dict[str, Any] = field(default_factory=dict)
    process: asyncio.subprocess.Process | None = None
    stopping: bool = False

    async def start(self, wait_seconds: float = 60.0) -> None:
        """Start it and wait until it is ready.  Raises DidNotStart."""
        private.directory(self.log.parent)
        with private.appender(self.log) as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                *self.arguments,
                env=dict(self.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE if self.ready is None else log,
                stderr=log,
                start_new_session=True,  # only this process gets Ctrl-C, and stops the others in order
            )
        try:
            async with asyncio.timeout(wait_seconds):
                await self._become_ready(self.process)
        except TimeoutError as error:
            raise DidNotStart(f"{self.name} was not ready after {wait_seconds:.0f} s; see {self.log}") from error

    async def _become_ready(self, process: asyncio.subprocess.Process) -> None:
        if self.ready is None:
            assert process.stdout is not None
            line = await process.stdout.readline()
            if not line:
                await process.wait()
                raise DidNotStart(f"{self.name} exited at once: {self.last_words()}")
            self.announced = json.loads(line)
            return
        while not await self.ready():
            if process.returncode is not None:
                raise DidNotStart(f"{self.name} exited at once: {self.last_words()}")
            await asyncio.sleep(0.05)

    def last_words(self) -> str:
        """The end of the program's log."""
        text = self.log.read_text(errors="replace").strip() if self.log.exists() else ""
        return text[-600:] or f"see {self.log}"

    async def stop(self, wait_seconds: float) -> None:
        """Ask the program to stop, and kill it if it is still running after `wait_seconds`."""
        self.stopping = True
        if self.process is None or self.process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            self.process.terminate()
        try:
            await asyncio.wait_for(self.process.wait(), wait_seconds)
        except TimeoutError:
            with suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()


class Programs:
    """Several programs, restarted when they exit, until they are stopped."""

    def __init__(self) -> None:
        self.all: list[Program] = []
        self.failed = asyncio.Event()
        self.failure = ""
        self._keepers: list[asyncio.Task[None]] = []

    async def start(self, *programs: Program) -> None:
        """Start these in parallel, wait for all, and keep them running.  Raises DidNotStart."""
        self.all += programs
        await asyncio.gather(*(program.start() for program in programs))
        self._keepers += [asyncio.create_task(self._keep(program), name=program.name) for program in programs]

    async def stop(self, wait_seconds: float) -> None:
        """Stop all, the last started first."""
        for program in self.all:
            program.stopping = True
        for program in reversed(self.all):
            await program.stop(wait_seconds)
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)

    async def _keep(self, program: Program) -> None:
        """Restart a program when it dies; if it repeatedly dies soon after its start, set `failed`."""
        quick_deaths, wait_seconds = 0, FIRST_WAIT_SECONDS
        while program.process is not None:
            began_ms = monotonic_ms()
            code = await program.process.wait()
            if program.stopping:
                return
            lived_ms = monotonic_ms() - began_ms
            quick_deaths = quick_deaths + 1 if lived_ms < QUICK_DEATH_MS else 0
            if quick_deaths >= QUICK_DEATHS:
                self.failure = f"{program.name} keeps exiting (status {code}): {program.last_words()}"
                self.failed.set()
                return
            sys.stderr.write(f"hum: {program.name} exited with status {code}; restarting it\n")
            await asyncio.sleep(wait_seconds)
            wait_seconds = min(wait_seconds * 2, LONGEST_WAIT_SECONDS) if quick_deaths else FIRST_WAIT_SECONDS
            with suppress(DidNotStart):
                await program.start()


def stop_leftovers(programs: Mapping[str, str]) -> None:
    """Stop the processes that a killed `hum up` left behind, if their pids still run the same modules."""
    for pid, module in programs.items():
        with suppress(OSError, ValueError):
            if module in Path(f"/proc/{int(pid)}/cmdline").read_bytes().decode(errors="replace").split("\0"):
                os.kill(int(pid), signal.SIGTERM)
