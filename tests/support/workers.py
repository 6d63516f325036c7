"""Run the collected tests in processes forked off the one that collected them.

A worker has the modules, the collected tests and the compiled schemas of its parent, which would take each of them eight seconds of
processor time.  Nothing of a test may exist when it forks: no thread, no event loop, no session fixture.
"""

import ctypes
import multiprocessing
import os
import signal
import sys
import traceback
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import pytest

#: How many tests of a module a worker takes at a time: they share the module's fixtures.  Of those that mostly wait, since calls take
#: real time, few, or the last worker would have all of them.
MOST_COMPUTING, MOST_WAITING = 10, 2
END_SECONDS = 60.0
#: Of a test's name.
MOST_BYTES = 4096
TESTS = Path(__file__).parents[1]
#: Folders of tests that mostly wait, but for the core's.
WAITING = (("e2e",), ("media",))
#: What stands for the number of chunks that are taken, when nobody is to begin another test.
STOPPED = 1 << 30
FORK = multiprocessing.get_context("fork")
#: Linux's, by which the kernel signals a process when its parent dies.
PR_SET_PDEATHSIG = 1


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("workers")
    group.addoption("--workers", type=int, default=0, metavar="N", help="run tests in N processes")
    group.addoption("--whole-modules", action="store_true", help="keep the tests of a module in one of them")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    options = session.config.option
    if not options.workers or options.collectonly or options.usepdb or session.testsfailed:
        return None
    Workers(session, whole_modules=options.whole_modules).run(options.workers)
    return True


def chunks(items: Sequence[pytest.Item], *, whole_modules: bool) -> list[list[pytest.Item]]:
    """Return what a worker takes at a time: tests of one module, those that wait spread evenly among those that compute."""
    modules = defaultdict[Path, list[pytest.Item]](list)
    for item in items:
        modules[item.path].append(item)
    places = []
    for waits in (True, False):
        found = []
        for path, tests in modules.items():
            if is_waiting(path) == waits:
                size = len(tests) if whole_modules else MOST_WAITING if waits else MOST_COMPUTING
                found += [tests[at : at + size] for at in range(0, len(tests), size)]
        places += [(number / len(found), chunk) for number, chunk in enumerate(found)]
    return [chunk for _, chunk in sorted(places, key=lambda place: place[0])]


def is_waiting(path: Path) -> bool:
    parts = path.parts[len(TESTS.parts) :]
    return parts[:1] in WAITING and "core" not in parts


@dataclass(eq=False)
class Worker:
    """One process: it tells its parent through a pipe what it has finished, and by `running` which test it is at."""

    process: Any
    running: Any
    #: Why it gave up.
    error: str = ""


