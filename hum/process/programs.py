"""A group of programs: started in order, replaced by successors, restarted when they die, stopped in reverse order.

A program has one process that serves, and may have others: a successor that is not ready yet, predecessors that drain.

- A process that reports `leaving` is replaced: a successor starts, and once it is ready, the others get DRAIN.
- A process that dies is restarted after a back-off, which doubles while processes die within QUICK_DEATH_MS.
- `renew` replaces every plane in turn; `stop` ends them in their `stop_order`.
- A later supervisor adopts the processes that this one leaves (`running`, `adopt`): it replaces planes by successors, and
  keeps other programs as they are.
"""

import asyncio
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hum.clock import monotonic_ms
from hum.process.processes import POLL_SECONDS, Process, ProcessIdentity, ProcessSpec

START_SECONDS = 60.0
STOP_SECONDS = 15.0
#: After a drain: a spoken goodbye to every call, the close, the last reports.
GOODBYE_SECONDS = 60.0
#: The end of a log that is read, and quoted, if a program does not start.
LAST_BYTES, LAST_CHARS = 16 << 10, 600
#: A process that lived for less time doubles the back-off of its program.
QUICK_DEATH_MS = 5_000.0
#: Attempts to start a process that is killed by a signal before it is ready.
KILLED_STARTS = 5
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.1, 5.0


