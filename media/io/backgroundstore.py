"""The store of reports as the event loop uses it: its work is submitted to a thread, without waiting."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from hum.settings import MediaSettings
from media.io.filework import HANGS, FileWork, result
from media.io.store import Store

CLOSE_SECONDS = 5.0


class BackgroundStore:
    """A store with its work in a thread.  Only `async` methods and `close` wait, and no method raises."""

    def __init__(self, store: Store, settings: MediaSettings, files: FileWork) -> None:
        self._store, self._files = store, files
        self._check_every_ms, self._checked_ms = settings.disk_check_seconds * 1000, float("-inf")
        self._appended_bytes = 0  # in total

    @property
    def directory(self) -> Path:
        """The store's directory."""
        return self._store.directory

    @property
    def purged(self) -> int:
        """The number up to which batches are purged."""
        return self._store.purged

    @property
    def unsaved_bytes(self) -> int:
        """The bytes that are only in memory."""
        return self._appended_bytes - self._store.released_bytes

    @property
    def fault(self) -> str:
        """Why the disk can't be written; empty if it can."""
        return self._store.fault or (HANGS if self._files.hangs else "")

    def append(self, payload: bytes) -> None:
        """Append a batch."""
        self._appended_bytes += len(payload)
        self._files.submit(partial(self._store.append, payload))

    def maintain(self, acknowledged: int, now_ms: float) -> None:
        """Check the disk at intervals and prune acknowledged batches; in between, save batches that are only in memory."""
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
        """Return the stored batches after `number`, since control has lost those that it had acknowledged."""
        return await result(self._files, partial(self._store.rewind, number))

    async def run_after(self, work: Callable[[], None]) -> None:
        """Run `work` after everything submitted so far, and wait for it."""
        await result(self._files, work)

    def close(self) -> bool:
        """Close the store, and wait for at most `CLOSE_SECONDS`; return False if the disk hangs."""
        self._files.submit(self._store.close)
        return self._files.close(CLOSE_SECONDS)
