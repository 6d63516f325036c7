"""A group of programs: started in order, replaced by successors, restarted when they die, stopped in reverse order."""

import asyncio
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hum.clock import monotonic_ms
from hum.processes import LOOK_SECONDS, Command, Known, Process

START_SECONDS = 60.0
STOP_SECONDS = 15.0
#: Beyond a drain: a spoken goodbye to each call, the close, the last reports.
GOODBYE_SECONDS = 60.0
LAST_BYTES, LAST_CHARS = 16 << 10, 600  # of its log, when a program does not start
#: A process that lived for less time makes its program wait longer before the next one is started.
QUICK_DEATH_MS = 5_000.0
#: How often a process that a signal ends before it is ready is started again while its group starts.
KILLED_STARTS = 5
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.1, 5.0


class DidNotStart(Exception):  # noqa: N818
    """A program exited, or did not become ready in time; the message names its log, `status` is what it exited with."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class Refused(DidNotStart):
    """The system had no room for the process."""


@dataclass
class Program:
    """One program: the process that serves, and those that still leave or are not ready yet."""

    name: str
    command: Command
    #: None: it may take as long as it wants.
    start_seconds: float | None = START_SECONDS
    stop_seconds: float = STOP_SECONDS
    #: It is asked to leave once all with a higher number are gone.
    stop_order: int = 0
    process: Process | None = None
    processes: list[Process] = field(default_factory=list)
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def launch(self, changed: Callable[[], None]) -> Process:
        """Start a process and wait until it is ready.  Raises DidNotStart; then it is gone."""
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
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError as error:
            await process.end()
            took = f"{self.name} was not ready after {self.start_seconds:g} s"
            raise DidNotStart(f"{took}; see {self.command.log or 'above'}") from error
        except asyncio.CancelledError:
            await process.end()
            raise
        return process

    def reap(self) -> bool:
        """Forget the processes that ended; whether there were any."""
        living = [each for each in self.processes if each.lives()]
        found, self.processes = len(living) < len(self.processes), living
        return found

    def last_words(self) -> str:
        """The sentence with which it ended, or the end of its log."""
        log = self.command.log
        text = _end(log).strip() if log is not None and log.exists() else ""
        *_, last = text.rpartition("\n")
        return _sentence(last) or text[-LAST_CHARS:] or f"see {log or 'above'}"

    async def stop(self, hurry: asyncio.Event) -> None:
        """Ask its processes to leave, and end those that have not after `stop_seconds`, or when `hurry` is set."""
        if self.command.listener is not None:
            self.command.listener.close()
        for each in self.processes:
            each.leave()
        ended = asyncio.create_task(self._ended())
        hurried = asyncio.create_task(hurry.wait())
        await asyncio.wait({ended, hurried}, timeout=self.stop_seconds, return_when=asyncio.FIRST_COMPLETED)
        for waiting in (ended, hurried):
            waiting.cancel()
        await asyncio.gather(*(each.end() for each in self.processes if each.lives()))
        self.reap()

    async def _ended(self) -> None:
        for each in self.processes:
            await each.ended()


def _sentence(line: str) -> str:
    """What a line of a log says, as a sentence for the operator; empty for one that is none."""
    if line.startswith("hum: "):
        return line.removeprefix("hum: ")
    try:
        logged = json.loads(line)
        return str(logged["message"])
    except (ValueError, KeyError, TypeError):
        return ""


def _died(program: Program, process: Process, wait_seconds: float) -> str:
    """Return the sentence for the operator about a process that exited; one that keeps exiting is quoted."""
    if wait_seconds <= FIRST_WAIT_SECONDS:
        return f"{program.name} exited with status {process.status}; restarting it"
    return (
        f"{program.name} keeps exiting (status {process.status}): {program.last_words()}; "
        f"starting it again in {wait_seconds:g} s"
    )


def _end(log: Path) -> str:
    """The last lines of a log, which may be gigabytes long."""
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - LAST_BYTES))
        return file.read().decode(errors="replace")


@dataclass(frozen=True, slots=True)
class Left:
    """A process that an earlier supervisor left running, or that a later one may find."""

    name: str
    process: Process
    arguments: tuple[str, ...]
    serves: bool

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> "Left":
        process = Process(Known(facts["pid"], facts["began_ticks"]), leaves=facts["leaves"])
        process.announced = facts["announced"]
        return cls(facts["name"], process, tuple(facts["arguments"]), facts["serves"])

    def facts(self) -> dict[str, Any]:
        """What `of` reads."""
        return {
            "name": self.name,
            "pid": self.process.known.pid,
            "began_ticks": self.process.known.began_ticks,
            "leaves": self.process.leaves,
            "arguments": self.arguments,
            "serves": self.serves,
            "announced": self.process.announced,
        }


class Programs:
    """Several programs, kept running until they are stopped.

    `say` gets sentences for the operator; `changed` is called whenever a process came or went.  Set `serves` to be told, of
    each program that `start` starts, its name and how long that took in ms, and `stopped` for those that `stop` stops.
    """

    def __init__(self, say: Callable[[str], None], changed: Callable[[], None] = lambda: None) -> None:
        self.all: list[Program] = []
        self.serves: Callable[[str, float], None] = lambda _name, _ms: None
        self.stopped: Callable[[str, float], None] = lambda _name, _ms: None
        self.adopted = False
        self._say, self._changed = say, changed
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._left: list[Left] = []

    @property
    def calls(self) -> int:
        """How many calls are open, in all processes that say so."""
        return sum(process.calls for program in self.all for process in program.processes)

    def known(self) -> list[dict[str, Any]]:
        """The processes that run, for `adopt` of a later supervisor."""
        ours = [
            Left(program.name, process, tuple(program.command.arguments), process is program.process)
            for program in self.all
            for process in program.processes
        ]
        return [each.facts() for each in (*ours, *self._left)]

    def adopt(self, known: Sequence[Mapping[str, Any]]) -> None:
        """Take over what an earlier supervisor left running, as far as it lives."""
        left = [Left.of(facts) for facts in known]
        self._left = [each for each in left if each.process.lives()]
        self.adopted = bool(self._left)

    def announced(self, name: str) -> dict[str, Any]:
        """What the process of a program said that was left running; empty if there is none."""
        return next((each.process.announced for each in self._left if each.name == name and each.serves), {})

    async def end_unclaimed(self) -> None:
        """End what was left running and is no program of ours any more."""
        await asyncio.gather(*(each.process.end() for each in self._left))
        self._left.clear()

    async def start(self, *programs: Program) -> None:
        """Start these side by side, wait for all, and keep them running.  Raises DidNotStart.

        A plane that was left running is replaced; any other program is kept as it is, if it was started alike.
        """
        self.all += programs
        beginning = await asyncio.gather(*(self._begin(program) for program in programs), return_exceptions=True)
        for error in beginning:
            if error is not None:
                raise error
        for program in programs:
            self._keepers[program.name] = asyncio.create_task(self._keep(program), name=program.name)

    async def stop(self, hurry: asyncio.Event | None = None) -> None:
        """Stop all, by their `stop_order`; as soon as `hurry` is set, all that are left together, at once."""
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
                waiting: set[asyncio.Future[Any]] = {asyncio.gather(*stopping), hurried}
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.gather(*stopping)
        finally:
            hurried.cancel()

    async def _stop(self, program: Program, hurry: asyncio.Event) -> None:
        began_ms = monotonic_ms()
        await self._let_be(program)
        await program.stop(hurry)
        self._changed()
        self.stopped(program.name, monotonic_ms() - began_ms)

    async def abandon(self) -> None:
        """Leave all as they are, to whoever comes next."""
        for program in self.all:
            await self._let_be(program)

    async def _let_be(self, program: Program) -> None:
        if (keeper := self._keepers.pop(program.name, None)) is not None:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)

    async def _begin(self, program: Program) -> None:
        left = [each for each in self._left if each.name == program.name]
        self._left = [each for each in self._left if each.name != program.name]
        began_ms = monotonic_ms()
        await self._begin_anew(program, left)
        self.serves(program.name, monotonic_ms() - began_ms)

    async def _begin_anew(self, program: Program, left: list[Left]) -> None:
        if program.command.supervised:
            program.processes += [each.process for each in left]
            await self._replace(program)
            return
        same = [each for each in left if each.serves and each.arguments == tuple(program.command.arguments)]
        await asyncio.gather(*(each.process.end() for each in left if each not in same[:1]))
        if same:
            program.process = same[0].process
            program.processes.append(program.process)
        else:
            program.process = await self._launch(program)
        self._changed()

    async def _launch(self, program: Program) -> Process:
        """Start a process and wait until it is ready.  Raises DidNotStart.

        One that a signal ended before it was ready (the system's, for memory, or somebody's) is started again: that says
        nothing about its settings, and must not end the others of the group.
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
        """Replace every plane by a successor, one after the other; one that can't be replaced serves on."""
        for program in self.all:
            if program.command.supervised:
                try:
                    await self._replace(program)
                except DidNotStart as error:
                    self._say(f"{error}; the one before it serves on")
                    return
        self._say("every plane has a successor; those before them end their calls")

    async def _replace(self, program: Program) -> None:
        """Start a process beside those that run, and let them leave once it is ready.  Raises DidNotStart."""
        before = program.process
        async with program.changing:
            if program.process is not before:
                return
            successor = await self._launch(program)
            program.process = successor
            for each in program.processes:
                if each is not successor:
                    each.leave()
            self._changed()

    async def _keep(self, program: Program) -> None:
        """Replace the process that leaves, and restart the one that dies, for ever.

        One that keeps dying makes its own program wait, up to LONGEST_WAIT_SECONDS, and no other: calls go on without a
        worker, and a fault that ends every process may be over in a minute (a full disk, a database that starts).
        """
        wait_seconds = FIRST_WAIT_SECONDS
        while (process := program.process) is not None:
            began_ms = monotonic_ms()
            while program.process is process and process.lives() and not process.is_leaving:
                await self._look(program)
            if program.process is process and process.lives():
                try:
                    await self._replace(program)
                except DidNotStart as error:
                    self._say(f"{error}; the one that was to leave serves on for HUM_SUCCESSOR_SECONDS")
            while program.process is process and process.lives():
                await self._look(program)
            if program.process is not process:
                continue
            if monotonic_ms() - began_ms >= QUICK_DEATH_MS:
                wait_seconds = FIRST_WAIT_SECONDS
            self._say(_died(program, process, wait_seconds))
            await asyncio.sleep(wait_seconds)
            wait_seconds = min(wait_seconds * 2, LONGEST_WAIT_SECONDS)
            try:
                await self._restart(program, process)
            except DidNotStart as error:
                if error.status is None:  # else the next round tells how it exited
                    self._say(str(error))
            self._changed()

    async def _restart(self, program: Program, dead: Process) -> None:
        """Start it again, as soon as the system has room.  Raises DidNotStart."""
        wait_seconds = FIRST_WAIT_SECONDS
        while program.process is dead:  # else `renew` had more luck
            try:
                await program.launch(self._changed)
            except Refused as error:
                self._say(f"{error}; trying again")
                await asyncio.sleep(wait_seconds)
                wait_seconds = min(wait_seconds * 2, LONGEST_WAIT_SECONDS)
            else:
                return

    async def _look(self, program: Program) -> None:
        if program.reap():
            self._changed()
        await asyncio.sleep(LOOK_SECONDS)
