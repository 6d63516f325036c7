"""The wire of Twilio Media Streams, bidirectional: typed in, formatted out.

Source: twilio.com/docs/voice/media-streams/websocket-messages.  `sequenceNumber`, `chunk` and `timestamp` travel as
strings; outbound messages are JSON text frames, media payloads base64 mu-law of any length.
"""

import binascii
from collections.abc import Mapping

import msgspec


class WireError(Exception):
    """The carrier sent what its protocol does not allow."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Connected(msgspec.Struct, frozen=True):
    pass


class MediaFormat(msgspec.Struct, frozen=True, rename="camel"):
    encoding: str
    sample_rate: int
    channels: int


class Start(msgspec.Struct, frozen=True, rename="camel"):
    stream_sid: str
    call_sid: str
    media_format: MediaFormat
    custom_parameters: Mapping[str, str] = {}


class Media(msgspec.Struct, frozen=True, gc=False):
    """One frame of caller audio; `timestamp_ms` counts from the start of the stream."""

    payload: bytes  # msgspec reads base64 here
    timestamp_ms: int = msgspec.field(name="timestamp")
    track: str = "inbound"


class Dtmf(msgspec.Struct, frozen=True):
    digit: str


class Mark(msgspec.Struct, frozen=True):
    name: str


class Stop(msgspec.Struct, frozen=True):
    pass


class Unknown(msgspec.Struct, frozen=True):
    event: str


Message = Connected | Start | Media | Dtmf | Mark | Stop | Unknown


class _DtmfBody(msgspec.Struct, frozen=True):
    digit: str


class _MarkBody(msgspec.Struct, frozen=True):
    name: str


class _Envelope(msgspec.Struct, frozen=True):
    event: str
    start: Start | None = None
    media: Media | None = None
    dtmf: _DtmfBody | None = None
    mark: _MarkBody | None = None


_decode = msgspec.json.Decoder(_Envelope, strict=False).decode  # numbers travel as strings
_DIGITS = frozenset("0123456789*#ABCD")
_MAX_TIMESTAMP_MS = 10**12


def decode(payload: bytes) -> Message:
    """One text frame from the carrier.  Raises WireError if it is not what the protocol allows."""
    try:
        envelope = _decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WireError(str(error)) from error
    media = envelope.media
    if media is None or envelope.event != "media":
        return _other(envelope)
    if not 0 <= media.timestamp_ms < _MAX_TIMESTAMP_MS:
        raise WireError("media.timestamp is not a count of milliseconds")
    return media if media.track == "inbound" else Unknown(f"media of track {media.track}")


def _other(envelope: _Envelope) -> Message:
    match envelope.event:
        case "mark" if envelope.mark is not None:
            return Mark(envelope.mark.name)
        case "dtmf" if envelope.dtmf is not None:
            if envelope.dtmf.digit not in _DIGITS:
                raise WireError("dtmf.digit is not a key of a telephone")
            return Dtmf(envelope.dtmf.digit)
        case "start" if envelope.start is not None:
            wanted = MediaFormat("audio/x-mulaw", 8000, 1)
            if envelope.start.media_format != wanted:
                raise WireError("start.mediaFormat is not mono mu-law at 8 kHz")
            return envelope.start
        case "connected":
            return Connected()
        case "stop":
            return Stop()
        case "media" | "mark" | "dtmf" | "start" as event:
            raise WireError(f"{event} has no body")
        case event:
            return Unknown(event)


class Encoder:
    """Outbound messages of one stream: fixed bytes around the payload, no object per frame."""

    __slots__ = ("_mark", "_media", "clear")

    def __init__(self, stream_sid: str) -> None:
        sid = msgspec.json.encode(stream_sid)
        self.clear = b'{"event":"clear","streamSid":' + sid + b"}"
        self._media = b'{"event":"media","streamSid":' + sid + b',"media":{"payload":"'
        self._mark = b'{"event":"mark","streamSid":' + sid + b',"mark":{"name":"'

    def media(self, ulaw: bytes) -> bytes:
        return self._media + binascii.b2a_base64(ulaw, newline=False) + b'"}}'

    def mark(self, name: str) -> bytes:
        """`name` is made by the ledger: plain ASCII that needs no escaping."""
        return self._mark + name.encode("ascii") + b'"}}'
