"""Whole messages out of WebSocket frames: both peers may send a message in pieces (RFC 6455 section 5.4)."""

from collections.abc import Sequence
from struct import Struct

from picows import WSCloseCode, WSFrame, WSMsgType, WSTransport

TEXT, BINARY, CONTINUATION, CLOSE = WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION, WSMsgType.CLOSE
FINAL_TEXT = 0x81
_SHORT, _LONG = Struct(">BBH"), Struct(">BBQ")


class TooBig(Exception):  # noqa: N818 - it says what is wrong
    """A message in pieces is longer than a frame may be."""


class Pieces:
    """The beginning of a message whose end has not come."""

    __slots__ = ("_begun", "_limit")

    def __init__(self, limit: int) -> None:
        self._begun: bytearray | None = None
        self._limit = limit

    def whole(self, frame: WSFrame) -> bytes | None:
        """The message that this frame completes; None for a piece, a stray end and a control frame.  Raises TooBig.

        It is a copy, which costs less than a view of the socket's memory.
        """
        kind = frame.msg_type
        if kind == TEXT or kind == BINARY:  # noqa: PLR1714, SIM109 - every frame comes here
            if frame.fin:
                return frame.get_payload_as_bytes()
            self._begun = bytearray(frame.get_payload_as_bytes())
            return None
        if kind != CONTINUATION or self._begun is None:
            return None
        self._begun += frame.get_payload_as_bytes()
        if len(self._begun) > self._limit:
            raise TooBig
        if not frame.fin:
            return None
        message, self._begun = bytes(self._begun), None
        return message


def send_texts(transport: WSTransport, payloads: Sequence[bytes]) -> None:
    """Whole text messages of a server, in one write: a system call costs more than all that led to it.

    The frames are ours (RFC 6455 section 5.2: final, text, unmasked), since the library writes one at a time.
    """
    if len(payloads) == 1:
        transport.send(TEXT, payloads[0])
    elif not (transport.is_close_frame_sent or transport.is_disconnected):
        parts: list[bytes] = []
        for each in payloads:
            size = len(each)
            parts += (_SHORTEST[size] if size < 126 else _head(size), each)
        transport.underlying_transport.write(b"".join(parts))


_SHORTEST = [bytes((FINAL_TEXT, size)) for size in range(126)]


def _head(size: int) -> bytes:
    return _SHORT.pack(FINAL_TEXT, 126, size) if size < 1 << 16 else _LONG.pack(FINAL_TEXT, 127, size)


def close_code(frame: WSFrame) -> int:
    """A CLOSE frame's code; 1005 when it names none (RFC 6455 section 7.4.1)."""
    return int(frame.get_close_code()) or 1005  # type: ignore[call-overload]  # an int that the stub calls an enum


def answer_close(transport: WSTransport, code: int) -> None:
    """Close our side too, with a code that may travel, and then the connection."""
    if not transport.is_close_frame_sent:
        transport.send_close(WSCloseCode.OK if code == 1005 else code)  # type: ignore[arg-type]  # any int will do
    transport.disconnect()
