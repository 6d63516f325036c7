"""Opus at 48 kHz on the network, mu-law at 8 kHz in the call.

The encoder takes 8 kHz as it is: Opus carries a narrow voice as well as a wide one, and nothing is computed for samples that
the call does not have.  The decoder's output is filtered down by `Narrower`, which adds 1 ms.
"""

from fractions import Fraction
from typing import Final

import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.codec.context import CodecContext
from av.error import FFmpegError
from av.packet import Packet
from numpy.typing import NDArray

from media.core.audio import FRAME_BYTES, from_linear, to_linear

WIDE_HZ, NARROW_HZ = 48_000, 8_000
FACTOR = WIDE_HZ // NARROW_HZ
#: Samples of the RTP clock in one frame of the call.
FRAME_TICKS: Final = WIDE_HZ // 50
BITS_PER_SECOND = 24_000
#: libopus offers 0 to 10: beyond this, a telephone voice sounds no better.
COMPLEXITY = 5
TAPS = 96
MAX_PACKET_BYTES = 1_500
MAX_PACKET_TICKS = WIDE_HZ * 120 // 1000  # RFC 6716: 120 ms


class BadPacket(ValueError):  # noqa: N818 - it says what is wrong
    """It is no Opus."""


def ticks_of(packet: bytes) -> int:
    """How long a packet lasts, in samples at 48 kHz (RFC 6716, 3.1).  Raises BadPacket."""
    if not packet or len(packet) > MAX_PACKET_BYTES:
        raise BadPacket("a packet of no size that Opus has")
    config, code = packet[0] >> 3, packet[0] & 3
    if config < 12:
        frame = (480, 960, 1920, 2880)[config % 4]
    elif config < 16:
        frame = (480, 960)[config % 2]
    else:
        frame = (120, 240, 480, 960)[config % 4]
    if code == 3 and len(packet) < 2:
        raise BadPacket("a packet that does not say how many frames it has")
    count = 1 if code == 0 else 2 if code < 3 else packet[1] & 0x3F
    if not 0 < count * frame <= MAX_PACKET_TICKS:
        raise BadPacket("a packet longer than Opus has")
    return count * frame


class Downsampler:
    """48 kHz to 8 kHz, in pieces of any multiple of six samples; as many sixths come out."""

    def __init__(self) -> None:
        offsets = np.arange(TAPS) - (TAPS - 1) / 2
        taps = np.sinc(offsets / FACTOR * 0.92) * np.kaiser(TAPS, 6.0)
        self._taps: NDArray[np.float32] = (taps / taps.sum()).astype(np.float32)
        self._tail: NDArray[np.float32] = np.zeros(TAPS - FACTOR, np.float32)

    def downsample(self, pcm: bytes) -> bytes:
        """16-bit native-endian samples."""
        fresh = np.frombuffer(pcm, np.int16).astype(np.float32)
        joined = np.concatenate([self._tail, fresh])
        self._tail = joined[len(joined) - (TAPS - FACTOR) :]
        windows = np.lib.stride_tricks.sliding_window_view(joined, TAPS)[::FACTOR]
        return (windows @ self._taps).clip(-32768, 32767).astype(np.int16).tobytes()


class Decoder:
    """Packets of one stream, in order, to mu-law."""

    def __init__(self) -> None:
        codec = CodecContext.create("libopus", "r")
        assert isinstance(codec, AudioCodecContext)
        codec.format, codec.layout, codec.sample_rate = "s16", "mono", WIDE_HZ
        self._codec, self._downsampler = codec, Downsampler()

    def decode(self, packet: bytes) -> bytes:
        """Raises BadPacket."""
        try:
            frames = self._codec.decode(Packet(packet))
        except FFmpegError as error:
            raise BadPacket(str(error)) from error
        wide = b"".join([bytes(memoryview(frame.planes[0])[: 2 * frame.samples]) for frame in frames])
        return from_linear(self._downsampler.downsample(wide))


class Encoder:
    """20 ms of mu-law after another to one packet each."""

    def __init__(self) -> None:
        codec = CodecContext.create("libopus", "w")
        assert isinstance(codec, AudioCodecContext)
        codec.format, codec.layout, codec.sample_rate = "s16", "mono", NARROW_HZ
        codec.bit_rate, codec.time_base = BITS_PER_SECOND, Fraction(1, NARROW_HZ)
        codec.options = {"application": "voip", "frame_duration": "20", "compression_level": str(COMPLEXITY)}
        self._codec, self._pts = codec, 0

    def encode(self, ulaw: bytes) -> bytes:
        frame = AudioFrame(format="s16", layout="mono", samples=FRAME_BYTES)
        frame.sample_rate, frame.pts = NARROW_HZ, self._pts
        frame.planes[0].update(to_linear(ulaw))
        self._pts += FRAME_BYTES
        (packet,) = self._codec.encode(frame)
        return bytes(packet)
