"""Metrics: the buckets of durations, and the page for Prometheus."""

from collections.abc import Sequence

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

METRICS_CONTENT_TYPE = CONTENT_TYPE_LATEST
#: Prometheus buckets, in seconds, for operations that take milliseconds.
FAST_BUCKETS: Sequence[float] = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
#: Prometheus buckets, in seconds, for the time a caller waits for an answer.
TURN_BUCKETS: Sequence[float] = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0)


def metrics_page() -> bytes:
    """Return all metrics of this process, in Prometheus's text format."""
    return generate_latest()
