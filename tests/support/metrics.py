"""The values of this process's metrics."""

from collections.abc import Mapping

from prometheus_client import REGISTRY


def sample(name: str, labels: Mapping[str, str] | None = None) -> float | None:
    """Return a sample's value, or None if there is none; only its own metric is collected, of hundreds."""
    for metric in REGISTRY.restricted_registry([name]).collect():
        for each in metric.samples:
            if each.name == name and each.labels == (labels or {}):
                return each.value
    return None
