"""Where the carrier's streams come in: may be closed to a successor's benefit, and opened again if there is none after all."""

import os
import socket
from contextlib import suppress

from hum import sockets
from hum.settings import MediaSettings
from media.door import Door
from media.io import listening
from media.server import MediaServer


class Entrance:
    def __init__(self, server: MediaServer, door: Door, settings: MediaSettings) -> None:
        self._server, self._settings = server, settings
        self._kept = socket.socket(fileno=os.dup(door.fileno()))  # the same queue, whichever door is open
        self._door: Door | None = door
        self._listens: listening.Listener | None = None

    @property
    def port(self) -> int:
        port: int = self._kept.getsockname()[1]
        return port

    @property
    def descriptor(self) -> int:
        """Of the listening socket."""
        return self._kept.fileno()

    def open(self) -> None:
        """Accept connections."""
        if self._door is None:
            self._door = Door(socket.socket(fileno=os.dup(self._kept.fileno())), self._server.door.room)
            self._server.door = self._door
        self._listens = listening.serve(
            self._server.upgrade,
            self._door,
            max_frame_bytes=self._settings.max_frame_bytes,
            request_seconds=self._settings.start_seconds,
            backlog=sockets.BACKLOG,
        )

    def close(self) -> None:
        """Accept none; those that wait in the queue are a successor's, or wait until this is opened again."""
        listens, self._listens, self._door = self._listens, None, None
        if listens is not None:
            listens.close()

    def end(self) -> None:
        """New connections go to a successor, or are refused by the system; those in the queue are taken, which ends with us."""
        if self._listens is not None:
            with suppress(OSError):  # of a connection that failed meanwhile
                self._listens.accept()
        self.close()
        self._kept.close()
