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


class Room(NamedTuple):
    """How many calls this process takes; how many connections without a request, and as many streams without a `start`."""

    calls: int
    waiting: int


def room(settings: MediaSettings, descriptors: int) -> Room:
    """What the settings allow, or less if there are too few free `descriptors`."""
    waiting = min(settings.max_waiting, max(1, descriptors // 8))
    calls = (descriptors - SPARE - 2 * waiting) // PER_CALL
    return Room(min(settings.max_calls, max(0, calls)), waiting)


@dataclass(frozen=True, slots=True)
class NoDoor:
    """Of a process that listens on no socket of the carrier's."""

    room: Room

    def upgraded(self, descriptor: int) -> None:
        """Nobody comes through it."""


class Door(socket.socket):
    """A bound socket for the WebSocket server, which must call `upgraded` when a connection has sent its request."""

    def __init__(self, listening: socket.socket, room: Room) -> None:
        """Takes over the socket, which other processes may have too."""
        super().__init__(fileno=listening.detach())
        self.room = room
        self._waiting: dict[int, socket.socket] = {}  # oldest first
        self._spare = _spare()
        self._is_full = False
        self._is_crowded = False

    def accept(self) -> tuple[socket.socket, Any]:
        """As `socket.accept`; raises BlockingIOError also when no descriptor is free, or one is about to be."""
        if self._is_crowded:  # let the loop run: the connection that was closed last still has its descriptor
            self._is_crowded = False
            raise BlockingIOError(errno.EAGAIN, "a connection is being closed")
        try:
            connection, address = super().accept()
        except OSError as error:
            if error.errno not in EXHAUSTED:
                raise
            self._turn_away(error)
            raise BlockingIOError(errno.EAGAIN, "no descriptor is free") from error
        self._is_full = False
        self._keep(connection)
        return connection, address

    def upgraded(self, descriptor: int) -> None:
        """The connection has sent its request, and is no longer counted here."""
        self._waiting.pop(descriptor, None)

    def close(self) -> None:
        super().close()
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None

    def _keep(self, connection: socket.socket) -> None:
        waiting, descriptor = self._waiting, connection.fileno()
        waiting.pop(descriptor, None)  # that of an earlier connection
        if len(waiting) >= self.room.waiting:
            for number in [number for number, each in waiting.items() if each.fileno() < 0]:
                del waiting[number]
        if len(waiting) >= self.room.waiting:
            self._is_crowded = True
            metrics.TURNED_AWAY.labels("crowded").inc()
            with suppress(OSError):
                waiting.pop(next(iter(waiting))).shutdown(socket.SHUT_RDWR)
        waiting[descriptor] = connection

    def _turn_away(self, error: OSError) -> None:
        """Close one connection; else the event loop would spin on the same backlog."""
        if not self._is_full:
            LOG.error(
                "turning connections away: no descriptor is free; raise the limit of open files", error=str(error)
            )
        self._is_full = True
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
