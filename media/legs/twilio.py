"""Twilio Media Streams, bidirectional: authentication, socket and wire format.  The only module here that knows Twilio.

Source: twilio.com/docs/voice/media-streams/websocket-messages.  `sequenceNumber`, `chunk` and `timestamp` are sent as
strings; outbound messages are JSON text frames, media payloads base64 mu-law of any length.
"""

import binascii
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec
from picows import WSCloseCode, WSFrame, WSListener, WSTransport, WSUpgradeRequest

from hum import carrier
from hum.settings import MediaSettings
from media.core.leg import Audio, Broken, Digit, LegEvent, Mark, Play, Started, Stopped, ToLeg
from media.io.frames import CLOSE, Pieces, TooBig, answer_close, close_code, send_texts
from media.shell import Closing, Leg, Shell

PATH = "/media/twilio"
CLOSE_CODES: Mapping[Closing, int] = {
    Closing.NORMAL: 1000,
    Closing.PROTOCOL: 1002,
    Closing.REFUSED: 1008,
    Closing.FAULT: 1011,
    Closing.BUSY: 1013,
}
#: Close codes that the WebSocket library sends by itself -> what the carrier did wrong.
FAULTS: Mapping[WSCloseCode, str] = {
    WSCloseCode.PROTOCOL_ERROR: "the WebSocket protocol was violated",
    WSCloseCode.INVALID_TEXT: "a text frame is not UTF-8",
    WSCloseCode.MESSAGE_TOO_BIG: "a message is too big",
}


# The wire format.


class MediaFormat(msgspec.Struct, frozen=True, rename="camel"):
    encoding: str
    sample_rate: int
    channels: int


class _Start(msgspec.Struct, frozen=True, rename="camel"):
    stream_sid: str
    call_sid: str
    media_format: MediaFormat
    custom_parameters: Mapping[str, str] = {}


class _Media(Audio, frozen=True, gc=False):
    """Decoded straight into the leg's event: no second object for each frame.  msgspec reads base64 into bytes."""

    at_ms: int = msgspec.field(name="timestamp")
    track: str = "inbound"


class _Dtmf(msgspec.Struct, frozen=True):
    digit: str


class _Mark(msgspec.Struct, frozen=True):
    name: str


class _Envelope(msgspec.Struct, frozen=True):
    event: str
    start: _Start | None = None
    media: _Media | None = None
    dtmf: _Dtmf | None = None
    mark: _Mark | None = None


_decode = msgspec.json.Decoder(_Envelope, strict=False).decode  # numbers are sent as strings
_MULAW = MediaFormat("audio/x-mulaw", 8000, 1)
_KEYS = frozenset("0123456789*#ABCD")
_MAX_TIMESTAMP_MS = 10**12
_MAX_MARK_DIGITS = 15


def decode(payload: bytes) -> LegEvent | None:
    """One text frame from the carrier; None for messages that a call ignores, Broken for protocol violations."""
    try:
        envelope = _decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Broken(str(error))
    media = envelope.media
    if media is None or envelope.event != "media":
        return _other(envelope)
    if not 0 <= media.at_ms < _MAX_TIMESTAMP_MS:
        return Broken("media.timestamp is not a count of milliseconds")
    return media if media.track == "inbound" else None


def _other(envelope: _Envelope) -> LegEvent | None:
    match envelope.event:
        case "mark" if envelope.mark is not None:
            name = envelope.mark.name  # our marks are numbers; ignore any other
            ours = name.isascii() and name.isdecimal() and len(name) <= _MAX_MARK_DIGITS
            return Mark(int(name)) if ours else None
        case "dtmf" if envelope.dtmf is not None:
            key = envelope.dtmf.digit
            return Digit(key) if key in _KEYS else Broken("dtmf.digit is not a key of a telephone")
        case "start" if envelope.start is not None:
            start = envelope.start
            if start.media_format != _MULAW:
                return Broken("start.mediaFormat is not mono mu-law at 8 kHz")
            return Started(start.stream_sid, start.call_sid, start.custom_parameters)
        case "stop":
            return Stopped()
        case "media" | "mark" | "dtmf" | "start" as event:
            return Broken(f"{event} has no body")
        case _:
            return None


