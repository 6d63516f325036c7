"""Which media process each of several calls is sent to, and which calls are one too many.  Pure.

Processes that share a URL share their places: the kernel decides which of them gets a connection.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

#: Why a call gets no place, as its `end_reason` says.
NO_CAPACITY, OF_CALLER, OF_ORGANIZATION = "no_capacity", "calls_of_caller", "calls_of_organization"
_UNKNOWN = 1_000_000  # places of a process that does not say how many it has


@dataclass(frozen=True, slots=True)
class Node:
    """A media process that is there, and how many calls it has.

    `is_doubted`: a stream did not come about there, and nothing was heard of it since.
    """

    url: str
    places: int | None
    takes: bool
    calls: int
    zone: str = ""
    is_doubted: bool = False


@dataclass(frozen=True, slots=True)
class Caps:
    """The most simultaneous calls."""

    of_organization: int
    of_caller: int

    def of(self, caller: str | None) -> int:
        """Return the cap for a caller; those who withhold their number share half of the organization's calls."""
        return self.of_caller if caller is not None else max(self.of_caller, (self.of_organization + 1) // 2)


@dataclass(frozen=True, slots=True)
class Asking:
    """A call that wants a place.

    `caller`: None for a withheld number; `is_new`: it was never offered one; `zone`: where it came in, empty: in no zone.
    """

    id: UUID
    org: UUID
    caller: str | None
    is_new: bool
    zone: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a call is sent; empty: nobody knows, the carrier finds out.  `is_far`: not in its own zone."""

    url: str
    is_far: bool = False


@dataclass(slots=True)
class _Address:
    """The processes behind one URL, and the zones that they are in."""

    places: int = 0
    free: int = 0
    zones: set[str] = field(default_factory=set)
    is_doubted: bool = True


class House:
    """All media processes, while places are given away one after another."""

    def __init__(self, nodes: Sequence[Node], on_their_way: Mapping[str, int]) -> None:
        """`on_their_way`: how many calls were offered a stream at each URL and have not opened it yet."""
        self.is_empty = not nodes
        self._addresses: dict[str, _Address] = {}
        for node in nodes:
            if node.takes:
                places = _UNKNOWN if node.places is None else node.places
                address = self._addresses.setdefault(node.url, _Address())
                address.places += places
                address.free += max(0, places - node.calls)
                address.zones.add(node.zone)
                address.is_doubted &= node.is_doubted
        for url, calls in on_their_way.items():
            if url in self._addresses:
                self._addresses[url].free -= calls

    def take(self, zone: str = "") -> Place | None:
        """Give a place away; None when all are taken.

        First where nobody has failed to come, then in this zone, then where the largest share is free.
        """
        free = {url: address for url, address in self._addresses.items() if address.free > 0}
        if not free:
            return None

        def rank(url: str) -> tuple[bool, bool, float, int, str]:
            at = free[url]
            return not at.is_doubted, not zone or zone in at.zones, at.free / at.places, at.free, url

        url = max(free, key=rank)
        free[url].free -= 1
        return Place(url, is_far=bool(zone) and zone not in free[url].zones)


class GoingOn:
    """How many calls organizations have, in all and from each caller."""

    def __init__(self, calls: Iterable[tuple[UUID, str | None, int]], caps: Caps) -> None:
        """`calls`: organization, caller (None: withheld) and how many calls."""
        self._caps = caps
        self._of: Counter[UUID] = Counter()
        self._of_caller: Counter[tuple[UUID, str | None]] = Counter()
        for org, caller, count in calls:
            self._of[org] += count
            self._of_caller[org, caller] += count

    def excess(self, call: Asking) -> str | None:
        """Why this call would be one too many; a call that goes on already never is."""
        if not call.is_new:
            return None
        if self._of_caller[call.org, call.caller] >= self._caps.of(call.caller):
            return OF_CALLER
        return OF_ORGANIZATION if self._of[call.org] >= self._caps.of_organization else None

    def begins(self, call: Asking) -> None:
        if call.is_new:
            self._of[call.org] += 1
            self._of_caller[call.org, call.caller] += 1


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a call is not sent anywhere.  `NO_CAPACITY` may be over in a moment."""

    reason: str


def give(asking: Sequence[Asking], house: House, going_on: GoingOn) -> dict[UUID, Place | Refused]:
    """Give the calls that ask their places, in this order."""
    verdicts: dict[UUID, Place | Refused] = {}
    for call in asking:
        if (reason := going_on.excess(call)) is not None:
            verdicts[call.id] = Refused(reason)
        elif (place := Place("") if house.is_empty else house.take(call.zone)) is not None:
            going_on.begins(call)
            verdicts[call.id] = place
        else:
            verdicts[call.id] = Refused(NO_CAPACITY)
    return verdicts
