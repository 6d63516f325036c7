"""The listening socket with its limits, and the capacity of this process.

The WebSocket library accepts every connection, and when descriptors run out it retries at once, with a traceback each
time.  So it listens on a socket of ours.  That socket limits the connections that have not sent their upgrade request, and
reserves one descriptor with which it can close a connection when no other is free.
"""

import errno
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from hum.observe.logs import log
from hum.process.descriptors import PER_CALL, SPARE
from hum.settings import MediaSettings
from media import metrics

LOG = log(__name__)
EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Capacity(NamedTuple):
    """The concurrency limits: calls; and `pending`, which limits connections without a request and streams without a `start`."""

    calls: int
    pending: int


def capacity(settings: MediaSettings, descriptors: int) -> Capacity:
    """Return the capacity that the settings allow, or less if there are too few free `descriptors`."""
    pending = min(settings.max_waiting, max(1, descriptors // 8))
    calls = (descriptors - SPARE - 2 * pending) // PER_CALL
    return Capacity(min(settings.max_calls, max(0, calls)), pending)


@dataclass(frozen=True, slots=True)
class NoListeningSocket:
    """The stand-in for `ListeningSocket` in a process that takes browsers' calls only."""

    capacity: Capacity

    def upgraded(self, descriptor: int) -> None:
        """Do nothing: there are no connections."""


class ListeningSocket(socket.socket):
    """A bound socket for the WebSocket server, which must call `upgraded` when a connection has sent its request."""

    def __init__(self, listening: socket.socket, capacity: Capacity) -> None:
        """Take over the socket, which other processes may share."""
        super().__init__(fileno=listening.detach())
        self.capacity = capacity
        self._pending: dict[int, socket.socket] = {}  # by descriptor, oldest first
        self._spare = _spare()
        self._is_exhausted = False
        self._has_evicted = False

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept as `socket.accept` does; raise BlockingIOError also when no descriptor is free, or one is about to be."""
        # Let the loop run after an eviction: until then the evicted connection still has its descriptor.
        if self._has_evicted:
            self._has_evicted = False
            raise BlockingIOError(errno.EAGAIN, "a connection is being closed")
        try:
            connection, address = super().accept()
        except OSError as error:
            if error.errno not in EXHAUSTED:
                raise
            self._turn_away(error)
            raise BlockingIOError(errno.EAGAIN, "no descriptor is free") from error
        self._is_exhausted = False
        self._add_pending(connection)
        return connection, address

    def upgraded(self, descriptor: int) -> None:
        """Stop counting a connection that has sent its request."""
        self._pending.pop(descriptor, None)

    def close(self) -> None:
        super().close()
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None

    def _add_pending(self, connection: socket.socket) -> None:
        pending, descriptor = self._pending, connection.fileno()
        # The system reuses numbers: an entry with this one belongs to a closed connection.
        pending.pop(descriptor, None)
        if len(pending) >= self.capacity.pending:
            for number in [number for number, earlier in pending.items() if earlier.fileno() < 0]:
                del pending[number]
        if len(pending) >= self.capacity.pending:
            self._has_evicted = True
            metrics.TURNED_AWAY.labels("crowded").inc()
            with suppress(OSError):
                pending.pop(next(iter(pending))).shutdown(socket.SHUT_RDWR)
        pending[descriptor] = connection

    def _turn_away(self, error: OSError) -> None:
        """Accept and close one connection; otherwise the event loop would spin on the same backlog."""
        if not self._is_exhausted:
            LOG.error(
                "turning connections away: no descriptor is free; raise the limit of open files", error=str(error)
            )
        self._is_exhausted = True
        metrics.TURNED_AWAY.labels("no_descriptors").inc()
        if self._spare is not None:
            os.close(self._spare)
        with suppress(OSError):
            super().accept()[0].close()
        self._spare = _spare()


def _spare() -> int | None:
    try:
        return os.open(os.devnull, os.O_RDONLY)
    except OSError:
        return None
