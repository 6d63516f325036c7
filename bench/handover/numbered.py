"""Audio in which every 20 ms carry a number, so that the receiver can detect missing frames.

The number is 32 samples of zero: mu-law has two of them.  The difference is inaudible, and detectors do not notice it.
"""

FRAME_BYTES = 160
BITS = 32
_ZERO, _ONE = 0xFF, 0x7F


def frame(number: int, sound: bytes) -> bytes:
    """Return 160 bytes: the number, then as much of the sound as fits."""
    head = bytes(_ONE if number >> bit & 1 else _ZERO for bit in range(BITS))
    return head + sound[BITS:FRAME_BYTES]


def number_of(payload: bytes) -> int | None:
    """Return the number of a frame, or None if it has none."""
    number = 0
    for bit, byte in enumerate(payload[:BITS]):
        if byte == _ONE:
            number |= 1 << bit
        elif byte != _ZERO:
            return None
    return number


class Counted:
    """A counter of missing and disordered frames in a stream of numbered ones, in pieces of any length."""

    def __init__(self) -> None:
        self.next, self.missing, self.disordered = 0, 0, 0
        self._rest = b""

    def add(self, audio: bytes) -> None:
        data = self._rest + audio
        whole = len(data) // FRAME_BYTES * FRAME_BYTES
        self._rest = data[whole:]
        for at in range(0, whole, FRAME_BYTES):
            number = number_of(data[at : at + FRAME_BYTES])
            if number is None or number < self.next:
                self.disordered += 1
            else:
                self.missing += number - self.next
                self.next = number + 1
