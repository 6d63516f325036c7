"""The header of a WAV file: 16-bit PCM, 8 kHz; two channels unless it says otherwise."""

import struct

HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
RATE, CHANNELS, SAMPLE_BYTES = 8_000, 2, 2
BLOCK = CHANNELS * SAMPLE_BYTES
#: Bytes of audio per millisecond.
BYTES_PER_MS = RATE * BLOCK // 1000
#: The size in the header of an endless file, which streaming players accept.
ENDLESS = 2**32 - 1


def header(data_bytes: int, channels: int = CHANNELS) -> bytes:
    """Return the 44 bytes before `data_bytes` of audio (WAVE_FORMAT_PCM)."""
    block = channels * SAMPLE_BYTES
    fmt = (16, 1, channels, RATE, RATE * block, block, 8 * SAMPLE_BYTES)
    riff_bytes = min(ENDLESS, 36 + data_bytes)
    return HEADER.pack(b"RIFF", riff_bytes, b"WAVE", b"fmt ", *fmt, b"data", data_bytes)
