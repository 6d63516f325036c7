"""Who gets which event, when it is tried again, and what an answer means.  Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from uuid import UUID

#: Events of triggers, whose names their organizations choose.
EXTERNAL = "external."
GONE = 410


def is_type(pattern: str, types: Iterable[str]) -> bool:
    """Whether a pattern stands for some of these types of events."""
    if pattern.startswith(EXTERNAL):
        return True
    return any(wants([pattern], each) for each in types)


def wants(patterns: Sequence[str], type: str) -> bool:
    """Whether one of these patterns (`sms.received`, `sms.*`, `*`) stands for a type; none stand for all."""
    if not patterns:
        return True
    kind = f"{type.partition('.')[0]}.*"
    return any(each in {"*", type, kind} for each in patterns)


def concerns(numbers: Sequence[UUID], flows: Sequence[UUID], place: tuple[UUID | None, UUID | None] | None) -> bool:
    """Whether an event of this number and flow passes a webhook's filters."""
    number, flow = place or (None, None)
    return (not numbers or number in numbers) and (not flows or flow in flows)


@dataclass(frozen=True, slots=True)
class Ask:
    """Whose requests may leave: how many it wants to send, and how many it has under way."""

    group: UUID
    wish: int
    held: int


def share(free: int, free_of: Mapping[UUID, int], asks: Sequence[Ask]) -> list[int]:
    """How many of `free` places each gets, and of those that are free in its group; one after another in turn.

    Nobody holds more than half of what is still free (but one), so there is always a place for somebody who comes later: as
    buffers are shared among the ports of a switch (Choudhury and Hahne, 1998).
    """
    shares, left = [0] * len(asks), dict(free_of)
    waiting = [place for place, ask in enumerate(asks) if ask.wish > 0]
    while waiting and free > 0:
        still = []
        for place in waiting:
            ask, room = asks[place], min(free, left[asks[place].group])
            if room > 0 and shares[place] + ask.held < max(1, room // 2):
                shares[place] += 1
                free -= 1
                left[ask.group] -= 1
                if shares[place] < ask.wish:
                    still.append(place)
        waiting = still
    return shares


def widened(window: int, widest: int, succeeded: bool) -> int:
    """How many requests of an endpoint may be under way after one has ended: one more, or half as many."""
    return min(widest, window + 1) if succeeded else max(1, window // 2)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Seconds before each further attempt; `jitter`, the part by which they differ; the longest `Retry-After`."""

    seconds: Sequence[float]
    jitter: float
    retry_after_seconds: float

    @property
    def retries(self) -> int:
        return len(self.seconds)

    def wait_seconds(self, retries: int, chance: float, retry_after_seconds: float | None) -> float | None:
        """Before the next attempt, if so many retries are left; None: there is none.  `chance`: from 0 to 1.

        A receiver's wish is followed as far as it is later than ours and not too late.
        """
        if retries <= 0 or not self.seconds:
            return None
        base = self.seconds[max(0, len(self.seconds) - retries)]
        wait = base * (1 + self.jitter * (2 * chance - 1))
        return max(wait, min(retry_after_seconds or 0.0, self.retry_after_seconds))


def retry_after_seconds(header: str | None, at: datetime) -> float | None:
    """`Retry-After` as seconds from `at`; None if there is none that can be read (RFC 9110, 10.2.3)."""
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
    """What is due about a receiver that fails: a warning, or, as the last step, its end."""

    is_last: bool
    #: The receiver counts as failing for so long, though it may have failed before: no step is left out after a pause.
    failing_seconds: float


def step_due(failing_seconds: float, warnings: int, warn_days: Sequence[float], disable_days: float) -> Step | None:
    """The next step, after so many warnings; None: not yet."""
    bounds = [days * DAY_SECONDS for days in (*(each for each in warn_days if each < disable_days), disable_days)]
    place = min(warnings, len(bounds) - 1)
    if failing_seconds < bounds[place]:
        return None
    if place == len(bounds) - 1:
        return Step(is_last=True, failing_seconds=failing_seconds)
    skips = failing_seconds >= bounds[place + 1]
    return Step(is_last=False, failing_seconds=bounds[place] if skips else failing_seconds)
