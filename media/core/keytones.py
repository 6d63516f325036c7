"""Keys pressed for another system's menu, as audio: a media stream carries no digits to the caller.

ITU-T Q.23: each key is two tones.  Q.24 asks receivers for 40 ms of tone and 40 ms of pause; ours are longer, as
codecs and jitter shorten them.
"""

import math
from array import array
from typing import Final

from media.core.audio import from_linear, silence

TONE_MS, GAP_MS, WAIT_MS = 120, 80, 500
#: Of each of the two tones; the sum stays below full scale.
_AMPLITUDE: Final = 8_000.0
_RATE_HZ: Final = 8_000
_ROWS_HZ, _COLUMNS_HZ = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
_KEYPAD = ("123A", "456B", "789C", "*0#D")
_PAIRS = {
    key: (_ROWS_HZ[row], _COLUMNS_HZ[column]) for row, keys in enumerate(_KEYPAD) for column, key in enumerate(keys)
}


def dialled(digits: str) -> bytes:
    """Return mu-law for `digits`: 0-9, A-D, `*`, `#`, and `w`, which waits half a second; others are left out."""
    return b"".join([_key(digit) for digit in digits])


def _key(key: str) -> bytes:
    if key == "w":
        return silence(WAIT_MS)
    pair = _PAIRS.get(key)
    if pair is None:
        return b""
    low_hz, high_hz = pair
    step, other = 2 * math.pi * low_hz / _RATE_HZ, 2 * math.pi * high_hz / _RATE_HZ
    samples = [
        round(_AMPLITUDE * (math.sin(step * at) + math.sin(other * at))) for at in range(TONE_MS * _RATE_HZ // 1000)
    ]
    return from_linear(array("h", samples).tobytes()) + silence(GAP_MS)
