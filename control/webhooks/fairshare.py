"""Fair shares of concurrent requests among receivers.  Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID


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
