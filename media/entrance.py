"""Where the carrier's streams come in: may be closed to a successor's benefit, and opened again if there is none after all."""

import os
import socket
from contextlib import suppress

from hum import sockets
from hum.settings import MediaSettings
from media.door import ListeningSocket
from media.io import listening
from media.server import MediaServer


class CarrierListener:
    def __init__(self, server: MediaServer, listening_socket: ListeningSocket, settings: MediaSettings) -> None:
        self._server, self._settings = server, settings
        self._socket = socket.socket(fileno=os.dup(listening_socket.fileno()))  # the same queue, whichever door is open
        self._listening_socket: ListeningSocket | None = listening_socket
        self._accepting: listening.Listener | None = None

    @property
    def port(self) -> int:
        port: int = self._socket.getsockname()[1]
        return port

    @property
    def descriptor(self) -> int:
        """Of the listening socket."""
        return self._socket.fileno()

    def open(self) -> None:
        """Accept connections."""
        if self._listening_socket is None:
            self._listening_socket = ListeningSocket(
                socket.socket(fileno=os.dup(self._socket.fileno())), self._server.listening_socket.capacity
            )
            self._server.listening_socket = self._listening_socket
        self._accepting = listening.serve(
            self._server.upgrade,
            self._listening_socket,
            max_frame_bytes=self._settings.max_frame_bytes,
            request_seconds=self._settings.start_seconds,
            backlog=sockets.BACKLOG,
        )

    def close(self) -> None:
        """Accept none; those that wait in the queue are a successor's, or wait until this is opened again."""
        accepting, self._accepting, self._listening_socket = self._accepting, None, None
        if accepting is not None:
            accepting.close()

    def end(self) -> None:
        """New connections go to a successor, or are refused by the system; those in the queue are taken, which ends with us."""
        if self._accepting is not None:
            with suppress(OSError):  # of a connection that failed meanwhile
                self._accepting.accept()
        self.close()
        self._socket.close()
