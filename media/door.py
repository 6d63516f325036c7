"""The listening socket, and how many calls this process takes.

The WebSocket library accepts every connection, and when descriptors run out it retries at once, with a traceback each
time.  So it listens on a socket of ours, which limits the connections that have not sent their upgrade request, and
reserves one descriptor for turning connections away when there is no other.
"""

import errno
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from hum.descriptors import PER_CALL, SPARE
from hum.settings import MediaSettings
from hum.telemetry import log
from media import metrics

LOG = log(__name__)
EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Capacity(NamedTuple):
    """How many calls this process takes; how many connections without a request, and as many streams without a `start`."""

    calls: int
    pending: int


def capacity(settings: MediaSettings, descriptors: int) -> Capacity:
    """What the settings allow, or less if there are too few free `descriptors`."""
    pending = min(settings.max_waiting, max(1, descriptors // 8))
    calls = (descriptors - SPARE - 2 * pending) // PER_CALL
    return Capacity(min(settings.max_calls, max(0, calls)), pending)


@dataclass(frozen=True, slots=True)
class NoListeningSocket:
    """Of a process that listens on no socket of the carrier's."""

    capacity: Capacity

    def upgraded(self, descriptor: int) -> None:
        """Nobody comes through it."""


class ListeningSocket(socket.socket):
    """A bound socket for the WebSocket server, which must call `upgraded` when a connection has sent its request."""

    def __init__(self, listening: socket.socket, capacity: Capacity) -> None:
        """Takes over the socket, which other processes may have too."""
        super().__init__(fileno=listening.detach())
        self.capacity = capacity
        self._pending: dict[int, socket.socket] = {}  # oldest first
        self._spare = _spare()
        self._is_exhausted = False
        self._has_evicted = False

    def accept(self) -> tuple[socket.socket, Any]:
        """As `socket.accept`; raises BlockingIOError also when no descriptor is free, or one is about to be."""
        if self._has_evicted:  # let the loop run: the connection that was closed last still has its descriptor
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
        """The connection has sent its request, and is no longer counted here."""
        self._pending.pop(descriptor, None)

    def close(self) -> None:
        super().close()
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None

    def _add_pending(self, connection: socket.socket) -> None:
        pending, descriptor = self._pending, connection.fileno()
        pending.pop(descriptor, None)  # that of an earlier connection
        if len(pending) >= self.capacity.pending:
            for number in [number for number, each in pending.items() if each.fileno() < 0]:
                del pending[number]
        if len(pending) >= self.capacity.pending:
            self._has_evicted = True
            metrics.TURNED_AWAY.labels("crowded").inc()
            with suppress(OSError):
                pending.pop(next(iter(pending))).shutdown(socket.SHUT_RDWR)
        pending[descriptor] = connection

    def _turn_away(self, error: OSError) -> None:
        """Close one connection; else the event loop would spin on the same backlog."""
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
