"""The concurrency limits of calls, by organization and by caller.  Pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

#: The limit that a call would exceed, as its `end_reason` says.
OF_CALLER, OF_ORGANIZATION = "calls_of_caller", "calls_of_organization"


@dataclass(frozen=True, slots=True)
class PlaceRequest:
    """A call's request for a place.

    `caller`: None for a withheld number.  `is_new`: the call was never offered a place.  `zone`: the zone in which it
    arrived, empty if none.
    """

    id: UUID
    org: UUID
    caller: str | None
    is_new: bool
    zone: str = ""


@dataclass(frozen=True, slots=True)
class Caps:
    """The concurrency limits: the most simultaneous calls of an organization and of a caller."""

    of_organization: int
    of_caller: int

    def of(self, caller: str | None) -> int:
        """Return the limit of a caller; callers with a withheld number share half of the organization's calls."""
        return self.of_caller if caller is not None else max(self.of_caller, (self.of_organization + 1) // 2)


class ConcurrentCalls:
    """The numbers of live calls, by organization and by caller.

    `calls`: organization, caller (None: withheld) and number of calls.
    """

    def __init__(self, calls: Iterable[tuple[UUID, str | None, int]], caps: Caps) -> None:
        self._caps = caps
        self._of_organization: Counter[UUID] = Counter()
        self._of_caller: Counter[tuple[UUID, str | None]] = Counter()
        for org, caller, count in calls:
            self._of_organization[org] += count
            self._of_caller[org, caller] += count

    def excess(self, call: PlaceRequest) -> str | None:
        """Return the limit that this call would exceed, or None; a call that already has a place exceeds none."""
        if not call.is_new:
            return None
        if self._of_caller[call.org, call.caller] >= self._caps.of(call.caller):
            return OF_CALLER
        return OF_ORGANIZATION if self._of_organization[call.org] >= self._caps.of_organization else None

    def add(self, call: PlaceRequest) -> None:
        if call.is_new:
            self._of_organization[call.org] += 1
            self._of_caller[call.org, call.caller] += 1
