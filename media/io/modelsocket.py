"""The model's socket: a WebSocket client, whose messages an adapter translates."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from picows import WSCloseCode, WSFrame, WSHandshakeError, WSListener, WSTransport, ws_connect

from hum.process import home
from hum.settings import MediaSettings
from media.core.modelmessages import ModelCommand, ModelEvent
from media.io import sockethandover
from media.io.frames import CLOSE, TEXT, Pieces, TooBig, close_code
from media.modelwire import ModelWire

#: A larger event counts as a fault.  Audio deltas have a few thousand bytes; the largest event echoes the instructions.
MAX_EVENT_BYTES = 1 << 20
#: The library itself disconnects on a larger frame.
MAX_FRAME_BYTES = 16 << 20
#: Events that are queued until `listen`; a server that has received nothing sends few.
MAX_EARLY = 16
#: More than 90 s of caller audio that the server has not read: the session counts as lost.
UNSENT_BYTES = 1 << 20
#: Handshake responses that a retry will not change: the key, project, model or request is wrong.
FINAL_HTTP_STATUSES = frozenset({400, 401, 403, 404, 405, 410, 422})


class SessionRefused(Exception):  # noqa: N818 - it says what happened
    """The server refuses to open a session; a retry would not help."""


class Unreachable(Exception):  # noqa: N818 - it says what happened
    """The server could not be reached or could not serve the request; a retry may help."""


class ModelListener(Protocol):
    """The receiver of a model socket's events."""

    def from_model(self, socket: "ModelSocket", event: ModelEvent) -> None:
        """Handle an event."""

    def model_gone(self, socket: "ModelSocket", reason: str) -> None:
        """Handle the close of the socket.  Called once, and never after `drop`."""


class ModelSocket(WSListener):
    """An open socket.  A call uses only `listen` (once), `send` and `drop`."""

    def __init__(self, listener: ModelListener, wire: ModelWire) -> None:
        self._listener: ModelListener | None = listener
        self._decode, self._encode = wire.decode, wire.encode
        self._early: list[ModelEvent] | None = []  # events before `listen`
        self._early_reason = ""  # of a close before `listen`
        self._pieces = Pieces(MAX_EVENT_BYTES)
        self._transport: WSTransport | None = None

    def listen(self) -> None:
        """Deliver the events since the handshake, and from now on each event as it comes."""
        early, self._early = self._early or (), None
        for event in early:
            if self._listener is not None:
                self._listener.from_model(self, event)
        if self._early_reason:
            self._gone(self._early_reason)

    def send(self, command: ModelCommand) -> None:
        """Send a command; drop it if the socket is closed."""
        transport = self._transport
        if transport is not None:
            transport.send(TEXT, self._encode(command))

    @property
    def idle(self) -> WSTransport | None:
        """The connection if it can move to another process now, between two messages in both directions; else None."""
        transport = self._transport
        if transport is None or transport.is_secure or self._early is not None or not self._pieces.empty:
            return None
        return transport if sockethandover.is_idle(transport) else None

    @property
    def is_connected(self) -> bool:
        return self._transport is not None

    @property
    def is_secure(self) -> bool:
        """Whether this process encrypts the connection, which then can't move."""
        return self._transport is not None and self._transport.is_secure

    def detach(self) -> None:
        """Drop this process's copy of a connection that has moved, or close an encrypted one, which can't move.

        The listener is not called again.
        """
        self._listener = None
        transport = self._transport
        if transport is not None and not transport.is_secure:
            self._transport = None
            transport.underlying_transport.abort()
        else:
            self._close()

    def drop(self) -> None:
        """Close the socket; the listener is not called again."""
        self._listener = None
        self._close()

    def on_ws_connected(self, transport: WSTransport) -> None:
        transport.underlying_transport.set_write_buffer_limits(high=UNSENT_BYTES)
        self._transport = transport
        if self._listener is None:
            self._close()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:  # noqa: ARG002 - picows calls it
        try:
            message = self._pieces.whole(frame)
        except TooBig:
            self._gone("too_much")
            return
        if message is not None and self._listener is not None:
            if self._early is None:
                self._listener.from_model(self, self._decode(message))
            elif len(self._early) < MAX_EARLY:
                self._early.append(self._decode(message))
            else:
                self._gone("too_much")
        elif frame.msg_type == CLOSE:
            self._gone(f"closed {close_code(frame)}")

    def on_ws_disconnected(self, transport: WSTransport) -> None:  # noqa: ARG002 - picows calls it
        self._gone("disconnected")

    def pause_writing(self) -> None:
        self._gone("congested")

    def resume_writing(self) -> None:
        """Do nothing: the socket was closed when writing paused."""

    def _gone(self, reason: str) -> None:
        if self._early is not None:
            self._early_reason = self._early_reason or reason
            return
        listener, self._listener = self._listener, None
        self._close()
        if listener is not None:
            listener.model_gone(self, reason)

    def _close(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.send_close(WSCloseCode.OK)
            transport.disconnect(graceful=transport.underlying_transport.get_write_buffer_size() < UNSENT_BYTES)


#: (wire, listener) -> an open socket.  Raises SessionRefused, Unreachable.
Dial = Callable[[ModelWire, ModelListener], Awaitable[ModelSocket]]


class Dialler:
    """A factory of sockets that uses the deployment's API key, or the planes' own for `hum voice`; neither is ever logged."""

    def __init__(self, settings: MediaSettings) -> None:
        self._settings, self._node_key = settings, home.node_key(settings)

    async def __call__(self, wire: ModelWire, listener: ModelListener) -> ModelSocket:
        """Open a socket.  Raises SessionRefused, Unreachable."""
        settings, socket = self._settings, ModelSocket(listener, wire)
        base_url, key = self._address(wire)
        try:
            async with asyncio.timeout(settings.dial_seconds):
                await ws_connect(
                    lambda: socket,
                    wire.url(base_url),
                    extra_headers=dict(wire.headers(base_url, key)),
                    websocket_handshake_timeout=settings.dial_seconds,
                    max_frame_size=MAX_FRAME_BYTES,
                    enable_auto_ping=True,
                    auto_ping_idle_timeout=settings.model_ping_seconds,
                    auto_ping_reply_timeout=settings.model_ping_seconds,
                    read_buffer_init_size=sockethandover.CLIENT_BUFFER_BYTES,
                    max_redirects=0,  # the key must not go elsewhere
                )
        except asyncio.CancelledError:
            socket.drop()
            raise
        except WSHandshakeError as error:
            status = error.response.status if error.response is not None else 0
            if status in FINAL_HTTP_STATUSES:
                raise SessionRefused(f"handshake answered {int(status)}") from error
            raise Unreachable(f"handshake answered {int(status)}") from error
        except (OSError, TimeoutError) as error:
            socket.drop()
            raise Unreachable(type(error).__name__) from error
        # The library tells of a connection that was lost in the handshake like of a success.
        if not socket.is_connected:
            raise Unreachable("closed in the handshake")
        return socket

    def _address(self, wire: ModelWire) -> tuple[str, str]:
        """Return the URL and the key of the server that has the model."""
        settings = self._settings
        if wire.is_cascade:
            return settings.voice_url, self._node_key.decode()
        return settings.openai_base_url, settings.openai_api_key
