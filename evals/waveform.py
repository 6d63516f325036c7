"""Waveforms of a call as SVG: the caller above the line, the agent below it.  Pure."""

import io
import math
import wave

import numpy as np

FULL_SCALE = 32_768
HEIGHT, HALF = 40, 20


class TwoSides:
    """Both sides of a call, of a WAV with the caller on the left.  Raises ValueError for another file."""

    def __init__(self, wav: bytes) -> None:
        try:
            with wave.open(io.BytesIO(wav), "rb") as file:
                if (file.getnchannels(), file.getsampwidth()) != (2, 2):
                    raise ValueError("not a recording of both sides")
                self._rate_hz = file.getframerate()
                samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
        except (wave.Error, EOFError) as error:
            raise ValueError(f"not a WAV: {error}") from error
        self._tracks = np.abs(samples[: len(samples) // 2 * 2].reshape(-1, 2).astype(np.int32))

    @property
    def ms(self) -> int:
        return len(self._tracks) * 1000 // self._rate_hz

    def svg(self, start_ms: int, end_ms: int, columns: int) -> str:
        """Draw a span of the call in so many columns."""
        first, last = (max(0, ms) * self._rate_hz // 1000 for ms in (start_ms, end_ms))
        span = self._tracks[first:last]
        columns = max(1, min(columns, len(span)))
        peaks = [part.max(axis=0) if len(part) else (0, 0) for part in np.array_split(span, columns)]
        bars = "".join(
            f"M{column} {HALF - _height(caller)}V{HALF + _height(agent)}"
            for column, (caller, agent) in enumerate(peaks)
        )
        return (
            f'<svg viewBox="0 0 {columns} {HEIGHT}" preserveAspectRatio="none" aria-hidden="true">'
            f'<path d="{bars}" vector-effect="non-scaling-stroke"/></svg>'
        )


def _height(peak: int) -> int:
    """Return a bar's height: the square root shows quiet speech."""
    return round(HALF * math.sqrt(min(1.0, peak / FULL_SCALE)))
