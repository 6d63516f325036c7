"""This plane's Prometheus metrics.  Frames are counted in plain integers: a Counter's lock costs too much per frame."""

from collections.abc import Iterator

from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily

from hum.observe.metrics import FAST_BUCKETS, TURN_BUCKETS


class Frames:
    """A counter of messages on the carrier's sockets, which is its own collector."""

    def __init__(self) -> None:
        self.received = self.sent = 0

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Yield the counts, for the registry."""
        frames = CounterMetricFamily("hum_media_frames", "messages on the carrier's sockets", labels=["direction"])
        frames.add_metric(["in"], self.received)
        frames.add_metric(["out"], self.sent)
        yield frames


FRAMES = Frames()
REGISTRY.register(FRAMES)
CALLS = Gauge("hum_media_calls", "streams that have started and are open")
FREE_CALLS = Gauge("hum_media_free_calls", "calls that this process would still admit; 0 while it admits none")
USED_SHARE = Gauge("hum_media_used_share", "used share of this process's capacity for calls; 1 while it admits none")
STREAMS = Counter(
    "hum_media_streams", "streams requested by the carrier, and calls offered by browsers, by outcome", ["outcome"]
)
TURNED_AWAY = Counter("hum_media_turned_away", "connections closed before their upgrade request, by reason", ["reason"])
ENDINGS = Counter("hum_media_endings", "calls that ended, by reason", ["reason"])
CLEAR_SECONDS = Histogram(
    "hum_media_clear_seconds",
    "from the caller's first voiced frame over the agent to `clear` written",
    buckets=FAST_BUCKETS,
)
OURS_SECONDS = Histogram("hum_media_turn_ours_seconds", "our share of an answer's latency", buckets=FAST_BUCKETS)
MODEL_SECONDS = Histogram("hum_media_turn_model_seconds", "model's share of an answer's latency", buckets=TURN_BUCKETS)
MODEL_LOSSES = Counter("hum_media_model_losses", "model sockets lost, by reason", ["reason"])
LOOP_LAG_MS = Gauge("hum_media_loop_lag_ms", "the event loop's worst lag in the last second")
LOOP_LATE_MS = Gauge("hum_media_loop_late_ms", "the event loop's mean lag over the last few seconds")
LATENESS_SECONDS = Histogram(
    "hum_media_ticker_lateness_seconds", "how late the ticker's ticks are", buckets=FAST_BUCKETS
)
TICKS_FAILED = Counter("hum_media_ticks_failed", "ticks of the ticker that ended with an exception")
LINK_UP = Gauge("hum_media_link_up", "whether the link to control is up, 0 or 1")
SPOOL_DEPTH = Gauge("hum_media_spool_batches", "batches of reports that control has not acknowledged")
UNSAVED_BYTES = Gauge("hum_media_unsaved_bytes", "bytes of reports that are only in memory, not on disk")
UNHEARD_BYTES = Counter("hum_media_unheard_bytes", "bytes of sound that listeners missed, by reason", ["reason"])
STORED = Counter("hum_media_stored", "attempts to store recordings in the bucket, by outcome", ["how"])
STORED_BYTES = Counter("hum_media_stored_bytes", "bytes of recordings that the bucket has acknowledged")
UNSTORED_BYTES = Gauge("hum_media_unstored_bytes", "bytes of recordings that are not in the bucket yet")
UNSTORED_FILES = Gauge("hum_media_unstored_files", "recordings that are not in the bucket yet")
UNSTORED_SECONDS = Gauge("hum_media_unstored_seconds", "age of the oldest recording that is not in the bucket yet")
STORE_FAILURES = Gauge(
    "hum_media_store_failures", "consecutive scans of the recordings that failed to store some; 0 after a success"
)
ABANDONED = Counter("hum_media_uploads_abandoned", "multipart uploads that were abandoned and then aborted")
REPORTS_LOST = Counter("hum_media_reports_lost", "reports dropped because disk and memory were full")
