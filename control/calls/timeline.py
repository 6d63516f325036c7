"""A listener's sound on the call's clock: what is missing is silence, and nothing comes twice.  Pure."""

from hum.wave import BYTES_PER_MS

MAX_GAP_MS = 60_000  # a piece that is further ahead is put at once


class Timeline:
    def __init__(self) -> None:
        self._at_ms: int | None = None  # where the next sound belongs; None before the first

    def place(self, at_ms: int, pcm: bytes) -> bytes:
        """What to send for a piece that begins at `at_ms`: after the silence before it, without what was sent already."""
        gap_ms = 0 if self._at_ms is None else at_ms - self._at_ms
        if gap_ms < 0:
            pcm = pcm[-gap_ms * BYTES_PER_MS :]
            if not pcm:
                return b""
        self._at_ms = max(at_ms, at_ms - gap_ms) + len(pcm) // BYTES_PER_MS
        return bytes(max(0, gap_ms) * BYTES_PER_MS if gap_ms <= MAX_GAP_MS else 0) + pcm

    def silence(self, ms: int) -> bytes:
        """Silence for a time in which nothing came."""
        if self._at_ms is not None:
            self._at_ms += ms
        return bytes(ms * BYTES_PER_MS)
