"""G.711 mu-law at 8 kHz: one byte per sample, 8 bytes per ms, 160 bytes per 20 ms frame."""

import math
import warnings
from typing import Final

with warnings.catch_warnings():
    # Removed from the standard library in 3.13, where `audioop-lts` provides it under the same name.
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop

BYTES_PER_MS: Final = 8
FRAME_MS: Final = 20
FRAME_BYTES: Final = FRAME_MS * BYTES_PER_MS
SILENCE_BYTE: Final = b"\xff"  # mu-law for 0
SILENT_DB: Final = -96.0

_FULL_SCALE: Final = 32768.0
# Compiled code looks up a module's function each time, but not what is Final.
_ulaw2lin: Final = audioop.ulaw2lin
_rms: Final = audioop.rms
_cross: Final = audioop.cross
_log10: Final = math.log10


def to_linear(ulaw: bytes) -> bytes:
    """Convert mu-law to 16-bit native-endian PCM, two bytes per sample."""
    return _ulaw2lin(ulaw, 2)


def from_linear(pcm: bytes) -> bytes:
    """Convert 16-bit native-endian PCM to mu-law."""
    return audioop.lin2ulaw(pcm, 2)


def pcm_level_db(pcm: bytes) -> float:
    """Return the RMS level of 16-bit PCM in dBFS; SILENT_DB for digital silence and for empty input."""
    rms = _rms(pcm, 2)
    return 20.0 * _log10(rms / _FULL_SCALE) if rms else SILENT_DB


def crossings(pcm: bytes) -> int:
    """Count the changes of sign in 16-bit PCM."""
    return _cross(pcm, 2)


def level_db(ulaw: bytes) -> float:
    """Return the RMS level of mu-law audio in dBFS."""
    return pcm_level_db(_ulaw2lin(ulaw, 2))


def fade(ulaw: bytes, factor: float) -> bytes:
    """Scale mu-law audio by this factor."""
    return audioop.lin2ulaw(audioop.mul(audioop.ulaw2lin(ulaw, 2), 2, factor), 2)


def silence(ms: int) -> bytes:
    return SILENCE_BYTE * (ms * BYTES_PER_MS)


def to_ms(size: int) -> int:
    """Return the whole milliseconds in `size` bytes, rounded down."""
    return size // BYTES_PER_MS


def interleave(left: bytes, right: bytes) -> bytes:
    """Interleave two mono mu-law channels as stereo; the shorter one is padded with silence."""
    size = max(len(left), len(right))
    both = bytearray(2 * size)
    both[0::2] = left.ljust(size, SILENCE_BYTE)
    both[1::2] = right.ljust(size, SILENCE_BYTE)
    return bytes(both)
