"""The limit on open connections, and which one is evicted at the limit.  Pure.

A connection is waiting while it has no complete request (it is idle, or stopped within a head or a body), and while its
client has stopped reading.  At the limit, a new connection evicts the one that has been waiting longest.  A connection
with a complete request and a client that reads is never evicted.  Thus a webhook, which arrives complete, gets through
however many connections attackers open.
"""

from collections import defaultdict
from collections.abc import Hashable
from typing import Generic, TypeVar

ConnectionT = TypeVar("ConnectionT", bound=Hashable)


class ConnectionLimit(Generic[ConnectionT]):
    """A limit of `max_connections`, of which one address may have `max_waiting_of_address` waiting."""

    def __init__(self, max_connections: int, max_waiting_of_address: int) -> None:
        self._max_connections, self._max_waiting_of_address = max_connections, max_waiting_of_address
        self._addresses: dict[ConnectionT, str | None] = {}
        self._waiting: dict[ConnectionT, None] = {}  # longest-waiting first
        self._waiting_of: defaultdict[str, dict[ConnectionT, None]] = defaultdict(dict)

    def __len__(self) -> int:
        """Return the number of open connections."""
        return len(self._addresses)

    def add(self, connection: ConnectionT, address: str | None) -> ConnectionT | None:
        """Add a connection, which waits for a request; return the connection to close, possibly the new one, or None.

        `address` is None for a proxy, which has no limit per address.
        """
        self._addresses[connection] = address
        self.mark_waiting(connection)
        evicted = None
        if address is not None and len(self._waiting_of[address]) > self._max_waiting_of_address:
            evicted = next(iter(self._waiting_of[address]))
        elif len(self._addresses) > self._max_connections:
            evicted = next(iter(self._waiting))
        if evicted is not None:
            self.remove(evicted)
        return evicted

    def mark_waiting(self, connection: ConnectionT) -> None:
        """Mark the connection as waiting for its client."""
        if connection in self._addresses:
            self.mark_complete(connection)
            self._waiting[connection] = None
            if (address := self._addresses[connection]) is not None:
                self._waiting_of[address][connection] = None

    def mark_complete(self, connection: ConnectionT) -> None:
        """Mark the connection as not waiting: its request is complete."""
        self._waiting.pop(connection, None)
        if (address := self._addresses.get(connection)) is not None:
            self._waiting_of[address].pop(connection, None)
            if not self._waiting_of[address]:
                del self._waiting_of[address]

    def remove(self, connection: ConnectionT) -> None:
        """Remove a closed connection."""
        self.mark_complete(connection)
        self._addresses.pop(connection, None)
