"""The handover of a live WebSocket to another process: the connection moves as a descriptor, and picows gets a simulated handshake.

This relies on internals of picows 2.3.1: the constructor of WSProtocol, how much of its buffer is free when no frame has begun,
and that it calls `write` on a transport that is not aiofastnet's own.  tests/media/io/test_sockethandover.py fails first when that
changes.
"""

import asyncio
import logging
import socket
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha1
from typing import Any

from aiofastnet.selector_transport import SelectorSocketTransport  # type: ignore[import-not-found]  # it has no stub
from picows import WSAutoPingStrategy, WSListener, WSTransport
from picows.picows import WSProtocol  # type: ignore[attr-defined]  # picows makes one per connection

LOG = logging.getLogger("picows.moved")
#: The initial read buffers: picows doubles a buffer as needed, and never shrinks it.  The carrier's messages are small, and with
#: huge pages all of a buffer takes up memory.  16 KiB, for the model's socket, are picows' own default.
SERVER_BUFFER_BYTES, CLIENT_BUFFER_BYTES = 4 << 10, 16 << 10
SPARE_BYTES = 256  # of a buffer, reserved for the parser
MOST_DOUBLINGS = 14
#: RFC 6455, section 1.3.
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#: The sizes of picows' free buffer when it holds no part of a frame.
_SERVER_FREE_BYTES, _CLIENT_FREE_BYTES = (
    frozenset((initial_bytes - SPARE_BYTES) << doublings for doublings in range(MOST_DOUBLINGS))
    for initial_bytes in (SERVER_BUFFER_BYTES, CLIENT_BUFFER_BYTES)
)
_REQUEST = (
    b"GET / HTTP/1.1\r\nHost: moved\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: " + b64encode(bytes(16)) + b"\r\n\r\n"
)
_RESPONSE = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %b\r\n\r\n"
)


def is_idle(transport: WSTransport) -> bool:
    """Return whether the library holds no part of an incomplete frame, and no unsent data."""
    if transport.is_disconnected or transport.is_close_frame_sent:
        return False
    inner: Any = transport.underlying_transport
    free_bytes = _CLIENT_FREE_BYTES if transport.is_client_side else _SERVER_FREE_BYTES
    return len(inner.get_protocol().get_buffer(-1)) in free_bytes and not inner.get_write_buffer_size()


def pause_reading(transport: WSTransport) -> int:
    """Stop reading the connection; return its descriptor."""
    transport.underlying_transport.pause_reading()
    descriptor: int = transport.underlying_transport.get_extra_info("socket").fileno()
    return descriptor


def resume_reading(transport: WSTransport) -> None:
    """Read the connection again."""
    transport.underlying_transport.resume_reading()


def close_copy(transport: WSTransport) -> None:
    """Close this process's copy of the connection, without a close frame to the peer."""
    transport.underlying_transport.abort()


async def adopt_server(descriptor: int, listener: WSListener, *, max_frame_bytes: int) -> WSTransport:
    """Become the server side of an open connection, which takes over the descriptor.  Raises OSError.

    `listener` gets `on_ws_connected`; nothing is read until `resume_reading`.
    """
    protocol = _protocol(listener, is_client=False, max_frame_bytes=max_frame_bytes)
    return await _handshake(descriptor, protocol, lambda _: _REQUEST)


async def adopt_client(
    descriptor: int, listener: WSListener, *, max_frame_bytes: int, ping_seconds: float
) -> WSTransport:
    """Become the client side of an open connection, as `adopt_server` does; it pings a silent server."""
    protocol = _protocol(listener, is_client=True, max_frame_bytes=max_frame_bytes, ping_seconds=ping_seconds)
    return await _handshake(descriptor, protocol, _handshake_response)


def _handshake_response(request: bytes) -> bytes:
    key = next(
        line.partition(b":")[2].strip()
        for line in request.split(b"\r\n")
        if line.lower().startswith(b"sec-websocket-key:")
    )
    return _RESPONSE % b64encode(sha1(key + _GUID).digest())  # noqa: S324 - the protocol's own


def _protocol(listener: WSListener, *, is_client: bool, max_frame_bytes: int, ping_seconds: float = 0.0) -> Any:
    return WSProtocol(
        host_port="moved",
        ws_path="/",
        is_client_side=is_client,
        ws_listener_factory=lambda *_: listener,
        logger=LOG,
        disconnect_on_exception=True,
        websocket_handshake_timeout=None,
        enable_auto_ping=bool(ping_seconds),
        auto_ping_idle_timeout=ping_seconds,
        auto_ping_reply_timeout=ping_seconds,
        auto_ping_strategy=WSAutoPingStrategy.PING_WHEN_IDLE,
        enable_auto_pong=True,
        max_frame_size=max_frame_bytes,
        extra_headers=None,
        read_buffer_init_size=CLIENT_BUFFER_BYTES if is_client else SERVER_BUFFER_BYTES,
    )


class _HandshakeTransport:
    """A transport for picows that captures what is written during the handshake, and forwards all that follows."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.written, self.is_open = inner, b"", False

    def write(self, data: bytes) -> None:
        if self.is_open:
            self.inner.write(data)
        else:
            self.written += data

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class _HandshakeProtocol(asyncio.BufferedProtocol):
    """The protocol of a moved connection until picows' own has completed the simulated handshake."""

    def __init__(self, protocol: Any, answer: Callable[[bytes], bytes], completed: "asyncio.Future[None]") -> None:
        self._protocol, self._answer, self._handshake = protocol, answer, completed

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        inner: Any = transport
        transport_shim = _HandshakeTransport(inner)
        try:
            self._protocol.connection_made(transport_shim)
            answer = self._answer(transport_shim.written)
            buffer = self._protocol.get_buffer(-1)
            buffer[: len(answer)] = answer
            del buffer
            self._protocol.buffer_updated(len(answer))
        # The protocol is another's code: whatever it raises, the future's waiter gets it.
        except Exception as error:  # noqa: BLE001
            inner.abort()
            self._handshake.set_exception(error)
        else:
            transport_shim.is_open = True
            inner.set_protocol(self._protocol)
            self._handshake.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        pass

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 - never called
        """Raise: picows has the connection before anything is read."""
        raise RuntimeError("a moved connection was read before picows had it")


async def _handshake(descriptor: int, protocol: Any, answer: Callable[[bytes], bytes]) -> WSTransport:
    connection = socket.socket(fileno=descriptor)
    loop = asyncio.get_running_loop()
    completed: asyncio.Future[None] = loop.create_future()
    try:
        connection.setblocking(False)
        connection.getpeername()  # raises if it is disconnected
        transport = SelectorSocketTransport(loop, connection, _HandshakeProtocol(protocol, answer, completed))
    except OSError:
        connection.close()
        raise
    # The loop runs callbacks in order: first the transport's `connection_made`, then this, and only then it reads.
    loop.call_soon(transport.pause_reading)
    await completed
    adopted: WSTransport = protocol.transport
    return adopted