class Workers:
    def __init__(self, session: pytest.Session, *, whole_modules: bool) -> None:
        self._session, self._whole_modules = session, whole_modules
        self._reported: set[str] = set()
        self._living: dict[Connection, Worker] = {}
        self._begun = 0

    def run(self, count: int) -> None:
        """Return when each test has run, or was running when its worker was killed.

        Raises `pytest.Session.Failed` or `Interrupted`, as a run in one process does.
        """
        self._session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
        rest: Sequence[pytest.Item] = self._session.items
        while rest and not self._is_stopped():
            self._begin_round(rest)
            self._run_round(count)
            before, rest = rest, [item for item in rest if item.nodeid not in self._reported]
            assert len(rest) < len(before), "no worker has run a test"
        if self._session.shouldfail:
            raise self._session.Failed(self._session.shouldfail)
        if self._session.shouldstop:
            raise self._session.Interrupted(self._session.shouldstop)

    def _begin_round(self, items: Sequence[pytest.Item]) -> None:
        self._chunks = chunks(items, whole_modules=self._whole_modules)
        self._taken = FORK.Value("i", 0)  # how many chunks: each worker takes the next

    def _is_stopped(self) -> bool:
        return bool(self._session.shouldfail or self._session.shouldstop)

    def _run_round(self, count: int) -> None:
        try:
            for _ in range(min(count, len(self._chunks))):
                self._begin_worker()
            while self._living:
                for ready in wait(list(self._living)):
                    assert isinstance(ready, Connection)
                    self._hear(ready)
        finally:
            for worker in self._living.values():
                worker.process.terminate()

    def _begin_worker(self) -> None:
        self._begun += 1
        ours, theirs = FORK.Pipe(duplex=False)
        running = FORK.Array("c", MOST_BYTES)
        sys.stdout.flush()
        sys.stderr.flush()
        process = FORK.Process(target=self._work, args=(self._begun, theirs, running))
        process.start()
        theirs.close()
        self._living[ours] = Worker(process, running)

    def _hear(self, pipe: Connection) -> None:
        try:
            message = pipe.recv()
        except EOFError:
            self._ended(self._living.pop(pipe))
            return
        if isinstance(message, str):
            self._living[pipe].error = message
            return
        nodeid, location, reports = message
        hook, config = self._session.config.hook, self._session.config
        hook.pytest_runtest_logstart(nodeid=nodeid, location=location)
        for data in reports:
            hook.pytest_runtest_logreport(report=hook.pytest_report_from_serializable(config=config, data=data))
        hook.pytest_runtest_logfinish(nodeid=nodeid, location=location)
        self._reported.add(nodeid)
        if self._is_stopped():
            self._taken.value = STOPPED

    def _ended(self, worker: Worker) -> None:
        worker.process.join(END_SECONDS)
        if worker.process.exitcode == 0:
            return
        nodeid = worker.running.value.decode()
        says = worker.error or f"the worker ended with {worker.process.exitcode} in this test or after it"
        report = pytest.TestReport(nodeid, ("", None, nodeid), {}, "failed", says, "call")
        self._session.config.hook.pytest_runtest_logreport(report=report)
        self._reported.add(nodeid)

    # --- in the worker -------------------------------------------------------------------------------------------

    def _work(self, number: int, done: Connection, running: Any) -> None:
        status = 1
        try:
            become_worker(self._session.config, number)
            reporter = Reporter(self._session.config, done)
            self._session.config.pluginmanager.register(reporter)
            upcoming = Upcoming(self._take())
            while not self._is_stopped() and (item := upcoming.item()) is not None:
                running.value = item.nodeid.encode()[: MOST_BYTES - 1]
                upcoming = Upcoming(upcoming.rest)
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=upcoming)
                reporter.send(item)
            self._session._setupstate.teardown_exact(None)
            status = 0
        except BaseException:
            done.send(traceback.format_exc())
            raise
        finally:
            done.close()
            os._exit(status)

    def _take(self) -> Iterator[pytest.Item]:
        while True:
            with self._taken.get_lock():
                number = self._taken.value
                self._taken.value = number + 1
            if number >= len(self._chunks):
                return
            for item in self._chunks[number]:
                if self._taken.value < STOPPED:
                    yield item


class Upcoming:
    """The next test, taken when the one before is torn down, or asked for."""

    def __init__(self, rest: Iterator[pytest.Item]) -> None:
        self.rest = rest
        self._taken: list[pytest.Item | None] = []

    def item(self) -> pytest.Item | None:
        if not self._taken:
            self._taken.append(next(self.rest, None))
        return self._taken[0]

    def listchain(self) -> list[Any]:
        """What of a test's collectors stays set up."""
        item = self.item()
        return item.listchain() if item else []


@dataclass(eq=False)
class Reporter:
    """Sends a test's reports to the parent, all at once."""

    config: pytest.Config
    done: Connection
    _reports: list[Any] = field(default_factory=list)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._reports.append(self.config.hook.pytest_report_to_serializable(config=self.config, report=report))

    def send(self, item: pytest.Item) -> None:
        self.done.send((item.nodeid, item.location, self._reports))
        self._reports = []


def become_worker(config: pytest.Config, number: int) -> None:
    """Have nothing in common with the parent and the other workers that a test writes to, and end when the parent does."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    plugins = config.pluginmanager
    plugins.unregister(plugins.getplugin("terminalreporter"))
    capture = plugins.getplugin("capturemanager")
    capture.stop_global_capturing()
    capture.start_global_capturing()
    factory = config._tmp_path_factory  # type: ignore[attr-defined]
    factory._basetemp = factory.getbasetemp() / f"worker{number}"
    factory._basetemp.mkdir()
    config.hook.pytest_worker_began(number=number)


class Hooks:
    @pytest.hookspec
    def pytest_worker_began(self, number: int) -> None:
        """Make what each process must have of its own."""


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.add_hookspecs(Hooks)
