"""Beginnings of words without a voice: with a noise of breath, or with an s, which hisses."""

import math
from typing import Final

import numpy as np

from media.core.audio import FRAME_BYTES, crossings

#: Least share of samples that change the sign in noise of breath.  Nearly every voice has fewer, and a cough too.
CROSSED: Final = 0.35
#: Of 50 Hz each: 2 kHz, the middle of the line's band.
HIGH_BIN: Final = 40
#: Share of the energy of white noise above that.
EVEN: Final = 0.5
LEAST: Final = 0.55
#: Geometric over arithmetic mean of the power above 2 kHz.  Of noise it is 0.3 to 0.7, of an s 0.1 to 0.5, of a sharp one, all of
#: which is above 3 kHz, 0.06 to 0.1; of tones below 0.002, of three of them in noise that is 15 dB weaker about 0.04.
FLATNESS: Final = 0.06
#: Over how many of the 41 bins above 2 kHz the power is spread (its sum squared over the sum of its squares).  Of noise it is
#: about 20, of an s 4 to 19; of a tone 2, however much noise there is, of three tones 6.
SPREAD: Final = 4.0
#: Product of the two: of three tones it is 0.24, of a sharp s with one of them low 0.44 and more.
FLAT_AND_SPREAD: Final = 0.4
_WINDOW: Final = np.hanning(FRAME_BYTES)


def breath(pcm: bytes) -> bool:
    """Return whether most of the sound is above 1.4 kHz, like breath: an s, f or h, or after a t.  Cheaper than `hiss`.

    `pcm` is 20 ms of 16-bit PCM at 8 kHz.
    """
    return crossings(pcm) >= CROSSED * FRAME_BYTES


def hiss(pcm: bytes) -> float:
    """Return the share of its energy above 2 kHz beyond that of white noise, 0 to 0.5; 0.0 if it does not hiss.

    `pcm` is 20 ms of 16-bit PCM at 8 kHz.
    """
    if not breath(pcm):
        return 0.0
    spectrum = np.fft.rfft(np.frombuffer(pcm, np.int16) * _WINDOW)
    power = spectrum.real**2 + spectrum.imag**2 + 1.0
    high = power[HIGH_BIN:]
    mean = float(high.mean())
    loud = mean * len(high)
    share = loud / float(power.sum())
    spread = loud * loud / float(high @ high)
    if share < LEAST or spread < SPREAD:
        return 0.0
    flatness = math.exp(float(np.log(high).mean())) / mean
    return share - EVEN if flatness >= max(FLATNESS, FLAT_AND_SPREAD / spread) else 0.0
