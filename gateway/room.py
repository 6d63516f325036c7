"""Which connections are open, and whose is closed when it gets crowded.  Pure.

A connection owes bytes until a whole request has come: it idles, or stopped in the midst of a head or a body.  The one
that has owed the longest makes room for a new one; whoever has sent a whole request is answered.  So a signed webhook,
whose bytes come at once, finds room however many connections strangers hold.
"""

from collections import defaultdict
from collections.abc import Hashable
from typing import Generic, TypeVar

GuestT = TypeVar("GuestT", bound=Hashable)


class Room(Generic[GuestT]):
    """Room for so many connections; of one address so many may owe."""

    def __init__(self, most: int, most_of_address: int) -> None:
        self._most, self._most_of_address = most, most_of_address
        self._addresses: dict[GuestT, str | None] = {}
        self._owing: dict[GuestT, None] = {}  # the longest first
        self._owing_of: defaultdict[str, dict[GuestT, None]] = defaultdict(dict)

    def __len__(self) -> int:
        """How many connections are open."""
        return len(self._addresses)

    def enter(self, guest: GuestT, address: str | None) -> GuestT | None:
        """A connection was made.  Returns whose must be closed for it: another's, or its own; None if there was room.

        `address` is None when others share it: a proxy's.
        """
        self._addresses[guest] = address
        self.owes(guest)
        crowded = None
        if address is not None and len(self._owing_of[address]) > self._most_of_address:
            crowded = next(iter(self._owing_of[address]))
        elif len(self._addresses) > self._most:
            crowded = next(iter(self._owing))
        if crowded is not None:
            self.leave(crowded)
        return crowded

    def owes(self, guest: GuestT) -> None:
        """Its client owes bytes from now on."""
        if guest in self._addresses:
            self.whole(guest)
            self._owing[guest] = None
            if (address := self._addresses[guest]) is not None:
                self._owing_of[address][guest] = None

    def whole(self, guest: GuestT) -> None:
        """Its request has come."""
        self._owing.pop(guest, None)
        if (address := self._addresses.get(guest)) is not None:
            self._owing_of[address].pop(guest, None)
            if not self._owing_of[address]:
                del self._owing_of[address]

    def leave(self, guest: GuestT) -> None:
        """It was closed."""
        self.whole(guest)
        self._addresses.pop(guest, None)
