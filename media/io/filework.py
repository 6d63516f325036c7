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
MAX_QUEUED_BYTES = 64 << 20
#: These are 4,000 pieces of a second each; the rest is for shorter ones, and for what opens and ends a file.
MAX_QUEUED_JOBS = 16_384
#: A disk that takes longer for one thing hangs.
HANGS_MS = 2_000.0
#: What is said of one.
HANGS = "the disk does not answer"

T = TypeVar("T")
U = TypeVar("U")


class FileWork(Protocol):
    """Does things with files, one after the other, in the order in which they were handed over."""

    def submit(
        self, work: Callable[[], T], callback: Callable[[T], None] | None = None, *, size_bytes: int = 0
    ) -> bool:
        """Have `work` done, and `then` called with its result, in the event loop.

        `size_bytes` is what it keeps in memory until then; False, and nothing is done, if more waits than may.  What has no size is
        done always: it opens a file, or ends what was opened.
        """

    @property
    def hangs(self) -> bool:
        """Whether the disk takes too long for what it is to do."""

    def drain(self, seconds: float) -> bool:
        """Wait, blocking, until all is done; False if that takes longer."""

    def close(self, seconds: float) -> bool:
        """Wait as `settle` does, and begin nothing more."""


async def result(files: FileWork, work: Callable[[], T]) -> T:
    """Wait for the result of `work`."""
    future: asyncio.Future[T] = asyncio.get_running_loop().create_future()

    def set_result(value: T) -> None:
        if not future.done():
            future.set_result(value)

    files.submit(work, set_result)
    return await future


class InlineFileWork:
    """Without a thread: for programs that have time to wait for a disk."""

    hangs = False

    def submit(
        self,
        work: Callable[[], T],
        callback: Callable[[T], None] | None = None,
        *,
        size_bytes: int = 0,  # noqa: ARG002
    ) -> bool:
        outcome = work()
        if callback is not None:
            callback(outcome)
        return True

    def drain(self, seconds: float) -> bool:  # noqa: ARG002
        return True

    close = drain


class FileThread:
    """A thread that begins with the first thing that it is handed, and ends with `close`, or with its process."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._submitted_bytes = self._submitted_jobs = 0  # changed by the event loop alone,
        self._done_bytes = self._done_jobs = 0  # and these by the thread alone
        self._began_ms: float | None = None

    @property
    def queued_bytes(self) -> int:
        return self._submitted_bytes - self._done_bytes

    @property
    def queued_jobs(self) -> int:
        return self._submitted_jobs - self._done_jobs

    @property
    def hangs(self) -> bool:
        began_ms = self._began_ms
        return began_ms is not None and monotonic_ms() - began_ms > HANGS_MS

    def submit(
        self, work: Callable[[], T], callback: Callable[[T], None] | None = None, *, size_bytes: int = 0
    ) -> bool:
        if size_bytes and self._is_full(size_bytes):
            return False
        self._submitted_bytes += size_bytes
        loop = asyncio.get_running_loop() if callback is not None else None

        def job() -> None:
            try:
                outcome = work()
            finally:
                self._done_bytes += size_bytes
            if callback is not None and loop is not None:
                with suppress(RuntimeError):  # the loop is closed: nobody is there whom it concerns
                    loop.call_soon_threadsafe(callback, outcome)

        self._enqueue(job)
        return True

    def drain(self, seconds: float) -> bool:
        done = threading.Event()
        self._enqueue(done.set)
        return done.wait(seconds)

    def close(self, seconds: float) -> bool:
        if self._thread is None:
            return True
        self._queue.put(None)
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _is_full(self, size_bytes: int) -> bool:
        return self.queued_bytes + size_bytes > MAX_QUEUED_BYTES or self.queued_jobs >= MAX_QUEUED_JOBS

    def _enqueue(self, job: Callable[[], None]) -> None:
        self._submitted_jobs += 1
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        self._queue.put(job)

    def _run(self) -> None:
        while (job := self._queue.get()) is not None:
            self._began_ms = monotonic_ms()
            try:
                job()
            except Exception:  # the boundary of one job: those of other files go on
                LOG.exception("file work failed: this is a bug", thread=self._name)
            self._began_ms = None
            self._done_jobs += 1
            del job
