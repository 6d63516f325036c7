"""The messages of Twilio's Media Streams, with the fields that we read.

They are in a module of their own, which is not compiled: msgspec reads annotations, which compiled classes do not keep.
"""

from collections.abc import Mapping

import msgspec

from media.core.legmessages import Audio


class MediaFormat(msgspec.Struct, frozen=True, rename="camel"):
    encoding: str
    sample_rate: int
    channels: int


class Start(msgspec.Struct, frozen=True, rename="camel"):
    stream_sid: str
    call_sid: str
    media_format: MediaFormat
    custom_parameters: Mapping[str, str] = {}


class Media(Audio, frozen=True, gc=False):
    """A media message, decoded straight into the leg's event: no second object per frame.  msgspec decodes base64 into bytes."""

    at_ms: int = msgspec.field(name="timestamp")
    track: str = "inbound"


class Dtmf(msgspec.Struct, frozen=True):
    digit: str


class Mark(msgspec.Struct, frozen=True):
    name: str


class Envelope(msgspec.Struct, frozen=True):
    event: str
    start: Start | None = None
    media: Media | None = None
    dtmf: Dtmf | None = None
    mark: Mark | None = None


#: Numbers are sent as strings.
decode_envelope = msgspec.json.Decoder(Envelope, strict=False).decode
