"""Assignment of calls to media processes, within their capacity.  Pure.

Processes that share a URL share their places: the kernel decides which of them gets a connection.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from control.calls.concurrentcalls import ConcurrentCalls, PlaceRequest

#: Why a call gets no place, as its `end_reason` says.
NO_CAPACITY = "no_capacity"
#: The places of a process that reports no number.
_UNKNOWN_PLACES = 1_000_000


@dataclass(frozen=True, slots=True)
class MediaNode:
    """A media process that is alive, and its number of calls.

    `takes`: it accepts calls, and has not missed its heartbeats (`storage.media_places.UNAVAILABLE_AFTER_BEATS`).
    `is_doubted`: a stream could not be opened there, and the process has not reported since.
    """

    url: str
    places: int | None
    takes: bool
    calls: int
    zone: str = ""
    is_doubted: bool = False


@dataclass(frozen=True, slots=True)
class MediaPlace:
    """The media URL that a call is sent to; empty without a known process.  `is_far`: it is in another zone."""

    url: str
    is_far: bool = False


@dataclass(slots=True)
class _Address:
    """The processes behind a URL, and their zones."""

    places: int = 0
    free: int = 0
    zones: set[str] = field(default_factory=set)
    is_doubted: bool = True


class MediaCapacity:
    """The free places of all media processes, of which one after another is taken.

    `in_flight`: for each URL, how many calls were offered a stream there and have not opened it yet.
    """

    def __init__(self, nodes: Sequence[MediaNode], in_flight: Mapping[str, int]) -> None:
        self.is_empty = not nodes
        self._addresses: dict[str, _Address] = {}
        for node in nodes:
            if node.takes:
                places = _UNKNOWN_PLACES if node.places is None else node.places
                address = self._addresses.setdefault(node.url, _Address())
                address.places += places
                address.free += max(0, places - node.calls)
                address.zones.add(node.zone)
                address.is_doubted &= node.is_doubted
        for url, calls in in_flight.items():
            if url in self._addresses:
                self._addresses[url].free -= calls

    def acquire_place(self, zone: str = "") -> MediaPlace | None:
        """Acquire a place; None if there is none.

        Prefer processes that are not doubted, then those in this zone, then those with the largest free share.
        """
        free = {url: address for url, address in self._addresses.items() if address.free > 0}
        if not free:
            return None

        def rank(url: str) -> tuple[bool, bool, float, int, str]:
            address = free[url]
            return (
                not address.is_doubted,
                not zone or zone in address.zones,
                address.free / address.places,
                address.free,
                url,
            )

        url = max(free, key=rank)
        free[url].free -= 1
        return MediaPlace(url, is_far=bool(zone) and zone not in free[url].zones)


@dataclass(frozen=True, slots=True)
class PlaceRefusal:
    """The reason why a call gets no place.  `NO_CAPACITY` may be over in a moment."""

    reason: str


def assign_media_processes(
    requests: Sequence[PlaceRequest], capacity: MediaCapacity, concurrent: ConcurrentCalls
) -> dict[UUID, MediaPlace | PlaceRefusal]:
    """Assign places to these calls in their order, and return the result by call."""
    verdicts: dict[UUID, MediaPlace | PlaceRefusal] = {}
    for call in requests:
        if (reason := concurrent.excess(call)) is not None:
            verdicts[call.id] = PlaceRefusal(reason)
        elif (place := MediaPlace("") if capacity.is_empty else capacity.acquire_place(call.zone)) is not None:
            concurrent.add(call)
            verdicts[call.id] = place
        else:
            verdicts[call.id] = PlaceRefusal(NO_CAPACITY)
    return verdicts
