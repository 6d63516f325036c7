"""The rules of deliveries: which webhook gets an event, fair shares of requests, retries, and failing receivers.  Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from uuid import UUID

#: The prefix of triggers' events.  Organizations choose their names.
EXTERNAL = "external."
GONE = 410


def is_type(pattern: str, types: Iterable[str]) -> bool:
    """Return whether a pattern matches any of these types of events."""
    if pattern.startswith(EXTERNAL):
        return True
    return any(wants([pattern], type) for type in types)


def wants(patterns: Sequence[str], type: str) -> bool:
    """Return whether a pattern (`sms.received`, `sms.*`, `*`) matches a type; no patterns match all types."""
    if not patterns:
        return True
    kind = f"{type.partition('.')[0]}.*"
    return any(pattern in {"*", type, kind} for pattern in patterns)


def concerns(numbers: Sequence[UUID], flows: Sequence[UUID], place: tuple[UUID | None, UUID | None] | None) -> bool:
    """Return whether an event of this number and flow passes a webhook's filters."""
    number, flow = place or (None, None)
    return (not numbers or number in numbers) and (not flows or flow in flows)


@dataclass(frozen=True, slots=True)
class Demand:
    """The demand of a webhook: requests that it wants to send, and requests in flight.  `group`: its organization."""

    group: UUID
    requested: int
    in_flight: int


def share(free: int, free_of: Mapping[UUID, int], demands: Sequence[Demand]) -> list[int]:
    """Divide `free` slots among demands, round-robin, within the free slots of their groups; return the share of each.

    Each may have at most half of the slots that are still free, and at least one.  So there is always a slot for a demand that
    comes later, as with dynamic thresholds in a switch's buffer (Choudhury and Hahne, 1998).
    """
    shares, remaining = [0] * len(demands), dict(free_of)
    active = [index for index, demand in enumerate(demands) if demand.requested > 0]
    while active and free > 0:
        unsatisfied = []
        for index in active:
            demand, capacity = demands[index], min(free, remaining[demands[index].group])
            if capacity > 0 and shares[index] + demand.in_flight < max(1, capacity // 2):
                shares[index] += 1
                free -= 1
                remaining[demand.group] -= 1
                if shares[index] < demand.requested:
                    unsatisfied.append(index)
        active = unsatisfied
    return shares


def widened(window: int, widest: int, succeeded: bool) -> int:
    """Return an endpoint's window after a request has ended: one more on success, else half (AIMD)."""
    return min(widest, window + 1) if succeeded else max(1, window // 2)


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
