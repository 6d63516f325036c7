"""A group of programs: started in order, replaced by successors, restarted when they die, stopped in reverse order.

A program has one process that serves, and may have others: a successor that is not ready yet, predecessors that drain.

- A process that reports `leaving` is replaced: a successor starts, and once it is ready, the others get LEAVE.
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
from hum.process.processes import POLL_SECONDS, Command, Known, Process

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


class DidNotStart(Exception):  # noqa: N818
    """A program exited, or did not become ready in time; the message names its log, `status` is its exit status."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class Refused(DidNotStart):
    """The system lacked the resources for the process."""


@dataclass
class Program:
    """One program: the process that serves, and those that drain or are not ready yet."""

    name: str
    command: Command
    #: None for no time limit.
    start_seconds: float | None = START_SECONDS
    stop_seconds: float = STOP_SECONDS
    #: It is asked to leave once all programs with a higher number have ended.
    stop_order: int = 0
    process: Process | None = None
    processes: list[Process] = field(default_factory=list)
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def launch(self, changed: Callable[[], None]) -> Process:
        """Start a process and wait until it is ready.  Raises DidNotStart after ending it."""
        try:
            process = self.command.spawn()
        except OSError as error:
            raise Refused(f"{self.name} could not be started: {error}") from error
        self.processes.append(process)
        if self.process is None or not self.process.lives():
            self.process = process
        changed()
        try:
            async with asyncio.timeout(self.start_seconds):
                while not process.is_ready:
                    if not process.lives():
                        raise DidNotStart(f"{self.name} exited at once: {self.last_words()}", process.status)
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError as error:
            await process.end()
            delay = f"{self.name} was not ready after {self.start_seconds:g} s"
            raise DidNotStart(f"{delay}; see {self.command.log or 'above'}") from error
        except asyncio.CancelledError:
            await process.end()
            raise
        return process

    def reap(self) -> bool:
        """Remove the processes that ended; return whether there were any."""
        living = [process for process in self.processes if process.lives()]
        any_ended, self.processes = len(living) < len(self.processes), living
        return any_ended

    def last_words(self) -> str:
        """Return the message with which it ended, or the end of its log."""
        log = self.command.log
        text = _tail(log).strip() if log is not None and log.exists() else ""
        *_, last = text.rpartition("\n")
        return _sentence(last) or text[-LAST_CHARS:] or f"see {log or 'above'}"

    async def stop(self, hurry: asyncio.Event) -> None:
        """Ask its processes to leave, and end those that still run after `stop_seconds`, or once `hurry` is set."""
        if self.command.listener is not None:
            self.command.listener.close()
        for process in self.processes:
            process.leave()
        ended = asyncio.create_task(self._ended())
        hurried = asyncio.create_task(hurry.wait())
        await asyncio.wait({ended, hurried}, timeout=self.stop_seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in (ended, hurried):
            task.cancel()
        await asyncio.gather(*(process.end() for process in self.processes if process.lives()))
        self.reap()

    async def _ended(self) -> None:
        for process in self.processes:
            await process.ended()


def _sentence(line: str) -> str:
    """Return the message in a line of a log; empty if the line is not a log line."""
    if line.startswith("hum: "):
        return line.removeprefix("hum: ")
    try:
        logged = json.loads(line)
        return str(logged["message"])
    except (ValueError, KeyError, TypeError):
        return ""


def _died(program: Program, process: Process, wait_seconds: float) -> str:
    """Return the message about a process that exited; for one that keeps exiting, with its last words."""
    if wait_seconds <= FIRST_WAIT_SECONDS:
        return f"{program.name} exited with status {process.status}; restarting it"
    return (
        f"{program.name} keeps exiting (status {process.status}): {program.last_words()}; "
        f"starting it again in {wait_seconds:g} s"
    )


def _tail(log: Path) -> str:
    """Return the last lines of a log, which may be gigabytes long."""
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - LAST_BYTES))
        return file.read().decode(errors="replace")


