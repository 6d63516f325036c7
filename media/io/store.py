"""The store of report batches, which retains them until control has them: on disk, or in memory while the disk is full."""

import math
import os
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from errno import ENOSPC
from pathlib import Path

from hum.observe.logs import log
from hum.process import private
from hum.settings import MediaSettings
from hum.spool import Spool

#: Seconds that reports are kept which control has stored, for a standby that takes over without them.
KEEP_ACKNOWLEDGED_SECONDS = 60.0

LOG = log(__name__)
PROBE = b"\0" * 4096
#: The limit of unsaved bytes that are written at once: new batches wait for that.
SAVE_BYTES = 256 << 10


class Store:
    """The store, which numbers batches like its spool.  No method raises, and any may block: one thread calls them all."""

    def __init__(self, spool: Spool, settings: MediaSettings) -> None:
        self._spool, self._settings, self.directory = spool, settings, spool.directory
        self._disk = Disk(spool.directory, settings.min_free_bytes)
        self._unsaved: deque[tuple[int, bytes]] = deque()  # the newest batches
        #: Numbers up to which batches were acknowledged, and when.
        self._acknowledged_at_ms: deque[tuple[int, float]] = deque()
        self._purgeable = spool.done_on_disk
        #: The total bytes that need no memory any more: they are on disk, or purged.  Other threads read this and `fault`.
        self.released_bytes = 0
        #: Why the disk can't be written; empty if it can.
        self.fault = ""

    def __len__(self) -> int:
        """Return the number of stored batches."""
        return len(self._spool) + len(self._unsaved)

    @property
    def last(self) -> int:
        """The number of the newest batch."""
        return self._unsaved[-1][0] if self._unsaved else self._spool.last

    @property
    def purged(self) -> int:
        """The number up to which batches are purged; any thread may read it."""
        return self._spool.done_on_disk

    def append(self, payload: bytes) -> None:
        """Store a batch as number `last + 1`: on disk, or else in memory."""
        if not self._unsaved:
            try:
                self._spool.append(payload)
            except OSError as error:
                self.fault = str(error)
            else:
                self.released_bytes += len(payload)
                return
        self._unsaved.append((self.last + 1, payload))

    def pending(self, after: int) -> Iterator[tuple[int, bytes]]:
        """Yield the stored batches after number `after`, oldest first."""
        try:
            yield from self._spool.pending(after)
        except OSError as error:
            LOG.exception("could not read stored reports: they are not sent again", error=str(error))
        yield from [batch for batch in self._unsaved if batch[0] > after]

    def rewind(self, number: int) -> list[tuple[int, bytes]]:
        """Cancel the acknowledgements after batch `number`, which control has lost; return the stored batches after it."""
        while self._acknowledged_at_ms and self._acknowledged_at_ms[-1][0] > number:
            self._acknowledged_at_ms.pop()
        return list(self.pending(number))

    def prune(self, acknowledged: int, now_ms: float) -> None:
        """Purge the batches that control has had for long enough, of those up to number `acknowledged`.

        Purge younger ones if they exceed `keep_acknowledged_bytes`, and all acknowledged ones if the disk has a fault.
        """
        self._spool.shed(acknowledged)
        at_ms = self._acknowledged_at_ms
        if not at_ms or at_ms[-1][0] < acknowledged:
            at_ms.append((acknowledged, now_ms))
        until_ms = now_ms - KEEP_ACKNOWLEDGED_SECONDS * 1000
        while at_ms and (at_ms[0][1] <= until_ms or self.fault):
            self._purgeable = at_ms.popleft()[0]
        surplus = min(acknowledged, self._spool.last_excess(self._settings.keep_acknowledged_bytes))
        self._purgeable = max(self._purgeable, surplus)
        if self._purgeable > self.purged:
            self.purge(self._purgeable)

    def purge(self, number: int) -> None:
        """Delete the batches up to `number`."""
        while self._unsaved and self._unsaved[0][0] <= number:
            self.released_bytes += len(self._unsaved.popleft()[1])
        # Retried by `prune` while `purged` is less.
        with suppress(OSError):
            if not self._unsaved:
                self._spool.skip(number)
            self._spool.finish(number)

    def check_disk(self) -> None:
        """Check the disk, and write some of the unsaved batches; create the directory again if it was deleted."""
        with suppress(OSError):  # the check says why
            self._spool.restore()
        self.fault = self._disk.fault()
        self._save(SAVE_BYTES)

    def save(self) -> None:
        """Write some of the unsaved batches, unless the disk has a fault."""
        if not self.fault:
            self._save(SAVE_BYTES)

    def close(self) -> None:
        """Write all unsaved batches, and close the spool."""
        self._save(math.inf)
        self._spool.close()

    def _save(self, most_bytes: float) -> None:
        try:
            while self._unsaved and most_bytes > 0:
                number, payload = self._unsaved[0]
                self._spool.skip(number - 1)  # those purged unwritten
                self._spool.append(payload)
                self._unsaved.popleft()
                self.released_bytes += len(payload)
                most_bytes -= len(payload)
        except OSError as error:
            self.fault = str(error)


class Disk:
    """The check, by writing, of whether a directory's disk can be written."""

    def __init__(self, directory: Path, min_free_bytes: int) -> None:
        self._directory, self._min_free_bytes = directory, min_free_bytes

    def fault(self) -> str:
        """Return why the disk can't be written, or soon can't; empty if it can."""
        try:
            stat = os.statvfs(self._directory)
            if stat.f_bavail * stat.f_frsize < self._min_free_bytes:
                return f"less than {self._min_free_bytes >> 20} MiB are free"
            self._probe()
        except OSError as error:
            return str(error)
        return ""

    def _probe(self) -> None:
        """Write a new block before the last probe's is freed: rewriting a block succeeds even on a full disk.  Raises OSError."""
        draft = self._directory / "probe.new"
        try:
            file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, private.FILE)
            try:
                if os.write(file, PROBE) != len(PROBE):
                    raise OSError(ENOSPC, os.strerror(ENOSPC))
            finally:
                os.close(file)
            draft.replace(self._directory / "probe")
        except OSError:
            draft.unlink(missing_ok=True)
            raise
