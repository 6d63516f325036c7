"""Which connections are open, and which one is closed when there are too many.  Pure.

A connection is waiting until a complete request has arrived: it is idle, or stopped within a head or a body.  So it is while its
client has stopped reading.  At the limit, a new connection replaces the one that has been waiting longest; complete requests are
answered to whoever reads.  So a webhook, which arrives at once, gets through however many connections attackers hold.
"""

from collections import defaultdict
from collections.abc import Hashable
from typing import Generic, TypeVar

GuestT = TypeVar("GuestT", bound=Hashable)


class Room(Generic[GuestT]):
    """Room for `most` connections, of which `most_of_address` may be waiting for one address."""

    def __init__(self, most: int, most_of_address: int) -> None:
        self._most, self._most_of_address = most, most_of_address
        self._addresses: dict[GuestT, str | None] = {}
        self._waiting: dict[GuestT, None] = {}  # the longest-waiting first
        self._waiting_of: defaultdict[str, dict[GuestT, None]] = defaultdict(dict)

    def __len__(self) -> int:
        """How many connections are open."""
        return len(self._addresses)

    def enter(self, guest: GuestT, address: str | None) -> GuestT | None:
        """Add a connection, which waits for a request.  Returns the one that must be closed, which may be the new one;
        None if there was room.

        `address` is None for a proxy, whose connections have no limit of their own.
        """
        self._addresses[guest] = address
        self.wait(guest)
        crowded = None
        if address is not None and len(self._waiting_of[address]) > self._most_of_address:
            crowded = next(iter(self._waiting_of[address]))
        elif len(self._addresses) > self._most:
            crowded = next(iter(self._waiting))
        if crowded is not None:
            self.leave(crowded)
        return crowded

    def wait(self, guest: GuestT) -> None:
        """The connection waits for its client from now on."""
        if guest in self._addresses:
            self.complete(guest)
            self._waiting[guest] = None
            if (address := self._addresses[guest]) is not None:
                self._waiting_of[address][guest] = None

    def complete(self, guest: GuestT) -> None:
        """Its request is complete."""
        self._waiting.pop(guest, None)
        if (address := self._addresses.get(guest)) is not None:
            self._waiting_of[address].pop(guest, None)
            if not self._waiting_of[address]:
                del self._waiting_of[address]

    def leave(self, guest: GuestT) -> None:
        """The connection was closed."""
        self.complete(guest)
        self._addresses.pop(guest, None)
