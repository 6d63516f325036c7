"""Reports on their way to control: gathered into batches, which stay on disk until control has stored them.

A batch's number is its record's number in the spool.
"""

from collections import deque
from collections.abc import Callable, Iterator

from hum.spool import Spool
from hum.telemetry import log
from hum.v1 import runtime_pb2 as pb
from media import metrics

LOG = log(__name__)
FINISH_EVERY_MS = 500.0  # forgetting costs a few file operations


class Outbox:
    """No method here blocks."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._reports: list[pb.Report] = []
        self._waiting: deque[tuple[int, Callable[[], None]]] = deque()
        self.acknowledged = spool.done  # the last batch that control has
        self._finished_ms = float("-inf")

    def report(self, report: pb.Report) -> None:
        """Send with the next flush."""
        self._reports.append(report)

    def when_stored(self, then: Callable[[], None]) -> None:
        """Call `then` once control has acknowledged everything that was reported so far."""
        if self._reports:
            self._waiting.append((self._spool.last + 1, then))
        elif self.acknowledged >= self._spool.last:
            then()
        else:
            self._waiting.append((self._spool.last, then))

    @property
    def awaited(self) -> bool:
        """Whether a `when_stored` callback is pending."""
        return bool(self._waiting)

    def flush(self, now_ms: float) -> bool:
        """Write what was reported since the last flush to disk as one batch; return whether there was one."""
        more = bool(self._reports) and self._append()
        if self.acknowledged > self._spool.done and now_ms - self._finished_ms >= FINISH_EVERY_MS:
            self._finished_ms = now_ms
            self._spool.finish(self.acknowledged)
            metrics.SPOOL_DEPTH.set(len(self._spool))
        return more

    def acknowledge(self, number: int) -> None:
        """Control has all batches up to this one."""
        self.acknowledged = max(self.acknowledged, min(number, self._spool.last))
        while self._waiting and self._waiting[0][0] <= self.acknowledged:
            self._waiting.popleft()[1]()

    def pending(self, after: int) -> Iterator[pb.ReportBatch]:
        """The batches after number `after`, in order."""
        for number, payload in self._spool.pending(after):
            batch = pb.ReportBatch.FromString(payload)
            batch.seq = number
            yield batch

    def close(self) -> None:
        self.flush(float("inf"))
        self._spool.close()

    def _append(self) -> bool:
        try:
            self._spool.append(pb.ReportBatch(reports=self._reports).SerializeToString())
        except OSError:  # a full disk: they stay in memory, and the next tick retries
            LOG.exception("reports could not be written to disk; will retry", reports=len(self._reports))
            return False
        self._reports = []
        metrics.SPOOL_DEPTH.set(len(self._spool))
        return True
