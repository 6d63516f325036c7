"""The retries of deliveries, and what becomes of a failing receiver.  Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

GONE = 410


@dataclass(frozen=True, slots=True)
class Schedule:
    """The schedule of retries: seconds before each; `jitter`, their relative spread; the longest honored `Retry-After`."""

    seconds: Sequence[float]
    jitter: float
    retry_after_seconds: float

    @property
    def retries(self) -> int:
        return len(self.seconds)

    def wait_seconds(self, retries: int, chance: float, retry_after_seconds: float | None) -> float | None:
        """Return the seconds before the next attempt, with so many retries left; None: there is none.  `chance`: from 0 to 1.

        A receiver's `Retry-After` is honored, up to the limit, if it is later than the schedule.
        """
        if retries <= 0 or not self.seconds:
            return None
        base = self.seconds[max(0, len(self.seconds) - retries)]
        wait = base * (1 + self.jitter * (2 * chance - 1))
        return max(wait, min(retry_after_seconds or 0.0, self.retry_after_seconds))


def retry_after_seconds(header: str | None, at: datetime) -> float | None:
    """Parse `Retry-After` as seconds from `at`; return None if it is missing or invalid (RFC 9110, 10.2.3)."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    try:
        then = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    then = then if then.tzinfo else then.replace(tzinfo=UTC)
    return max(0.0, (then - at).total_seconds())


DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class Step:
    """The step due about a failing receiver: a warning, or as the last step its deactivation."""

    is_last: bool
    #: How long the receiver counts as failing.  It may be less than the truth, so that no step is skipped after a pause.
    failing_seconds: float


def step_due(failing_seconds: float, warnings: int, warn_days: Sequence[float], disable_days: float) -> Step | None:
    """Return the next step, after so many warnings; None: not yet."""
    bounds = [days * DAY_SECONDS for days in (*(day for day in warn_days if day < disable_days), disable_days)]
    index = min(warnings, len(bounds) - 1)
    if failing_seconds < bounds[index]:
        return None
    if index == len(bounds) - 1:
        return Step(is_last=True, failing_seconds=failing_seconds)
    skips = failing_seconds >= bounds[index + 1]
    return Step(is_last=False, failing_seconds=bounds[index] if skips else failing_seconds)
