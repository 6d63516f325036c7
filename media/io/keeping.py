"""The store of reports, as the event loop has it: what it is to do is handed to a thread, and nothing waits for that."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from hum.settings import MediaSettings
from media.io.filework import HANGS, FileWork, result
from media.io.store import Store

CLOSE_SECONDS = 5.0


class BackgroundStore:
    """No method but `lose` and `close` waits, and none raises."""

    def __init__(self, store: Store, settings: MediaSettings, files: FileWork) -> None:
        self._store, self._files = store, files
        self._check_every_ms, self._checked_ms = settings.disk_check_seconds * 1000, float("-inf")
        self._appended_bytes = 0  # what was ever handed over

    @property
    def directory(self) -> Path:
        """Where batches are kept on disk."""
        return self._store.directory

    @property
    def purged(self) -> int:
        """The number up to which batches are forgotten for good."""
        return self._store.purged

    @property
    def unsaved_bytes(self) -> int:
        """How much is only in memory."""
        return self._appended_bytes - self._store.released_bytes

    @property
    def fault(self) -> str:
        """Why the disk can't be written; empty if it can."""
        return self._store.fault or (HANGS if self._files.hangs else "")

    def append(self, payload: bytes) -> None:
        """Keep one more batch."""
        self._appended_bytes += len(payload)
        self._files.submit(partial(self._store.append, payload))

    def maintain(self, acknowledged: int, now_ms: float) -> None:
        """Have the disk looked at now and then, what waits for it written, and forgotten what control has had for long enough."""
        if self._files.hangs:
            return
        if now_ms - self._checked_ms >= self._check_every_ms:
            self._checked_ms = now_ms
            self._files.submit(self._store.check_disk)
            if acknowledged > self._store.purged:
                self._files.submit(partial(self._store.prune, acknowledged, now_ms))
        elif self.unsaved_bytes:
            self._files.submit(self._store.save)

    async def rewind(self, number: int) -> list[tuple[int, bytes]]:
        """Control has lost what it acknowledged after this batch: wait for what is kept of that, and all that follows."""
        return await result(self._files, partial(self._store.rewind, number))

    async def run_after(self, work: Callable[[], None]) -> None:
        """Have this done after what was handed over so far, and wait for it."""
        await result(self._files, work)

    def close(self) -> bool:
        """Wait until all is done, but not for long; False if the disk hangs."""
        self._files.submit(self._store.close)
        return self._files.close(CLOSE_SECONDS)
