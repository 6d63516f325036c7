"""The pace of sending texts.  Pure."""

from datetime import datetime, timedelta

from control.texts.retries import cure, next_carrier_day


def setbacks(counted: int, ago_seconds: float, recover_seconds: float) -> int:
    """Return a number's setbacks that still count: one expires every `recover_seconds`."""
    return max(0, counted - int(ago_seconds / recover_seconds)) if counted else 0


def stopped_seconds(code: str | None, stopped_at: datetime | None, now: datetime, stop_seconds: float) -> float:
    """Return the remaining seconds of a number's pause after a fault; 0.0 if it is not paused."""
    if code is None or stopped_at is None:
        return 0.0
    until = next_carrier_day(stopped_at) if cure(code).next_day else stopped_at + timedelta(seconds=stop_seconds)
    return max(0.0, (until - now).total_seconds())


#: Setbacks beyond these slow a number no further: its slowest pace is 1/64.
MOST_SETBACKS = 6


def pace(segments_per_second: float, setbacks: int) -> float:
    """Return a number's pace in segments per second, halved by each setback."""
    return segments_per_second / (1 << min(setbacks, MOST_SETBACKS))


def backoff_seconds(first_seconds: float, setbacks: int, longest_seconds: float) -> float:
    """Return a number's exponential back-off after the carrier was unavailable or busy."""
    return min(first_seconds * (1 << min(setbacks, 30)), max(longest_seconds, first_seconds))


def at_once(per_second: float, quantum_seconds: float) -> int:
    """Return the size of a batch, so that a fast pace needs few transactions; at least 1."""
    return max(1, int(per_second * quantum_seconds))


def campaign_step(per_minute: int, texts: int) -> float:
    """Return the seconds between batches of `texts`, so that no minute exceeds `per_minute`."""
    return 60 / max(1, per_minute // texts)