@dataclass(frozen=True, slots=True)
class LeftProcess:
    """A process that an earlier supervisor left running, or that a later one may find."""

    name: str
    process: Process
    arguments: tuple[str, ...]
    serves: bool

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> "LeftProcess":
        process = Process(Known(facts["pid"], facts["began_ticks"]), leaves=facts["leaves"])
        process.announced = facts["announced"]
        return cls(facts["name"], process, tuple(facts["arguments"]), facts["serves"])

    def facts(self) -> dict[str, Any]:
        """Return the facts that `of` reads."""
        return {
            "name": self.name,
            "pid": self.process.identity.pid,
            "began_ticks": self.process.identity.began_ticks,
            "leaves": self.process.leaves,
            "arguments": self.arguments,
            "serves": self.serves,
            "announced": self.process.announced,
        }


class Programs:
    """Several programs, kept running until they are stopped.

    `say` gets messages for the operator; `changed` is called whenever a process started or ended.  Set `serves` to get
    the name and duration in ms of every start, and `stopped` of every stop.
    """

    def __init__(self, say: Callable[[str], None], changed: Callable[[], None] = lambda: None) -> None:
        self.all: list[Program] = []
        self.serves: Callable[[str, float], None] = lambda _name, _ms: None
        self.stopped: Callable[[str, float], None] = lambda _name, _ms: None
        self.adopted = False
        self._say, self._changed = say, changed
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._left: list[LeftProcess] = []

    @property
    def calls(self) -> int:
        """The number of open calls that all processes report."""
        return sum(process.calls for program in self.all for process in program.processes)

    def running(self) -> list[dict[str, Any]]:
        """Return the facts of the running processes, for `adopt` in a later supervisor."""
        own = [
            LeftProcess(program.name, process, tuple(program.command.arguments), process is program.process)
            for program in self.all
            for process in program.processes
        ]
        return [left_process.facts() for left_process in (*own, *self._left)]

    def adopt(self, facts_of_all: Sequence[Mapping[str, Any]]) -> None:
        """Adopt the processes that an earlier supervisor left, if they still run."""
        adopted = [LeftProcess.of(facts) for facts in facts_of_all]
        self._left = [candidate for candidate in adopted if candidate.process.lives()]
        self.adopted = bool(self._left)

    def announced(self, name: str) -> dict[str, Any]:
        """Return what the adopted process of a program announced; empty if there is none."""
        return next((orphan.process.announced for orphan in self._left if orphan.name == name and orphan.serves), {})

    async def end_unclaimed(self) -> None:
        """End the adopted processes that belong to none of our programs."""
        await asyncio.gather(*(orphan.process.end() for orphan in self._left))
        self._left.clear()

    async def start(self, *programs: Program) -> None:
        """Start these programs concurrently, wait for all, and keep them running.  Raises DidNotStart.

        An adopted plane is replaced by a successor; any other adopted program is kept if its arguments are the same.
        """
        self.all += programs
        beginning = await asyncio.gather(*(self._begin(program) for program in programs), return_exceptions=True)
        for error in beginning:
            if error is not None:
                raise error
        for program in programs:
            self._keepers[program.name] = asyncio.create_task(self._keep(program), name=program.name)

    async def stop(self, hurry: asyncio.Event | None = None) -> None:
        """Stop all programs in their `stop_order`; once `hurry` is set, end the remaining ones together, at once."""
        hurry = hurry or asyncio.Event()
        hurried = asyncio.create_task(hurry.wait())
        stopping: set[asyncio.Task[None]] = set()
        try:
            for order in sorted({program.stop_order for program in self.all}, reverse=True):
                stopping |= {
                    asyncio.create_task(self._stop(program, hurry), name=f"stop {program.name}")
                    for program in self.all
                    if program.stop_order == order
                }
                pending: set[asyncio.Future[Any]] = {asyncio.gather(*stopping), hurried}
                await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.gather(*stopping)
        finally:
            hurried.cancel()

    async def _stop(self, program: Program, hurry: asyncio.Event) -> None:
        started_ms = monotonic_ms()
        await self._stop_keeper(program)
        await program.stop(hurry)
        self._changed()
        self.stopped(program.name, monotonic_ms() - started_ms)

    async def abandon(self) -> None:
        """Stop supervising, and leave all processes to the next supervisor."""
        for program in self.all:
            await self._stop_keeper(program)

    async def _stop_keeper(self, program: Program) -> None:
        if (keeper := self._keepers.pop(program.name, None)) is not None:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)

    async def _begin(self, program: Program) -> None:
        orphans = [candidate for candidate in self._left if candidate.name == program.name]
        self._left = [candidate for candidate in self._left if candidate.name != program.name]
        started_ms = monotonic_ms()
        await self._adopt_or_launch(program, orphans)
        self.serves(program.name, monotonic_ms() - started_ms)

    async def _adopt_or_launch(self, program: Program, orphans: list[LeftProcess]) -> None:
        if program.command.supervised:
            program.processes += [candidate.process for candidate in orphans]
            await self._replace(program)
            return
        same = [
            candidate
            for candidate in orphans
            if candidate.serves and candidate.arguments == tuple(program.command.arguments)
        ]
        await asyncio.gather(*(candidate.process.end() for candidate in orphans if candidate not in same[:1]))
        if same:
            program.process = same[0].process
            program.processes.append(program.process)
        else:
            program.process = await self._launch(program)
        self._changed()

    async def _launch(self, program: Program) -> Process:
        """Start a process and wait until it is ready.  Raises DidNotStart.

        A process that was killed by a signal before it was ready (by the system for memory, or by a person) is started
        again: that says nothing about its settings, and must not end the other programs.
        """
        for _ in range(KILLED_STARTS - 1):
            try:
                return await program.launch(self._changed)
            except DidNotStart as error:
                if error.status is None or error.status >= 0:
                    raise
                self._say(f"{error}; starting it again")
        return await program.launch(self._changed)

    async def renew(self) -> None:
        """Replace every plane by a successor, one after the other; stop at one that can't be replaced, which serves on."""
        for program in self.all:
            if program.command.supervised:
                try:
                    await self._replace(program)
                except DidNotStart as error:
                    self._say(f"{error}; the one before it serves on")
                    return
        self._say("every plane has a successor; those before them end their calls")

    async def _replace(self, program: Program) -> None:
        """Start a successor beside the running processes, and ask them to leave once it is ready.

        Raises DidNotStart.
        """
        before = program.process
        async with program.changing:
            if program.process is not before:
                return
            successor = await self._launch(program)
            program.process = successor
            for process in program.processes:
                if process is not successor:
                    process.leave()
            self._changed()

    async def _keep(self, program: Program) -> None:
        """Replace a process that leaves, and restart one that dies, until cancelled.

        The back-off of a program that keeps dying grows up to LONGEST_WAIT_SECONDS, and affects no other program: calls
        go on without a worker, and a fault that ends every process may be over in a minute (a full disk, a database
        that starts).
        """
        wait_seconds = FIRST_WAIT_SECONDS
        while (process := program.process) is not None:
            started_ms = monotonic_ms()
            while program.process is process and process.lives() and not process.is_leaving:
                await self._poll(program)
            if program.process is process and process.lives():
                try:
                    await self._replace(program)
                except DidNotStart as error:
                    self._say(f"{error}; the one that was to leave serves on for a while")
            while program.process is process and process.lives():
                await self._poll(program)
            if program.process is not process:
                continue
            if monotonic_ms() - started_ms >= QUICK_DEATH_MS:
                wait_seconds = FIRST_WAIT_SECONDS
            self._say(_died(program, process, wait_seconds))
            await asyncio.sleep(wait_seconds)
            wait_seconds = min(wait_seconds * 2, LONGEST_WAIT_SECONDS)
            try:
                await self._restart(program, process)
            except DidNotStart as error:
                if error.status is None:  # else the next round reports it
                    self._say(str(error))
            self._changed()

    async def _restart(self, program: Program, dead: Process) -> None:
        """Start a program again, retrying while the system lacks resources.  Raises DidNotStart."""
        wait_seconds = FIRST_WAIT_SECONDS
        while program.process is dead:  # else `renew` succeeded
            try:
                await program.launch(self._changed)
            except Refused as error:
                self._say(f"{error}; trying again")
                await asyncio.sleep(wait_seconds)
                wait_seconds = min(wait_seconds * 2, LONGEST_WAIT_SECONDS)
            else:
                return

    async def _poll(self, program: Program) -> None:
        if program.reap():
            self._changed()
        await asyncio.sleep(POLL_SECONDS)
