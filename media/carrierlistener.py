"""The listener for the carrier's streams, which is closed for a successor and reopened if the successor fails."""

import os
import socket
from contextlib import suppress

from hum.process import sockets
from hum.settings import MediaSettings
from media.io.acceptor import Acceptor, serve
from media.listeningsocket import ListeningSocket
from media.server import MediaServer


class CarrierListener:
    """The carrier's listening socket and, while it is open, the server that accepts from it."""

    def __init__(self, server: MediaServer, listening_socket: ListeningSocket, settings: MediaSettings) -> None:
        self._server, self._settings = server, settings
        # A duplicate keeps the system's accept queue while the listener is closed.
        self._socket = socket.socket(fileno=os.dup(listening_socket.fileno()))
        self._listening_socket: ListeningSocket | None = listening_socket
        self._acceptor: Acceptor | None = None

    @property
    def port(self) -> int:
        port: int = self._socket.getsockname()[1]
        return port

    @property
    def descriptor(self) -> int:
        """The descriptor of the listening socket."""
        return self._socket.fileno()

    def open(self) -> None:
        """Start to accept connections."""
        if self._listening_socket is None:
            self._listening_socket = ListeningSocket(
                socket.socket(fileno=os.dup(self._socket.fileno())), self._server.listening_socket.capacity
            )
            self._server.listening_socket = self._listening_socket
        self._acceptor = serve(
            self._server.upgrade,
            self._listening_socket,
            max_frame_bytes=self._settings.max_frame_bytes,
            request_seconds=self._settings.start_seconds,
            backlog=sockets.BACKLOG,
        )

    def close(self) -> None:
        """Stop accepting: queued connections go to a successor, or wait until the listener is opened again."""
        acceptor, self._acceptor, self._listening_socket = self._acceptor, None, None
        if acceptor is not None:
            acceptor.close()

    def end(self) -> None:
        """Accept the queued connections, which would be lost with our socket, and close.

        Later connections go to a successor, or the system refuses them.
        """
        if self._acceptor is not None:
            # A queued connection may have failed meanwhile.
            with suppress(OSError):
                self._acceptor.accept()
        self.close()
        self._socket.close()
