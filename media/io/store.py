"""Keeps batches of reports until control has them: on disk, or in memory while the disk is full."""

import math
import os
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from errno import ENOSPC
from pathlib import Path

from hum import private
from hum.settings import MediaSettings
from hum.spool import Spool
from hum.telemetry import log

LOG = log(__name__)
PROBE = b"\0" * 4096
#: What is written of the unsaved batches at once: new ones wait for it.
SAVE_BYTES = 256 << 10


class Store:
    """Numbers batches like its spool.  No method raises, and any may wait for the disk: one thread calls them all."""

    def __init__(self, spool: Spool, settings: MediaSettings) -> None:
        self._spool, self._settings, self.directory = spool, settings, spool.directory
        self._disk = Disk(spool.directory, settings.min_free_bytes)
        self._unsaved: deque[tuple[int, bytes]] = deque()  # the newest ones
        #: Of kept batches: a number, and when it was acknowledged.
        self._acknowledged_at_ms: deque[tuple[int, float]] = deque()
        self._purgeable = spool.noted
        #: What was ever kept and needs no memory: it is on disk, or forgotten.  Other threads read it, and the next one.
        self.released_bytes = 0
        #: Why the disk can't be written; empty if it can.
        self.fault = ""

    def __len__(self) -> int:
        """How many batches are kept."""
        return len(self._spool) + len(self._unsaved)

    @property
    def last(self) -> int:
        """The number of the newest batch."""
        return self._unsaved[-1][0] if self._unsaved else self._spool.last

    @property
    def purged(self) -> int:
        """The number up to which batches are forgotten for good.  Any thread may ask."""
        return self._spool.noted

    def append(self, payload: bytes) -> None:
        """Keep a batch as number `last + 1`: on disk, or else in memory."""
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
        """The batches that are kept, oldest first, beginning after number `after`."""
        try:
            yield from self._spool.pending(after)
        except OSError as error:
            LOG.exception("reports that are to be sent again can't be read", error=str(error))
        yield from [each for each in self._unsaved if each[0] > after]

    def rewind(self, number: int) -> list[tuple[int, bytes]]:
        """Control has lost what it acknowledged after batch `number`: return what is kept of that, and all that follows."""
        while self._acknowledged_at_ms and self._acknowledged_at_ms[-1][0] > number:
            self._acknowledged_at_ms.pop()
        return list(self.pending(number))

    def prune(self, acknowledged: int, now_ms: float) -> None:
        """Control has the batches up to number `acknowledged`: forget what it has had for long enough; more when it takes too
        much of the disk, and all when that is full.
        """
        self._spool.shed(acknowledged)
        at_ms = self._acknowledged_at_ms
        if not at_ms or at_ms[-1][0] < acknowledged:
            at_ms.append((acknowledged, now_ms))
        until_ms = now_ms - self._settings.keep_acknowledged_seconds * 1000
        while at_ms and (at_ms[0][1] <= until_ms or self.fault):
            self._purgeable = at_ms.popleft()[0]
        surplus = min(acknowledged, self._spool.beyond(self._settings.keep_acknowledged_bytes))
        self._purgeable = max(self._purgeable, surplus)
        if self._purgeable > self.purged:
            self.purge(self._purgeable)

    def purge(self, number: int) -> None:
        """Nobody will ask for the batches up to this one again."""
        while self._unsaved and self._unsaved[0][0] <= number:
            self.released_bytes += len(self._unsaved.popleft()[1])
        with suppress(OSError):  # it is tried again while `done` is less
            if not self._unsaved:
                self._spool.skip(number)
            self._spool.finish(number)

    def check_disk(self) -> None:
        """Check the disk, and write some of what is only in memory."""
        self.fault = self._disk.fault()
        self._save(SAVE_BYTES)

    def save(self) -> None:
        """Write some more of it, unless the disk could not be written when it was last tried."""
        if not self.fault:
            self._save(SAVE_BYTES)

    def close(self) -> None:
        self._save(math.inf)
        self._spool.close()

    def _save(self, most_bytes: float) -> None:
        try:
            while self._unsaved and most_bytes > 0:
                number, payload = self._unsaved[0]
                self._spool.skip(number - 1)  # earlier ones were forgotten without being written
                self._spool.append(payload)
                self._unsaved.popleft()
                self.released_bytes += len(payload)
                most_bytes -= len(payload)
        except OSError as error:
            self.fault = str(error)


class Disk:
    """Checks by writing whether a directory's disk can be written."""

    def __init__(self, directory: Path, min_free_bytes: int) -> None:
        self._directory, self._min_free_bytes = directory, min_free_bytes

    def fault(self) -> str:
        """Why it can't be written, or soon can't; empty if it can."""
        try:
            stat = os.statvfs(self._directory)
            if stat.f_bavail * stat.f_frsize < self._min_free_bytes:
                return f"less than {self._min_free_bytes >> 20} MiB are free (HUM_MIN_FREE_BYTES)"
            self._probe()
        except OSError as error:
            return str(error)
        return ""

    def _probe(self) -> None:
        """Write a new block before the last probe's is freed: rewriting that one would succeed on a full disk."""
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
