"""The tone after which a mailbox listens."""

import math
from typing import Final

from media.core.audio import BYTES_PER_MS, from_linear

BEEP_HZ, BEEP_MS, RAMP_MS = 1_000, 400, 10
#: -12 dBFS: audible on any line, and not startling.
PEAK: Final = 8_000


def beep() -> bytes:
    """Return a sine in mu-law, without a click at either end."""
    size, ramp, rate_hz = BEEP_MS * BYTES_PER_MS, RAMP_MS * BYTES_PER_MS, BYTES_PER_MS * 1_000
    pcm = bytearray()
    for at in range(size):
        gain = min(1.0, at / ramp, (size - at) / ramp)
        sample = round(PEAK * gain * math.sin(2 * math.pi * BEEP_HZ * at / rate_hz))
        pcm += sample.to_bytes(2, "little", signed=True)
    return from_linear(bytes(pcm))
