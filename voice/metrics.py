"""This plane's Prometheus metrics."""

from prometheus_client import Counter, Gauge, Histogram

from hum.observe.metrics import TURN_BUCKETS

SESSIONS = Gauge("hum_voice_sessions", "sessions with media that are open")
REFUSED = Counter("hum_voice_refused", "sessions that were refused, by reason", ["reason"])
STAGE_SECONDS = Histogram(
    "hum_voice_stage_seconds",
    "how long a stage took: ears for a turn's text, mind for its first piece, mouth for a piece's sound",
    ["stage"],
    buckets=TURN_BUCKETS,
)
STAGE_FAILURES = Counter("hum_voice_stage_failures", "requests that a stage's server failed, by stage", ["stage"])
