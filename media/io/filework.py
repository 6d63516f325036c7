"""File work in threads, so that a disk that hangs, as network storage does, blocks neither the event loop nor a call."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import Protocol, TypeVar

from hum.clock import monotonic_ms
from hum.observe.logs import log

LOG = log(__name__)
#: The limit of queued data: 200 calls' recordings for 20 s.
MAX_QUEUED_BYTES = 64 << 20
#: 4,000 pieces of a second each are that much data; the rest is for shorter pieces, and for opening and closing files.
MAX_QUEUED_JOBS = 16_384
#: A disk hangs if a job takes longer than this.
HANGS_MS = 2_000.0
#: The fault of a disk that hangs.
HANGS = "the disk does not answer"

T = TypeVar("T")
U = TypeVar("U")


class FileWork(Protocol):
    """An executor of file work: one job after the other, in the order of submission."""

    def submit(
        self, work: Callable[[], T], callback: Callable[[T], None] | None = None, *, size_bytes: int = 0
    ) -> bool:
        """Run `work`, which does not raise, then call `callback` with its result, in the event loop.

        `size_bytes` is the memory that the job retains until it has run.  Return False and drop the job if the queue is full.  A
        job without a size is never dropped: it opens a file, or ends an open one.
        """

    @property
    def hangs(self) -> bool:
        """Whether the running job has taken longer than `HANGS_MS`."""

    def drain(self, seconds: float) -> bool:
        """Block until all submitted jobs are done; return False if that takes longer than `seconds`.

        After such a drain, return False at once until its jobs are done: many callers wait for a slow disk once.
        """

    def close(self, seconds: float) -> bool:
        """Block as `drain` does, and run no later jobs."""


async def result(files: FileWork, work: Callable[[], T]) -> T:
    """Submit `work`, and return its result, or raise its exception."""
    future: asyncio.Future[T] = asyncio.get_running_loop().create_future()

    def attempt() -> Callable[[], None]:
        try:
            return partial(future.set_result, work())
        # Whatever it is, the waiter gets it.
        except Exception as error:  # noqa: BLE001
            return partial(future.set_exception, error)

    def resolve(settle: Callable[[], None]) -> None:
        if not future.done():
            settle()

    files.submit(attempt, resolve)
    return await future


class InlineFileWork:
    """File work in the caller's thread, for programs that may block on the disk."""

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
    """File work in a thread, which starts with the first job, and ends with `close` or with its process."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._submitted_bytes = self._submitted_jobs = 0  # written by the event loop only
        self._done_bytes = self._done_jobs = 0  # written by the thread only
        self._began_ms: float | None = None
        self._drained = threading.Event()  # by the latest drain
        self._drained.set()

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
                # If the loop is closed, its process is stopping, and no caller waits for the result.
                with suppress(RuntimeError):
                    loop.call_soon_threadsafe(callback, outcome)

        self._enqueue(job)
        return True

    def drain(self, seconds: float) -> bool:
        if not self._drained.is_set():
            return False
        self._drained = threading.Event()
        self._enqueue(self._drained.set)
        return self._drained.wait(seconds)

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
            # The boundary of one job: the jobs of other files must still run.
            except Exception:
                LOG.exception("file work failed: this is a bug", thread=self._name)
            self._began_ms = None
            self._done_jobs += 1
            del job
