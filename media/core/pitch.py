"""The pitch of a voice, from 40 ms of sound."""

from typing import Final

import numpy as np

SHORTEST: Final = 20
LONGEST: Final = 114  # samples at 8 kHz: 400 to 70 Hz
PERIODIC: Final = 0.8  # correlation of two periods, 0 to 1: below this there is no pitch
NEARLY: Final = 0.92  # of the best correlation: such a peak is at a multiple of the same period
FRAME: Final = 160
_FIRST: Final = FRAME - LONGEST - 1
_LAST: Final = FRAME - SHORTEST + 1  # where the period before begins; one more on either side


def period(pcm: bytes) -> float:
    """The pitch period of the newest 20 ms in samples; 0.0 if they have no pitch.

    `pcm` is 40 ms of 16-bit PCM at 8 kHz.  Uses the normalized cross-correlation of the newer half with what lies one
    period before it (as in Talkin's RAPT).  Of the multiples of a period, which all correlate, it takes the shortest,
    and interpolates between samples with a parabola.
    """
    sound = np.frombuffer(pcm, np.int16).astype(np.float64)
    energy = np.zeros(2 * FRAME + 1)  # cumulative, up to each sample
    np.cumsum(sound * sound, out=energy[1:])
    before = energy[_FIRST + FRAME : _LAST + FRAME + 1] - energy[_FIRST : _LAST + 1] + 1.0
    alike = np.correlate(sound[_FIRST : _LAST + FRAME], sound[FRAME:], "valid")
    alike /= np.sqrt(before * (energy[-1] - energy[FRAME] + 1.0))
    inner = alike[1:-1]
    best = float(inner.max())
    if best < PERIODIC:
        return 0.0
    peaks = np.flatnonzero((inner >= NEARLY * best) & (inner >= alike[:-2]) & (inner >= alike[2:]))
    if not len(peaks):
        return 0.0  # a frequency so low that there is no peak, only a slope
    at = 1 + int(peaks[-1])
    left, middle, right = float(alike[at - 1]), float(alike[at]), float(alike[at + 1])
    curve = left - 2 * middle + right
    off = 0.5 * (left - right) / curve if curve < 0 else 0.0
    return FRAME - _FIRST - at - max(-1.0, min(1.0, off))
