"""A listener's sound on the call's clock, with silence for gaps and without duplicates.  Pure."""

from hum.wave import BYTES_PER_MS

#: A piece that is further ahead follows without silence.
MAX_GAP_MS = 60_000


class Timeline:
    """The position of a listener in the sound of a call."""

    def __init__(self) -> None:
        #: Where the next piece belongs; None before the first.
        self._at_ms: int | None = None

    def place(self, at_ms: int, pcm: bytes) -> bytes:
        """Return the PCM to send for a piece that begins at `at_ms`: with silence for a gap, without what was sent."""
        gap_ms = 0 if self._at_ms is None else at_ms - self._at_ms
        if gap_ms < 0:
            pcm = pcm[-gap_ms * BYTES_PER_MS :]
            if not pcm:
                return b""
        self._at_ms = max(at_ms, at_ms - gap_ms) + len(pcm) // BYTES_PER_MS
        return bytes(max(0, gap_ms) * BYTES_PER_MS if gap_ms <= MAX_GAP_MS else 0) + pcm

    def silence(self, ms: int) -> bytes:
        """Return silence of this many ms, for a time without pieces."""
        if self._at_ms is not None:
            self._at_ms += ms
        return bytes(ms * BYTES_PER_MS)
