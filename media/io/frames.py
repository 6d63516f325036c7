"""Whole messages out of WebSocket frames: both peers may send a message in pieces (RFC 6455 section 5.4)."""

from picows import WSCloseCode, WSFrame, WSMsgType, WSTransport

TEXT, BINARY, CONTINUATION, CLOSE = WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION, WSMsgType.CLOSE


class TooBig(Exception):  # noqa: N818 - it says what is wrong
    """A message in pieces is longer than a frame may be."""


class Pieces:
    """The beginning of a message whose end has not come."""

    __slots__ = ("_begun", "_limit")

    def __init__(self, limit: int) -> None:
        self._begun: bytearray | None = None
        self._limit = limit

    def whole(self, frame: WSFrame) -> bytes | memoryview | None:
        """The message that this frame completes; None for a piece, a stray end and a control frame.

        The memory is the socket's own and good until the callback returns.  Raises TooBig.
        """
        kind = frame.msg_type
        if kind in (TEXT, BINARY):
            if frame.fin:
                return frame.get_payload_as_memoryview()
            self._begun = bytearray(frame.get_payload_as_memoryview())
            return None
        if kind != CONTINUATION or self._begun is None:
            return None
        self._begun += frame.get_payload_as_memoryview()
        if len(self._begun) > self._limit:
            raise TooBig
        if not frame.fin:
            return None
        message, self._begun = bytes(self._begun), None
        return message


def close_code(frame: WSFrame) -> int:
    """A CLOSE frame's code; 1005 when it names none (RFC 6455 section 7.4.1)."""
    return int(frame.get_close_code()) or 1005  # type: ignore[call-overload]  # an int that the stub calls an enum


def answer_close(transport: WSTransport, code: int) -> None:
    """Close our side too, with a code that may travel, and then the connection."""
    if not transport.is_close_frame_sent:
        transport.send_close(WSCloseCode.OK if code == 1005 else code)  # type: ignore[arg-type]  # any int will do
    transport.disconnect()