class StartFailed(Exception):  # noqa: N818
    """A program exited, or did not become ready in time; the message names its log, `status` is its exit status."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class ResourceShortage(StartFailed):
    """The system lacked the resources for the process."""


@dataclass
class Program:
    """One program: the process that serves, and those that drain or are not ready yet."""

    name: str
    command: ProcessSpec
    #: None for no time limit.
    start_seconds: float | None = START_SECONDS
    stop_seconds: float = STOP_SECONDS
    #: It is asked to drain once all programs with a higher number have ended.
    stop_order: int = 0
    process: Process | None = None
    processes: list[Process] = field(default_factory=list)
    replacement_lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def launch(self, on_changed: Callable[[], None]) -> Process:
        """Start a process and wait until it is ready.  Raises StartFailed after ending it."""
        try:
            process = self.command.spawn()
        except OSError as error:
            raise ResourceShortage(f"{self.name} could not be started: {error}") from error
        self.processes.append(process)
        if self.process is None or not self.process.is_alive():
            self.process = process
        on_changed()
        try:
            async with asyncio.timeout(self.start_seconds):
                while not process.is_ready:
                    if not process.is_alive():
                        raise StartFailed(f"{self.name} exited at once: {self.exit_message()}", process.status)
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError as error:
            await process.end()
            delay = f"{self.name} was not ready after {self.start_seconds:g} s"
            raise StartFailed(f"{delay}; see {self.command.log or 'above'}") from error
        except asyncio.CancelledError:
            await process.end()
            raise
        return process

    def reap(self) -> bool:
        """Remove the processes that ended; return whether there were any."""
        living = [process for process in self.processes if process.is_alive()]
        any_ended, self.processes = len(living) < len(self.processes), living
        return any_ended

    def exit_message(self) -> str:
        """Return the message with which it ended, or the end of its log."""
        log = self.command.log
        text = _tail(log).strip() if log is not None and log.exists() else ""
        *_, last = text.rpartition("\n")
        return _sentence(last) or text[-LAST_CHARS:] or f"see {log or 'above'}"

    async def stop(self, end_now: asyncio.Event) -> None:
        """Ask its processes to drain, and end those that still run after `stop_seconds`, or once `end_now` is set."""
        if self.command.listener is not None:
            self.command.listener.close()
        for process in self.processes:
            process.drain()
        ended = asyncio.create_task(self._ended())
        ending = asyncio.create_task(end_now.wait())
        await asyncio.wait({ended, ending}, timeout=self.stop_seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in (ended, ending):
            task.cancel()
        await asyncio.gather(*(process.end() for process in self.processes if process.is_alive()))
        self.reap()

    async def _ended(self) -> None:
        for process in self.processes:
            await process.wait()


def _sentence(line: str) -> str:
    """Return the message in a line of a log; empty if the line is not a log line."""
    if line.startswith("hum: "):
        return line.removeprefix("hum: ")
    try:
        logged = json.loads(line)
        return str(logged["message"])
    except (ValueError, KeyError, TypeError):
        return ""


def _restart_message(program: Program, process: Process, wait_seconds: float) -> str:
    """Return the message about a process that exited; for one that keeps exiting, with its last words."""
    if wait_seconds <= FIRST_WAIT_SECONDS:
        return f"{program.name} exited with status {process.status}; restarting it"
    return (
        f"{program.name} keeps exiting (status {process.status}): {program.exit_message()}; "
        f"starting it again in {wait_seconds:g} s"
    )


def _tail(log: Path) -> str:
    """Return the last lines of a log, which may be gigabytes long."""
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - LAST_BYTES))
        return file.read().decode(errors="replace")


@dataclass(frozen=True, slots=True)
class OrphanProcess:
    """A process that an earlier supervisor left running, or that a later one may find."""

    name: str
    process: Process
    arguments: tuple[str, ...]
    is_serving: bool

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> "OrphanProcess":
        process = Process(ProcessIdentity(facts["pid"], facts["began_ticks"]), handles_drain=facts["leaves"])
        process.announcement = facts["announced"]
        return cls(facts["name"], process, tuple(facts["arguments"]), facts["serves"])

    def facts(self) -> dict[str, Any]:
        """Return the facts that `of` reads."""
        return {
            "name": self.name,
            "pid": self.process.identity.pid,
            "began_ticks": self.process.identity.began_ticks,
            "leaves": self.process.handles_drain,
            "arguments": self.arguments,
            "serves": self.is_serving,
            "announced": self.process.announcement,
        }


class Programs:
    """Several programs, kept running until they are stopped.

    `log` gets messages for the operator; `on_changed` is called whenever a process started or ended.  Set `on_started` to get
    the name and duration in ms of every start, and `on_stopped` of every stop.
    """

    def __init__(self, log: Callable[[str], None], on_changed: Callable[[], None] = lambda: None) -> None:
        self.all: list[Program] = []
        self.on_started: Callable[[str, float], None] = lambda _name, _ms: None
        self.on_stopped: Callable[[str, float], None] = lambda _name, _ms: None
        self.adopted = False
        self._log, self._on_changed = log, on_changed
        self._supervisors: dict[str, asyncio.Task[None]] = {}
        self._orphans: list[OrphanProcess] = []

    @property
    def calls(self) -> int:
        """The number of open calls that all processes report."""
        return sum(process.calls for program in self.all for process in program.processes)

    def running(self) -> list[dict[str, Any]]:
        """Return the facts of the running processes, for `adopt` in a later supervisor."""
        own = [
            OrphanProcess(program.name, process, tuple(program.command.arguments), process is program.process)
            for program in self.all
            for process in program.processes
        ]
        return [orphan.facts() for orphan in (*own, *self._orphans)]

    def adopt(self, facts_of_all: Sequence[Mapping[str, Any]]) -> None:
        """Adopt the processes that an earlier supervisor left, if they still run."""
        adopted = [OrphanProcess.of(facts) for facts in facts_of_all]
        self._orphans = [candidate for candidate in adopted if candidate.process.is_alive()]
        self.adopted = bool(self._orphans)

    def announcement(self, name: str) -> dict[str, Any]:
        """Return what the adopted process of a program announced; empty if there is none."""
        return next(
            (orphan.process.announcement for orphan in self._orphans if orphan.name == name and orphan.is_serving), {}
        )

    async def end_orphans(self) -> None:
        """End the adopted processes that belong to none of our programs."""
        await asyncio.gather(*(orphan.process.end() for orphan in self._orphans))
        self._orphans.clear()

    async def start(self, *programs: Program) -> None:
        """Start these programs concurrently, wait for all, and keep them running.  Raises StartFailed.

        An adopted plane is replaced by a successor; any other adopted program is kept if its arguments are the same.
        """
        self.all += programs
        beginning = await asyncio.gather(*(self._begin(program) for program in programs), return_exceptions=True)
        for error in beginning:
            if error is not None:
                raise error
        for program in programs:
            self._supervisors[program.name] = asyncio.create_task(self._supervise(program), name=program.name)

    async def stop(self, end_now: asyncio.Event | None = None) -> None:
        """Stop all programs in their `stop_order`; once `end_now` is set, end the remaining ones together, at once."""
        end_now = end_now or asyncio.Event()
        ending = asyncio.create_task(end_now.wait())
        stopping: set[asyncio.Task[None]] = set()
        for process in (process for program in self.all for process in program.processes):
            process.prepare()
        try:
            for order in sorted({program.stop_order for program in self.all}, reverse=True):
                stopping |= {
                    asyncio.create_task(self._stop(program, end_now), name=f"stop {program.name}")
                    for program in self.all
                    if program.stop_order == order
                }
                pending: set[asyncio.Future[Any]] = {asyncio.gather(*stopping), ending}
                await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.gather(*stopping)
        finally:
            ending.cancel()

    async def _stop(self, program: Program, end_now: asyncio.Event) -> None:
        started_ms = monotonic_ms()
        await self._stop_supervising(program)
        await program.stop(end_now)
        self._on_changed()
        self.on_stopped(program.name, monotonic_ms() - started_ms)

    async def hand_over(self) -> None:
        """Stop supervising, and hand all processes over to the next supervisor."""
        for program in self.all:
            await self._stop_supervising(program)

    async def _stop_supervising(self, program: Program) -> None:
        if (supervisor := self._supervisors.pop(program.name, None)) is not None:
            supervisor.cancel()
            await asyncio.gather(supervisor, return_exceptions=True)

    async def _begin(self, program: Program) -> None:
        orphans = [candidate for candidate in self._orphans if candidate.name == program.name]
        self._orphans = [candidate for candidate in self._orphans if candidate.name != program.name]
        started_ms = monotonic_ms()
        await self._adopt_or_launch(program, orphans)
        self.on_started(program.name, monotonic_ms() - started_ms)

    async def _adopt_or_launch(self, program: Program, orphans: list[OrphanProcess]) -> None:
        if program.command.supervised:
            program.processes += [candidate.process for candidate in orphans]
            await self._replace(program)
            return
        same = [
            candidate
            for candidate in orphans
            if candidate.is_serving and candidate.arguments == tuple(program.command.arguments)
        ]
        await asyncio.gather(*(candidate.process.end() for candidate in orphans if candidate not in same[:1]))
        if same:
            program.process = same[0].process
            program.processes.append(program.process)
        else:
            program.process = await self._launch(program)
        self._on_changed()

    async def _launch(self, program: Program) -> Process:
        """Start a process and wait until it is ready.  Raises StartFailed.

        A process that was killed by a signal before it was ready (by the system for memory, or by a person) is started
        again: that says nothing about its settings, and must not end the other programs.
        """
        for _ in range(KILLED_STARTS - 1):
            try:
                return await program.launch(self._on_changed)
            except StartFailed as error:
                if error.status is None or error.status >= 0:
                    raise
                self._log(f"{error}; starting it again")
        return await program.launch(self._on_changed)

    async def renew(self) -> None:
        """Replace every plane by a successor, one after the other; stop at one that can't be replaced, which serves on."""
        for program in self.all:
            if program.command.supervised:
                try:
                    await self._replace(program)
                except StartFailed as error:
                    self._log(f"{error}; the one before it serves on")
                    return
        self._log("every plane has a successor; those before them end their calls")

    async def _replace(self, program: Program) -> None:
        """Start a successor beside the running processes, and ask them to drain once it is ready.

        Raises StartFailed.
        """
        before = program.process
        async with program.replacement_lock:
            if program.process is not before:
                return
            successor = await self._launch(program)
            program.process = successor
            for process in program.processes:
                if process is not successor:
                    process.drain()
            self._on_changed()

    async def _supervise(self, program: Program) -> None:
        """Replace a process that leaves, and restart one that dies, until cancelled.

        The back-off of a program that keeps dying grows up to LONGEST_WAIT_SECONDS, and affects no other program: calls
        go on without a worker, and a fault that ends every process may be over in a minute (a full disk, a database
        that starts).
        """
        wait_seconds = FIRST_WAIT_SECONDS
        while (process := program.process) is not None:
            started_ms = monotonic_ms()
            while program.process is process and process.is_alive() and not process.is_stopping:
                await self._poll(program)
            if program.process is process and process.is_alive():
                try:
                    await self._replace(program)
                except StartFailed as error:
                    self._log(f"{error}; the one that was to drain serves on for a while")
            while program.process is process and process.is_alive():
                await self._poll(program)
            if program.process is not process:
                continue
            if monotonic_ms() - started_ms >= QUICK_DEATH_MS:
                wait_seconds = FIRST_WAIT_SECONDS
            self._log(_restart_message(program, process, wait_seconds))
            await asyncio.sleep(wait_seconds)
            wait_seconds = min(wait_seconds * 2, LONGEST_WAIT_SECONDS)
            try:
                await self._restart(program, process)
            except StartFailed as error:
                if error.status is None:  # else the next round reports it
                    self._log(str(error))
            self._on_changed()

    async def _restart(self, program: Program, dead: Process) -> None:
        """Start a program again, retrying while the system lacks resources.  Raises StartFailed."""
        wait_seconds = FIRST_WAIT_SECONDS
        while program.process is dead:  # else `renew` succeeded
            try:
                await program.launch(self._on_changed)
            except ResourceShortage as error:
                self._log(f"{error}; trying again")
                await asyncio.sleep(wait_seconds)
                wait_seconds = min(wait_seconds * 2, LONGEST_WAIT_SECONDS)
            else:
                return

    async def _poll(self, program: Program) -> None:
        if program.reap():
            self._on_changed()
        await asyncio.sleep(POLL_SECONDS)
