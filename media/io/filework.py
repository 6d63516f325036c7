"""File work in threads: a disk that hangs, as network storage does, holds up neither the event loop nor a call."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Protocol, TypeVar

from hum.clock import monotonic_ms
from hum.telemetry import log

LOG = log(__name__)
#: What may wait for the disk: 200 calls' recordings for 20 s.
MOST_WAITING_BYTES = 64 << 20
#: These are 4,000 pieces of a second each; the rest is for shorter ones, and for what opens and ends a file.
MOST_WAITING_JOBS = 16_384
#: A disk that takes longer for one thing hangs.
HANGS_MS = 2_000.0
#: What is said of one.
HANGS = "the disk does not answer"

T = TypeVar("T")
U = TypeVar("U")


class FileWork(Protocol):
    """Does things with files, one after the other, in the order in which they were handed over."""

    def do(self, work: Callable[[], T], then: Callable[[T], None] | None = None, *, size_bytes: int = 0) -> bool:
        """Have `work` done, and `then` called with its result, in the event loop.

        `size_bytes` is what it keeps in memory until then; False, and nothing is done, if more waits than may.  What has no size is
        done always: it opens a file, or ends what was opened.
        """

    @property
    def hangs(self) -> bool:
        """Whether the disk takes too long for what it is to do."""

    def settle(self, seconds: float) -> bool:
        """Wait, blocking, until all is done; False if that takes longer."""

    def close(self, seconds: float) -> bool:
        """Wait as `settle` does, and begin nothing more."""


async def result(files: FileWork, work: Callable[[], T]) -> T:
    """Wait for the result of `work`."""
    found: asyncio.Future[T] = asyncio.get_running_loop().create_future()

    def set_result(value: T) -> None:
        if not found.done():
            found.set_result(value)

    files.do(work, set_result)
    return await found


class AtOnce:
    """Without a thread: for programs that have time to wait for a disk."""

    hangs = False

    def do(self, work: Callable[[], T], then: Callable[[T], None] | None = None, *, size_bytes: int = 0) -> bool:  # noqa: ARG002
        done = work()
        if then is not None:
            then(done)
        return True

    def settle(self, seconds: float) -> bool:  # noqa: ARG002
        return True

    close = settle


class FileThread:
    """A thread that begins with the first thing that it is handed, and ends with `close`, or with its process."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._waiting: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._handed_bytes = self._handed_jobs = 0  # changed by the event loop alone,
        self._done_bytes = self._done_jobs = 0  # and these by the thread alone
        self._began_ms: float | None = None

    @property
    def waiting_bytes(self) -> int:
        return self._handed_bytes - self._done_bytes

    @property
    def waiting_jobs(self) -> int:
        return self._handed_jobs - self._done_jobs

    @property
    def hangs(self) -> bool:
        began_ms = self._began_ms
        return began_ms is not None and monotonic_ms() - began_ms > HANGS_MS

    def do(self, work: Callable[[], T], then: Callable[[T], None] | None = None, *, size_bytes: int = 0) -> bool:
        if size_bytes and self._is_over(size_bytes):
            return False
        self._handed_bytes += size_bytes
        loop = asyncio.get_running_loop() if then is not None else None

        def job() -> None:
            try:
                done = work()
            finally:
                self._done_bytes += size_bytes
            if then is not None and loop is not None:
                with suppress(RuntimeError):  # the loop is closed: nobody is there whom it concerns
                    loop.call_soon_threadsafe(then, done)

        self._hand(job)
        return True

    def settle(self, seconds: float) -> bool:
        done = threading.Event()
        self._hand(done.set)
        return done.wait(seconds)

    def close(self, seconds: float) -> bool:
        if self._thread is None:
            return True
        self._waiting.put(None)
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _is_over(self, size_bytes: int) -> bool:
        return self.waiting_bytes + size_bytes > MOST_WAITING_BYTES or self.waiting_jobs >= MOST_WAITING_JOBS

    def _hand(self, job: Callable[[], None]) -> None:
        self._handed_jobs += 1
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        self._waiting.put(job)

    def _run(self) -> None:
        while (job := self._waiting.get()) is not None:
            self._began_ms = monotonic_ms()
            try:
                job()
            except Exception:  # the boundary of one job: those of other files go on
                LOG.exception("file work failed: this is a bug", thread=self._name)
            self._began_ms = None
            self._done_jobs += 1
            del job
