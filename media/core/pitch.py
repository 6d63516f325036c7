"""The pitch of a voice, or of a tone, from 60 ms of sound."""

from typing import Final

import numpy as np

SHORTEST: Final = 20
#: Samples at 8 kHz: 400 to 48 Hz.  No voice is so deep, but the mains hum at 50 and 60 Hz, and a hum is a tone.
LONGEST: Final = 166
#: Correlation of two periods, 0 to 1: below this there is no pitch.
PERIODIC: Final = 0.8
#: Of the best correlation: a peak above this is at a multiple of the same period.
NEARLY: Final = 0.92
FRAME: Final = 160
FRAMES: Final = 3  # the newest, and a period before it
_SIZE: Final = FRAMES * FRAME
_NEWEST: Final = _SIZE - FRAME  # where the newest frame begins
_FIRST: Final = _NEWEST - LONGEST - 1
#: Where the period before begins; one more on either side.
_LAST: Final = _NEWEST - SHORTEST + 1


def period(pcm: bytes) -> float:
    """Return the pitch period of the newest 20 ms in samples; 0.0 if they have no pitch.

    `pcm` is 60 ms of 16-bit PCM at 8 kHz.  Uses the normalized cross-correlation of the newest third with what lies one
    period before it (as in Talkin's RAPT).  Of the multiples of a period, which all correlate, it takes the shortest,
    and interpolates between samples with a parabola.
    """
    sound = np.frombuffer(pcm, np.int16).astype(np.float64)
    energy = np.zeros(_SIZE + 1)  # cumulative, up to each sample
    np.cumsum(sound * sound, out=energy[1:])
    before = energy[_FIRST + FRAME : _LAST + FRAME + 1] - energy[_FIRST : _LAST + 1] + 1.0
    alike = np.correlate(sound[_FIRST : _LAST + FRAME], sound[_NEWEST:], "valid")
    alike /= np.sqrt(before * (energy[-1] - energy[_NEWEST] + 1.0))
    inner = alike[1:-1]
    best = float(np.max(inner))
    if best < PERIODIC:
        return 0.0
    peaks = np.flatnonzero((inner >= NEARLY * best) & (inner >= alike[:-2]) & (inner >= alike[2:]))
    if not len(peaks):
        # A frequency so low that there is no peak, only a slope.
        return 0.0
    at = 1 + int(peaks[-1])
    left, middle, right = float(alike[at - 1]), float(alike[at]), float(alike[at + 1])
    curve = left - 2 * middle + right
    off = 0.5 * (left - right) / curve if curve < 0 else 0.0
    return _NEWEST - _FIRST - at - max(-1.0, min(1.0, off))
