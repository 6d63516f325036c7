"""Reports on their way to control: gathered into batches, which are kept until control has stored them, and a while longer.

A batch's number is its number in the store.  When a standby takes over that did not have all of the primary's transactions, control
has lost batches that it had acknowledged; it says so with the next link, and gets them again.
"""

from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from google.protobuf.message import DecodeError

from hum.settings import MediaSettings
from hum.telemetry import log
from hum.v1 import runtime_pb2 as pb
from media import metrics
from media.io.store import Store

LOG = log(__name__)
FORGET_EVERY_MS = 500.0  # forgetting costs a few file operations


class Outbox:
    """No method blocks or raises: reports that can't be stored must not end a call."""

    def __init__(self, store: Store, settings: MediaSettings) -> None:
        self._store, self._settings = store, settings
        self._reports: list[pb.Report] = []
        self._waiting: deque[tuple[int, Callable[[], None]]] = deque()
        self.acknowledged = store.done  # the last batch that control has
        self._acknowledged_at_ms: deque[tuple[int, float]] = (
            deque()
        )  # of kept batches: a number, and when it was acknowledged
        self._forgettable = store.done
        self._forgot_ms = self._looked_ms = float("-inf")
        self._fault = ""

    @property
    def directory(self) -> Path:
        """Where batches are kept on disk."""
        return self._store.directory

    @property
    def storing(self) -> bool:
        """Whether reports can be written to disk; until then they wait in memory."""
        return not self._store.fault

    def report(self, report: pb.Report) -> None:
        """Send with the next flush."""
        self._reports.append(report)

    def take(self, payload: bytes) -> bool:
        """Keep a batch of a process that is gone as one of ours; False if there is no room for it."""
        return self._store.keep(payload)

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

    def unacknowledged(self, call_id: str) -> list[pb.Report]:
        """A call's reports that control may not have, oldest first."""
        kept = [report for batch in self.pending(self.acknowledged) for report in batch.reports]
        return [report for report in (*kept, *self._reports) if report.call_id == call_id]

    def flush(self, now_ms: float) -> bool:
        """Keep what was reported since the last flush as one batch; return whether there was one."""
        if now_ms - self._looked_ms >= self._settings.disk_check_seconds * 1000:
            self._looked_ms = now_ms
            self._store.look()
        else:
            self._store.save()
        more = bool(self._reports) and self._keep()
        if self.acknowledged > self._store.done and now_ms - self._forgot_ms >= FORGET_EVERY_MS:
            self._forgot_ms = now_ms
            self._forget(now_ms)
        self._tell()
        return more

    def resume(self, number: int) -> None:
        """On a new link, control has all batches up to this one, and no others, whatever it acknowledged before."""
        known = max(number, self._store.done)
        if known < self.acknowledged:
            LOG.warning("control has lost what it acknowledged; it is sent again", batches=self.acknowledged - known)
            self.acknowledged = known
            while self._acknowledged_at_ms and self._acknowledged_at_ms[-1][0] > known:
                self._acknowledged_at_ms.pop()
        self.acknowledge(number)

    def acknowledge(self, number: int) -> None:
        """Control has all batches up to this one."""
        self.acknowledged = max(self.acknowledged, min(number, self._store.last))
        self._store.shed(self.acknowledged)
        while self._waiting and self._waiting[0][0] <= self.acknowledged:
            self._waiting.popleft()[1]()

    def pending(self, after: int) -> Iterator[pb.ReportBatch]:
        """The batches after number `after`, in order."""
        for number, payload in self._store.pending(after):
            yield _batch(number, payload)

    def close(self) -> None:
        self.flush(float("inf"))  # and forget what control has
        self._store.close()

    def _forget(self, now_ms: float) -> None:
        """Forget what control has had for long enough; more when it takes too much of the disk, and all when that is full."""
        at_ms = self._acknowledged_at_ms
        if not at_ms or at_ms[-1][0] < self.acknowledged:
            at_ms.append((self.acknowledged, now_ms))
        until_ms = now_ms - self._settings.keep_acknowledged_seconds * 1000
        while at_ms and (at_ms[0][1] <= until_ms or self._store.fault):
            self._forgettable = at_ms.popleft()[0]
        surplus = min(self.acknowledged, self._store.beyond(self._settings.keep_acknowledged_bytes))
        self._forgettable = max(self._forgettable, surplus)
        if self._forgettable > self._store.done:
            self._store.forget(self._forgettable)

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
        metrics.SPOOL_DEPTH.set(store.last - self.acknowledged)
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