class Encoder:
    """Encodes one stream's outbound messages: constant bytes around the payload."""

    __slots__ = ("_clear", "_mark", "_media")

    def __init__(self, stream_sid: str) -> None:
        sid = msgspec.json.encode(stream_sid)
        self._clear = b'{"event":"clear","streamSid":' + sid + b"}"
        self._media = b'{"event":"media","streamSid":' + sid + b',"media":{"payload":"'
        self._mark = b'{"event":"mark","streamSid":' + sid + b',"mark":{"name":"'

    def encode(self, actions: Sequence[ToLeg]) -> list[bytes]:
        """One text frame per action."""
        frames: list[bytes] = []
        for action in actions:
            if isinstance(action, Mark):
                frames.append(self._mark + b'%d"}}' % action.number)
            elif isinstance(action, Play):
                frames.append(self._media + binascii.b2a_base64(action.audio, newline=False) + b'"}}')
            else:
                frames.append(self._clear)
        return frames


# Authentication, and the socket.


def is_signed(request: WSUpgradeRequest, settings: MediaSettings) -> bool:
    """Whether the upgrade request is signed by the carrier."""
    signature = request.headers.get("X-Twilio-Signature", "")
    return carrier.is_signed(settings.twilio_auth_tokens, settings.media_url + PATH, (), signature)


class Opened(Protocol):
    """Called when a socket is open."""

    def __call__(self, leg: Leg, descriptor: int) -> Shell: ...


class TwilioLeg(WSListener):
    """The carrier's side of one call."""

    def __init__(self, opened: Opened, settings: MediaSettings) -> None:
        self._opened = opened
        self._pieces = Pieces(settings.max_frame_bytes)
        self._max_unsent_bytes = settings.max_unsent_bytes
        self._transport: WSTransport | None = None
        self._shell: Shell | None = None
        self._encoder: Encoder | None = None
        self._fault = ""

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        connection = transport.underlying_transport
        connection.set_write_buffer_limits(high=self._max_unsent_bytes)
        self._shell = self._opened(self, connection.get_extra_info("socket").fileno())

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        shell = self._shell
        assert shell is not None, "made when the socket opened"
        try:
            message = self._pieces.whole(frame)
        except TooBig:
            self._fault = FAULTS[WSCloseCode.MESSAGE_TOO_BIG]
            transport.send_close(WSCloseCode.MESSAGE_TOO_BIG)
            transport.disconnect()
            return
        if message is not None:
            event = decode(message)
            if self._encoder is None and isinstance(event, Started):
                self._encoder = Encoder(event.stream_id)
            shell.from_leg(event)
        elif frame.msg_type == CLOSE:
            answer_close(transport, close_code(frame))

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        shell = self._shell
        assert shell is not None, "made when the socket opened"
        sent = transport.close_handshake.sent if transport.close_handshake is not None else None
        fault = self._fault or (FAULTS.get(sent.code, "") if sent is not None else "")
        shell.leg_gone(fault)

    def pause_writing(self) -> None:
        """The peer does not read: more is unsent than any call has to say (an answer to each of its pings, for example)."""
        if self._transport is not None:
            self._fault = "it does not read what it is sent"
            self._transport.send_close(WSCloseCode.POLICY_VIOLATION)  # nothing is queued after a close frame
            self._transport.disconnect(graceful=False)

    def resume_writing(self) -> None:
        pass  # it is closed

    # The `Leg` protocol, called by the shell.

    def send(self, actions: Sequence[ToLeg]) -> None:
        transport, encoder = self._transport, self._encoder
        assert transport is not None and encoder is not None, "a call speaks only after its start"
        send_texts(transport, encoder.encode(actions))

    def close(self, closing: Closing) -> None:
        if self._transport is not None:
            self._transport.send_close(WSCloseCode(CLOSE_CODES[closing]))

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.disconnect(graceful=False)
