"""Tracks of μ-law at 8 kHz: one byte per sample, eight bytes per millisecond."""

import io
import wave

import numpy as np

from realtime.audio import decode

BYTES_PER_MS = 8
FRAME_MS = 20
FRAME_BYTES = BYTES_PER_MS * FRAME_MS
SILENCE = 0xFF
AUDIBLE_DBFS = -45.0


def is_audible(ulaw: bytes) -> bool:
    """Return whether a person would hear the sound: RMS above -45 dBFS."""
    if not ulaw:
        return False
    samples = decode(ulaw).astype(np.float64)
    return float(np.sqrt(np.mean(samples * samples))) > 32768 * 10 ** (AUDIBLE_DBFS / 20)


def lay(pieces: list[tuple[float, bytes]], length_ms: float) -> bytes:
    """Build one μ-law track of `length_ms` from pieces of (start in ms, payload), with silence in between."""
    track = bytearray([SILENCE]) * round(length_ms * BYTES_PER_MS)
    for start_ms, payload in pieces:
        at = round(start_ms * BYTES_PER_MS)
        fits = payload[: max(0, len(track) - at)]
        track[at : at + len(fits)] = fits
    return bytes(track)


def two_channel_wav(left_ulaw: bytes, right_ulaw: bytes) -> bytes:
    """Encode two μ-law tracks as a 16-bit, 8 kHz WAV; the shorter one is padded with silence."""
    length = max(len(left_ulaw), len(right_ulaw))
    tracks = [decode(track.ljust(length, bytes([SILENCE]))) for track in (left_ulaw, right_ulaw)]
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(np.stack(tracks, axis=1).astype("<i2").tobytes())
    return file.getvalue()
