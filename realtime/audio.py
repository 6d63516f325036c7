"""μ-law at 8 kHz: one byte per sample.  Pure."""

import numpy as np

BIAS, CLIP = 132, 32_635  # ITU-T G.711

Samples = np.ndarray[tuple[int], np.dtype[np.int16]]


def _decode_table() -> Samples:
    """Return the G.711 table: a sign bit, three exponent bits, four mantissa bits, all inverted on the wire; bias 132."""
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    magnitude = ((((code & 0x0F) << 3) + 132) << ((code >> 4) & 0x07)) - 132
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


LINEAR = _decode_table()


def decode(ulaw: bytes) -> Samples:
    """Convert μ-law bytes to 16-bit samples."""
    return LINEAR[np.frombuffer(ulaw, dtype=np.uint8)]


def encode(samples: Samples) -> bytes:
    """Convert 16-bit samples to μ-law bytes (ITU-T G.711)."""
    linear = np.clip(samples.astype(np.int32), -CLIP, CLIP)
    sign = np.where(linear < 0, 0x80, 0)
    magnitude = np.abs(linear) + BIAS
    exponent = np.frexp(magnitude.astype(np.float64))[1].astype(np.int32) - 8
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    return bytes((~(sign | (exponent << 4) | mantissa) & 0xFF).astype(np.uint8))
