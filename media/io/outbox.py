"""The outbox of reports to control: batches that are retained until control has stored them, and a while longer.

A batch's number is its number in the store.  If a standby database takes over without all of the primary's transactions, control
has lost batches that it had acknowledged.  The next link reveals that, and the outbox sends those batches again.
"""

from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from google.protobuf.message import DecodeError

from hum.observe.logs import log
from hum.settings import MediaSettings
from hum.v1 import runtime_pb2 as pb
from media import metrics
from media.io.backgroundstore import BackgroundStore
from media.io.filework import FileWork, InlineFileWork
from media.io.store import Store

LOG = log(__name__)


class Outbox:
    """The outbox.  Only `async` methods and `close` wait, and no method raises: a report that can't be stored must not end a call.

    `files` runs the store's work.  The batches that control may lack are in memory as well, and are sent from there.
    """

    def __init__(self, store: Store, settings: MediaSettings, files: FileWork | None = None) -> None:
        self._background = BackgroundStore(store, settings, files or InlineFileWork())
        self._max_unsaved_bytes = settings.max_unsaved_bytes
        self._reports: list[pb.Report] = []
        self._callbacks: deque[tuple[int, Callable[[], None]]] = deque()
        #: The batches that control may lack: number and payload.
        self._batches = deque(store.pending(store.purged))
        self._last = store.last  # number of the newest batch
        self.acknowledged = store.purged  # number of control's newest batch
        self._fault = ""

    @property
    def directory(self) -> Path:
        """The store's directory."""
        return self._background.directory

    @property
    def storing(self) -> bool:
        """Whether reports can be written to disk; while not, they are in memory."""
        return not self._background.fault

    def report(self, report: pb.Report) -> None:
        """Send a report with the next flush."""
        self._reports.append(report)

    def adopt(self, payload: bytes) -> bool:
        """Add a batch of a dead process as one of ours; return False if memory is full."""
        if self._is_memory_full(len(payload)):
            return False
        self._add(payload)
        return True

    async def run_after_writes(self, work: Callable[[], None]) -> None:
        """Run `work` after the batches added so far are on disk, and wait for it."""
        await self._background.run_after(work)

    def when_stored(self, callback: Callable[[], None]) -> None:
        """Call `callback` once control has acknowledged everything that was reported so far."""
        if self._reports:
            self._callbacks.append((self._last + 1, callback))
        elif self.acknowledged >= self._last:
            callback()
        else:
            self._callbacks.append((self._last, callback))

    @property
    def awaited(self) -> bool:
        """Whether a `when_stored` callback is pending."""
        return bool(self._callbacks)

    def unacknowledged(self, call_id: str) -> list[pb.Report]:
        """Return a call's reports that control may lack, oldest first."""
        sealed = [report for batch in self.pending(self.acknowledged) for report in batch.reports]
        return [report for report in (*sealed, *self._reports) if report.call_id == call_id]

    def flush(self, now_ms: float) -> bool:
        """Store the reports since the last flush as one batch; return whether there is a new batch."""
        self._background.maintain(self.acknowledged, now_ms)
        has_batch = bool(self._reports) and self._seal_batch()
        self._update_disk_state()
        return has_batch

    async def resume(self, number: int) -> None:
        """Continue on a new link: control has exactly the batches up to `number`, whatever it acknowledged before."""
        stored = max(number, self._background.purged)
        if stored < self.acknowledged:
            before, self.acknowledged = self.acknowledged, stored
            LOG.warning("control has lost acknowledged reports: sending them again", batches=before - stored)
            lost = await self._background.rewind(stored)
            self._batches.extendleft(batch for batch in reversed(lost) if batch[0] <= before)
        self.acknowledge(number)

    def acknowledge(self, number: int) -> None:
        """Record that control has all batches up to `number`, and call the callbacks that waited for it."""
        self.acknowledged = max(self.acknowledged, min(number, self._last))
        while self._batches and self._batches[0][0] <= self.acknowledged:
            self._batches.popleft()
        while self._callbacks and self._callbacks[0][0] <= self.acknowledged:
            self._callbacks.popleft()[1]()

    def pending(self, after: int) -> Iterator[pb.ReportBatch]:
        """Yield the batches after number `after` that control may lack, in order."""
        for number, payload in [batch for batch in self._batches if batch[0] > after]:
            yield _batch(number, payload)

    def close(self) -> None:
        """Store the rest, purge the acknowledged batches, and close the store.  Waits for the disk, for a few seconds at most."""
        self.flush(float("inf"))
        if not self._background.close():
            LOG.error(
                "lost reports that control does not have: the disk does not respond",
                bytes=self._background.unsaved_bytes,
            )

    def _seal_batch(self) -> bool:
        reports, self._reports = self._reports, []
        payload = pb.ReportBatch(reports=reports).SerializeToString()
        if self._is_memory_full(len(payload)):
            metrics.REPORTS_LOST.inc(len(reports))
            LOG.error("lost reports: disk and memory are full", reports=len(reports))
            return False
        self._add(payload)
        return True

    def _is_memory_full(self, size_bytes: int) -> bool:
        return not self.storing and self._background.unsaved_bytes + size_bytes > self._max_unsaved_bytes

    def _add(self, payload: bytes) -> None:
        self._last += 1
        self._batches.append((self._last, payload))
        self._background.append(payload)

    def _update_disk_state(self) -> None:
        """Log the beginning and the end of a disk fault, once each; update the gauges."""
        metrics.SPOOL_DEPTH.set(self._last - self.acknowledged)
        metrics.UNSAVED_BYTES.set(self._background.unsaved_bytes)
        fault = self._background.fault
        if bool(fault) != bool(self._fault):
            if fault:
                LOG.error("refusing new calls: reports can't be written to disk", error=fault)
            else:
                LOG.info("admitting calls again: reports are written to disk")
        self._fault = fault


def _batch(number: int, payload: bytes) -> pb.ReportBatch:
    try:
        batch = pb.ReportBatch.FromString(payload)
    # A damaged batch becomes an empty one: the batches after it must not be blocked.
    except DecodeError:
        LOG.exception("skipped a batch of reports: it is damaged", number=number)
        batch = pb.ReportBatch()
    batch.seq = number
    return batch
