"""The leg of Twilio's bidirectional Media Streams: authentication and socket.  Only this module and `twiliowire` know Twilio."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from picows import WSCloseCode, WSFrame, WSListener, WSTransport, WSUpgradeRequest

from hum import twiliosignature
from hum.settings import MediaSettings
from media.core.legmessages import ToLeg
from media.io import sockethandover
from media.io.frames import BINARY, CLOSE, CONTINUATION, TEXT, TooBig, answer_close, close_code, send_texts
from media.leg import Closing, Leg
from media.legs.twiliowire import Inbox, MessageEncoder
from media.shell import Shell

#: Bytes buffered for a carrier that does not read; above this, the stream is closed.
MAX_UNSENT_BYTES = 256 << 10

PATH = "/media/twilio"
CLOSE_CODES: Mapping[Closing, int] = {
    Closing.NORMAL: 1000,
    Closing.PROTOCOL: 1002,
    Closing.REFUSED: 1008,
    Closing.FAULT: 1011,
    Closing.BUSY: 1013,
}
#: The close codes below 3000 that a peer may send: the others are reserved (RFC 6455, section 7.4, and the registry that it founds).
SENT_CLOSE_CODES = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})
DATA = frozenset({TEXT, BINARY, CONTINUATION})
#: Close codes that the WebSocket library sends by itself -> the carrier's violation.
FAULTS: Mapping[WSCloseCode, str] = {
    WSCloseCode.PROTOCOL_ERROR: "the WebSocket protocol was violated",
    WSCloseCode.INVALID_TEXT: "a text frame is not UTF-8",
    WSCloseCode.MESSAGE_TOO_BIG: "a message is too big",
}


def is_violation(frame: WSFrame, *, in_message: bool) -> bool:
    """Return whether the protocol forbids a frame that the library passes on (RFC 6455, sections 5.2, 5.4 and 7.4).

    `in_message`: fragments of a message have come, and it goes on.
    """
    # No extension is negotiated that gives these bits a meaning.
    if frame.rsv1 or frame.rsv2 or frame.rsv3:
        return True
    if (kind := frame.msg_type) == CLOSE:
        code = close_code(frame)
        return frame.payload_size > 0 and not (code in SENT_CLOSE_CODES or 3000 <= code <= 4999)
    return kind in DATA and (kind == CONTINUATION) is not in_message


# Authentication, and the socket.


def is_signed(request: WSUpgradeRequest, settings: MediaSettings) -> bool:
    """Return whether the carrier has signed the upgrade request."""
    signature = request.headers.get("X-Twilio-Signature", "")
    return twiliosignature.is_signed(settings.twilio_auth_tokens, settings.media_url + PATH, (), signature)


class Opened(Protocol):
    """A callback for open sockets."""

    def __call__(self, leg: Leg, descriptor: int) -> Shell:
        """Return the shell for a connected leg."""
        ...


class TwilioLeg(WSListener):
    """The carrier's side of one call."""

    def __init__(self, opened: Opened, settings: MediaSettings) -> None:
        self._opened = opened
        self._max_frame_bytes, self._max_unsent_bytes = settings.max_frame_bytes, MAX_UNSENT_BYTES
        self._transport: WSTransport | None = None
        self._shell: Shell | None = None
        self._inbox: Inbox | None = None
        self._fault = ""

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        connection = transport.underlying_transport
        connection.set_write_buffer_limits(high=self._max_unsent_bytes)
        self._shell = self._opened(self, connection.get_extra_info("socket").fileno())
        self._inbox = Inbox(self._shell, self._max_frame_bytes)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        inbox = self._inbox
        assert inbox is not None, "made when the socket opened"
        if is_violation(frame, in_message=not inbox.empty):
            self._end(transport, WSCloseCode.PROTOCOL_ERROR)
            return
        try:
            if inbox.take(frame):
                return
        except TooBig:
            self._end(transport, WSCloseCode.MESSAGE_TOO_BIG)
            return
        if frame.msg_type == CLOSE:
            answer_close(transport, close_code(frame))

    def _end(self, transport: WSTransport, code: WSCloseCode) -> None:
        self._fault = FAULTS[code]
        transport.send_close(code)
        transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        shell = self._shell
        assert shell is not None, "made when the socket opened"
        sent = transport.close_handshake.sent if transport.close_handshake is not None else None
        fault = self._fault or (FAULTS.get(sent.code, "") if sent is not None else "")
        shell.leg_gone(fault)

    def pause_writing(self) -> None:
        """Disconnect a peer that does not read: more is unsent than any call sends (answers to its pings, for example)."""
        if self._transport is not None:
            self._fault = "it does not read what it is sent"
            # After a close frame, the library queues nothing more.
            self._transport.send_close(WSCloseCode.POLICY_VIOLATION)
            self._transport.disconnect(graceful=False)

    def resume_writing(self) -> None:
        """Do nothing: the connection was closed when writing paused."""

    # From one process to another.

    @property
    def idle(self) -> WSTransport | None:
        """The connection if it is between two messages in both directions, else None."""
        transport, inbox = self._transport, self._inbox
        if transport is None or inbox is None or inbox.encoder is None or not inbox.empty:
            return None
        return transport if sockethandover.is_idle(transport) else None

    @property
    def stream_id(self) -> str:
        """The carrier's id of the stream; empty until it has started."""
        return self._inbox.encoder.stream_sid if self._inbox is not None and self._inbox.encoder is not None else ""

    def resume(self, stream_id: str) -> None:
        """Continue a stream that has started in another process."""
        assert self._inbox is not None, "made when the socket opened"
        self._inbox.encoder = MessageEncoder(stream_id)

    # The `Leg` protocol, called by the shell.

    def send(self, actions: Sequence[ToLeg]) -> None:
        """See `Leg`."""
        transport, inbox = self._transport, self._inbox
        assert transport is not None and inbox is not None and inbox.encoder is not None, "a call sends after its start"
        send_texts(transport, inbox.encoder.encode(actions))

    def close(self, closing: Closing) -> None:
        """Send a close frame."""
        if self._transport is not None:
            self._transport.send_close(WSCloseCode(CLOSE_CODES[closing]))

    def abort(self) -> None:
        """Disconnect at once."""
        if self._transport is not None:
            self._transport.disconnect(graceful=False)
