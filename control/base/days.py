"""Days by UTC, in which quotas are counted."""

from datetime import datetime, timedelta
from math import ceil


def seconds_left(at: datetime) -> int:
    """Return the seconds until the next midnight in UTC, from a time in UTC."""
    midnight = (at + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return ceil((midnight - at).total_seconds())
