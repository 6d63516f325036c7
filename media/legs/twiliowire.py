"""The wire format of Twilio's Media Streams; compiled (media/native.py), since it handles every frame of a call.

Source: twilio.com/docs/voice/media-streams/websocket-messages.  `sequenceNumber`, `chunk` and `timestamp` are sent as
strings; outbound messages are JSON text frames, media payloads base64 mu-law of any length.
"""

import binascii
from collections.abc import Sequence
from typing import Final

import msgspec

from media.core.legmessages import Broken, Digit, LegEvent, Mark, Play, Started, Stopped, ToLeg
from media.io.frames import Frame, Pieces
from media.legs.twiliostructs import Envelope, MediaFormat, decode_envelope
from media.shell import Shell

_decode: Final = decode_envelope
_base64: Final = binascii.b2a_base64
_MULAW: Final = MediaFormat("audio/x-mulaw", 8000, 1)
_KEYS: Final = frozenset("0123456789*#ABCD")
_MAX_TIMESTAMP_MS: Final = 10**12
_MAX_MARK_DIGITS: Final = 15


def decode(payload: bytes) -> LegEvent | None:
    """Decode a text frame from the carrier; return None for messages that a call ignores, Broken for protocol violations."""
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


def _other(envelope: Envelope) -> LegEvent | None:
    match envelope.event:
        case "mark" if envelope.mark is not None:
            name = envelope.mark.name  # ours are numbers; ignore others
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


class MessageEncoder:
    """The encoder of one stream's outbound messages: constant bytes around the payload."""

    __slots__ = ("_clear", "_mark", "_media", "stream_sid")

    def __init__(self, stream_sid: str) -> None:
        self.stream_sid = stream_sid
        sid = msgspec.json.encode(stream_sid)
        self._clear = b'{"event":"clear","streamSid":' + sid + b"}"
        self._media = b'{"event":"media","streamSid":' + sid + b',"media":{"payload":"'
        self._mark = b'{"event":"mark","streamSid":' + sid + b',"mark":{"name":"'

    def encode(self, actions: Sequence[ToLeg]) -> list[bytes]:
        """Return one text frame per action."""
        frames: list[bytes] = []
        for action in actions:
            if type(action) is Mark:
                frames.append(self._mark + b'%d"}}' % action.number)
            elif type(action) is Play:
                frames.append(self._media + _base64(action.audio, newline=False) + b'"}}')
            else:
                frames.append(self._clear)
        return frames


class Inbox:
    """The decoder of one stream's messages, which passes them to the call."""

    __slots__ = ("_pieces", "_shell", "encoder")

    def __init__(self, shell: Shell, max_bytes: int) -> None:
        self.encoder: MessageEncoder | None = None  # set by `start`
        self._shell, self._pieces = shell, Pieces(max_bytes)

    @property
    def empty(self) -> bool:
        """Whether no message is incomplete."""
        return self._pieces.empty

    def take(self, frame: Frame) -> bool:
        """Pass the call the message that this frame completes; return False if it completes none.  Raises TooBig."""
        message = self._pieces.whole(frame)
        if message is None:
            return False
        event = decode(message)
        if self.encoder is None and isinstance(event, Started):
            self.encoder = MessageEncoder(event.stream_id)
        self._shell.from_leg(event)
        return True
