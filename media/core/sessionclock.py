"""The clock of a session, which counts the audio sent to it, tied to the call's clock."""

from collections import deque
from typing import Final

from media.core.audio import BYTES_PER_MS, FRAME_MS

#: Gaps that are remembered: the server reports turns seconds later, not minutes.
MOST_ANCHORS: Final = 256


class SessionClock:
    """The caller's audio in the order of arrival, which each session hears from some byte on.

    Anchors tie it to the call's clock: at its beginning and after each gap.
    """

    __slots__ = ("_anchors", "_from_ms", "_size")

    def __init__(self) -> None:
        # Milliseconds of audio before the anchor, and its time on the call's clock.
        self._anchors: deque[tuple[int, int]] = deque(maxlen=MOST_ANCHORS)
        self._size = 0  # bytes of audio that have come
        # Of audio that had come before what the session hears.
        self._from_ms = 0

    def add(self, size: int, at_ms: int) -> None:
        """Count `size` more bytes, which begin at `at_ms` on the call's clock."""
        received_ms = self._size // BYTES_PER_MS
        # Timestamps that are uneven by less than a frame are no gap.
        if not self._anchors or abs(at_ms - self._extrapolate(self._anchors[-1], received_ms)) > FRAME_MS:
            self._anchors.append((received_ms, at_ms))
        self._size += size

    def restart(self, replayed: int) -> None:
        """Start another session, which hears the last `replayed` bytes first, and then whatever comes."""
        self._from_ms = (self._size - replayed) // BYTES_PER_MS

    def call_ms(self, session_ms: int) -> int:
        """Return the call's clock when the session had heard `session_ms` of audio."""
        anchors, received_ms = self._anchors, self._from_ms + session_ms
        for anchor in reversed(anchors):
            if anchor[0] <= received_ms:
                return self._extrapolate(anchor, received_ms)
        return self._extrapolate(anchors[0], received_ms) if anchors else session_ms

    def _extrapolate(self, anchor: tuple[int, int], received_ms: int) -> int:
        return max(0, anchor[1] + received_ms - anchor[0])
