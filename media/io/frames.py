"""WebSocket messages from fragments, which both peers may send (RFC 6455 section 5.4), and to frames in one write."""

from collections.abc import Sequence
from struct import Struct
from typing import Final, Protocol

from picows import WSCloseCode, WSFrame, WSMsgType, WSTransport

# Compiled code looks up a module's names at each use, except those that are Final.
TEXT: Final = WSMsgType.TEXT
BINARY: Final = WSMsgType.BINARY
CONTINUATION: Final = WSMsgType.CONTINUATION
CLOSE: Final = WSMsgType.CLOSE
FINAL_TEXT: Final = 0x81
_SHORT: Final = Struct(">BBH")
_LONG: Final = Struct(">BBQ")


class TooBig(Exception):  # noqa: N818 - it says what is wrong
    """A fragmented message is longer than a single frame may be."""


class Frame(Protocol):
    """A WSFrame with its true types: its stub declares `fin` as a bool, which compiled code would enforce."""

    @property
    def fin(self) -> int: ...
    @property
    def msg_type(self) -> WSMsgType: ...
    def get_payload_as_bytes(self) -> bytes: ...


class Pieces:
    """The fragments of an incomplete message."""

    __slots__ = ("_begun", "_limit")

    def __init__(self, limit: int) -> None:
        self._begun: bytearray | None = None
        self._limit = limit

    @property
    def empty(self) -> bool:
        """Whether no message is incomplete."""
        return self._begun is None

    def whole(self, frame: Frame) -> bytes | None:
        """Return the message that this frame completes; None for a fragment, a stray continuation or a control frame.

        Raises TooBig.  The message is a copy, which costs less than a view of the socket's memory.
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
    """Send a server's text messages in one write: a system call costs more than all the work before it.

    The frames are built here (RFC 6455 section 5.2: final, text, unmasked), since the library writes one at a time.
    """
    if len(payloads) == 1:
        transport.send(TEXT, payloads[0])
    elif not (transport.is_close_frame_sent or transport.is_disconnected):
        parts: list[bytes] = []
        for payload in payloads:
            size = len(payload)
            parts += (_SHORTEST[size] if size < 126 else _head(size), payload)
        transport.underlying_transport.write(b"".join(parts))


_SHORTEST: Final = [bytes((FINAL_TEXT, size)) for size in range(126)]


def _head(size: int) -> bytes:
    return _SHORT.pack(FINAL_TEXT, 126, size) if size < 1 << 16 else _LONG.pack(FINAL_TEXT, 127, size)


def close_code(frame: WSFrame) -> int:
    """Return a CLOSE frame's code, or 1005 if it has none (RFC 6455 section 7.4.1)."""
    return int(frame.get_close_code()) or 1005  # type: ignore[call-overload]  # an int that the stub calls an enum


def answer_close(transport: WSTransport, code: int) -> None:
    """Answer a CLOSE frame, with 1000 if `code` is the reserved 1005, and disconnect."""
    if not transport.is_close_frame_sent:
        transport.send_close(WSCloseCode.OK if code == 1005 else code)  # type: ignore[arg-type]  # any int will do
    transport.disconnect()
