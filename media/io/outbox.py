"""Reports on their way to control: gathered into batches, which are kept until control has stored them.

A batch's number is its number in the store.
"""

from collections import deque
from collections.abc import Callable, Iterator

from google.protobuf.message import DecodeError

from hum.telemetry import log
from hum.v1 import runtime_pb2 as pb
from media import metrics
from media.io.store import Store

LOG = log(__name__)
FORGET_EVERY_MS = 500.0  # forgetting costs a few file operations


class Outbox:
    """No method blocks or raises: reports that can't be stored must not end a call."""

    def __init__(self, store: Store, look_every_ms: float) -> None:
        self._store, self._look_every_ms = store, look_every_ms
        self._reports: list[pb.Report] = []
        self._waiting: deque[tuple[int, Callable[[], None]]] = deque()
        self.acknowledged = store.done  # the last batch that control has
        self._forgot_ms = self._looked_ms = float("-inf")
        self._fault = ""

    @property
    def storing(self) -> bool:
        """Whether reports can be written to disk; until then they wait in memory."""
        return not self._store.fault

    def report(self, report: pb.Report) -> None:
        """Send with the next flush."""
        self._reports.append(report)

    def when_stored(self, then: Callable[[], None]) -> None:
        """Call `then` once control has acknowledged everything that was reported so far."""
        if self._reports:
            self._waiting.append((self._store.last + 1, then))
        elif self.acknowledged >= self._store.last:
            then()
        else:
            self._waiting.append((self._store.last, then))

    @property
    def awaited(self) -> bool:
        """Whether a `when_stored` callback is pending."""
        return bool(self._waiting)

    def flush(self, now_ms: float) -> bool:
        """Keep what was reported since the last flush as one batch; return whether there was one."""
        if now_ms - self._looked_ms >= self._look_every_ms:
            self._looked_ms = now_ms
            self._store.look()
        else:
            self._store.save()
        more = bool(self._reports) and self._keep()
        if self.acknowledged > self._store.done and now_ms - self._forgot_ms >= FORGET_EVERY_MS:
            self._forgot_ms = now_ms
            self._store.forget(self.acknowledged)
        self._tell()
        return more

    def acknowledge(self, number: int) -> None:
        """Control has all batches up to this one."""
        self.acknowledged = max(self.acknowledged, min(number, self._store.last))
        while self._waiting and self._waiting[0][0] <= self.acknowledged:
            self._waiting.popleft()[1]()

    def pending(self, after: int) -> Iterator[pb.ReportBatch]:
        """The batches after number `after`, in order."""
        for number, payload in self._store.pending(after):
            yield _batch(number, payload)

    def close(self) -> None:
        self.flush(float("inf"))
        self._store.close()

    def _keep(self) -> bool:
        reports, self._reports = self._reports, []
        if self._store.keep(pb.ReportBatch(reports=reports).SerializeToString()):
            return True
        metrics.REPORTS_LOST.inc(len(reports))
        LOG.error("reports are lost: disk and memory are full (HUM_MAX_UNSAVED_BYTES)", reports=len(reports))
        return False

    def _tell(self) -> None:
        """Log the beginning and the end of a fault of the disk, once each; update the gauges."""
        store = self._store
        metrics.SPOOL_DEPTH.set(len(store))
        metrics.UNSAVED_BYTES.set(store.unsaved_bytes)
        if bool(store.fault) != bool(self._fault):
            if store.fault:
                LOG.error("refusing new calls: reports can't be written to disk", error=store.fault)
            else:
                LOG.info("reports are written to disk again")
        self._fault = store.fault


def _batch(number: int, payload: bytes) -> pb.ReportBatch:
    try:
        batch = pb.ReportBatch.FromString(payload)
    except DecodeError:  # damaged: the batches after it must not wait for ever
        LOG.exception("a batch of reports can't be read and is skipped", number=number)
        batch = pb.ReportBatch()
    batch.seq = number
    return batch
