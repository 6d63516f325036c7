"""The conversion between Opus at 48 kHz on the network and mu-law at 8 kHz in the call.

The encoder gets 8 kHz audio as it is: Opus also encodes narrowband voice, so nothing is computed for samples that the call
does not have.  The decoder's output is filtered and decimated by `Downsampler`, which adds 1 ms of delay.
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
    """The packet is not Opus."""


def ticks_of(packet: bytes) -> int:
    """Return a packet's duration in samples at 48 kHz (RFC 6716, 3.1).  Raises BadPacket."""
    if not packet or len(packet) > MAX_PACKET_BYTES:
        raise BadPacket("the packet is empty or too long for Opus")
    config, code = packet[0] >> 3, packet[0] & 3
    if config < 12:
        frame = (480, 960, 1920, 2880)[config % 4]
    elif config < 16:
        frame = (480, 960)[config % 2]
    else:
        frame = (120, 240, 480, 960)[config % 4]
    if code == 3 and len(packet) < 2:
        raise BadPacket("the packet lacks its frame count")
    count = 1 if code == 0 else 2 if code < 3 else packet[1] & 0x3F
    if not 0 < count * frame <= MAX_PACKET_TICKS:
        raise BadPacket("the packet has no audio, or more than 120 ms")
    return count * frame


class Downsampler:
    """A stateful decimation filter from 48 kHz to 8 kHz, for pieces of any multiple of six samples."""

    def __init__(self) -> None:
        offsets = np.arange(TAPS) - (TAPS - 1) / 2
        taps = np.sinc(offsets / FACTOR * 0.92) * np.kaiser(TAPS, 6.0)
        self._taps: NDArray[np.float32] = (taps / taps.sum()).astype(np.float32)
        self._tail: NDArray[np.float32] = np.zeros(TAPS - FACTOR, np.float32)

    def downsample(self, pcm: bytes) -> bytes:
        """Return a sixth of the samples; both are 16 bits, native-endian."""
        fresh = np.frombuffer(pcm, np.int16).astype(np.float32)
        joined = np.concatenate([self._tail, fresh])
        self._tail = joined[len(joined) - (TAPS - FACTOR) :]
        windows = np.lib.stride_tricks.sliding_window_view(joined, TAPS)[::FACTOR]
        return (windows @ self._taps).clip(-32768, 32767).astype(np.int16).tobytes()


class Decoder:
    """The decoder of one stream's packets, in order, to mu-law."""

    def __init__(self) -> None:
        codec = CodecContext.create("libopus", "r")
        assert isinstance(codec, AudioCodecContext)
        codec.format, codec.layout, codec.sample_rate = "s16", "mono", WIDE_HZ
        self._codec, self._downsampler = codec, Downsampler()

    def decode(self, packet: bytes) -> bytes:
        """Decode a packet to mu-law.  Raises BadPacket."""
        try:
            frames = self._codec.decode(Packet(packet))
        except FFmpegError as error:
            raise BadPacket(str(error)) from error
        wide = b"".join([bytes(memoryview(frame.planes[0])[: 2 * frame.samples]) for frame in frames])
        return from_linear(self._downsampler.downsample(wide))


class OpusEncoder:
    """The encoder of one stream's mu-law frames of 20 ms, to one packet each."""

    def __init__(self) -> None:
        codec = CodecContext.create("libopus", "w")
        assert isinstance(codec, AudioCodecContext)
        codec.format, codec.layout, codec.sample_rate = "s16", "mono", NARROW_HZ
        codec.bit_rate, codec.time_base = BITS_PER_SECOND, Fraction(1, NARROW_HZ)
        codec.options = {"application": "voip", "frame_duration": "20", "compression_level": str(COMPLEXITY)}
        self._codec, self._pts = codec, 0

    def encode(self, ulaw: bytes) -> bytes:
        """Encode 20 ms of mu-law as one packet."""
        frame = AudioFrame(format="s16", layout="mono", samples=FRAME_BYTES)
        frame.sample_rate, frame.pts = NARROW_HZ, self._pts
        frame.planes[0].update(to_linear(ulaw))
        self._pts += FRAME_BYTES
        (packet,) = self._codec.encode(frame)
        return bytes(packet)
