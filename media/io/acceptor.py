"""The WebSocket server, which also answers health checks in HTTP/1.0.

picows accepts HTTP/1.1 only, and answers a proxy's plain check (`GET /readyz HTTP/1.0`) with 400: for that proxy, every media
process would be down.  So the first line of each connection is read here, and the two checks are rewritten to HTTP/1.1.  After
that the transport calls picows directly, so frames cost nothing more.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

import aiofastnet
from picows import WSAutoPingStrategy, WSUpgradeRequest
from picows.picows import WSProtocol  # type: ignore[attr-defined]  # its own server makes one for each connection, too

from media.io.sockethandover import SERVER_BUFFER_BYTES
from media.listeningsocket import ListeningSocket

#: The only requests that are accepted in HTTP/1.0: a WebSocket needs 1.1.
CHECKS = frozenset({b"GET /healthz HTTP/1.0", b"GET /readyz HTTP/1.0"})
MAX_LINE_BYTES = max(map(len, CHECKS)) + 2
LOG = logging.getLogger("picows.server")
UNUSED_SECONDS = 20.0  # pings are disabled


class FirstLine(asyncio.Protocol):
    """A protocol that reads a connection's first line, rewrites a health check, and passes the connection to picows."""

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol
        self._transport: Any = None  # aiofastnet's own class
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        # picows' timeout for the request starts here.
        self._protocol.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self._read += data
        line, end, rest = self._read.partition(b"\r\n")
        if not end and len(self._read) < MAX_LINE_BYTES:
            return
        self._transport.set_protocol(self._protocol)
        if line in CHECKS:
            line = line.removesuffix(b"1.0") + b"1.1"
        _feed(self._protocol, line + end + rest)

    def connection_lost(self, exc: Exception | None) -> None:
        self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()


def _feed(protocol: Any, data: bytes) -> None:
    """Pass data to a protocol as if the transport had read it."""
    while data:
        buffer = protocol.get_buffer(-1)
        count = min(len(buffer), len(data))
        buffer[:count] = data[:count]
        del buffer
        protocol.buffer_updated(count)
        data = data[count:]


class Acceptor:
    """The acceptor of a listening socket's connections, which gives each its protocol.

    When asyncio's own server is closed, it drops the connections that it has accepted but not given a protocol yet.  This one
    still serves them.
    """

    def __init__(
        self, listening_socket: ListeningSocket, connected: Callable[[], asyncio.Protocol], backlog: int
    ) -> None:
        self._loop, self._listening_socket, self._connected, self._backlog = (
            asyncio.get_running_loop(),
            listening_socket,
            connected,
            backlog,
        )
        self._connecting: set[asyncio.Task[None]] = set()
        listening_socket.setblocking(False)
        listening_socket.listen(backlog)
        self._loop.add_reader(listening_socket.fileno(), self.accept)

    def accept(self) -> None:
        """Accept all queued connections."""
        for _ in range(self._backlog):
            try:
                connection, _ = self._listening_socket.accept()
            except ConnectionAbortedError:
                continue
            except (BlockingIOError, InterruptedError):
                return
            connection.setblocking(False)
            connecting = self._loop.create_task(self._connect(connection))
            self._connecting.add(connecting)
            connecting.add_done_callback(self._connecting.discard)

    async def _connect(self, connection: socket.socket) -> None:
        try:
            await aiofastnet.connect_accepted_socket(self._loop, self._connected, connection)
        except OSError as error:
            LOG.debug("a connection closed before it was read: %s", error)
            connection.close()

    def close(self) -> None:
        """Stop accepting; accepted connections stay open."""
        self._loop.remove_reader(self._listening_socket.fileno())
        self._listening_socket.close()


def serve(
    upgrade: Callable[[WSUpgradeRequest], Any],
    listening_socket: ListeningSocket,
    *,
    max_frame_bytes: int,
    request_seconds: float,
    backlog: int,
) -> Acceptor:
    """Listen on the socket, as picows' own `ws_create_server` does; `upgrade` answers requests."""

    def connected() -> FirstLine:
        return FirstLine(
            WSProtocol(
                host_port=None,
                ws_path=None,
                is_client_side=False,
                ws_listener_factory=upgrade,
                logger=LOG,
                disconnect_on_exception=True,
                websocket_handshake_timeout=request_seconds,
                enable_auto_ping=False,
                auto_ping_idle_timeout=UNUSED_SECONDS,
                auto_ping_reply_timeout=UNUSED_SECONDS,
                auto_ping_strategy=WSAutoPingStrategy.PING_WHEN_IDLE,
                enable_auto_pong=True,
                max_frame_size=max_frame_bytes,
                extra_headers=None,
                read_buffer_init_size=SERVER_BUFFER_BYTES,
            )
        )

    return Acceptor(listening_socket, connected, backlog)
