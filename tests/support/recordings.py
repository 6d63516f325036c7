"""What was recorded, for tests that have time to wait for a disk, and how it sounds."""

import io
import wave

import numpy as np
from numpy.typing import NDArray

from media.recorder import MessageRecorder, Recorder
from media.reports import Recording

RATE_HZ = 8_000
WINDOW_MS = 20
Samples = NDArray[np.int16]


def closed(made: Recorder) -> Recording:
    """End a recording; return what is stored."""
    stored: list[Recording] = []
    made.close(stored.append)
    return stored[0]


def closed_message(made: MessageRecorder, *, kept: bool = True) -> Recording:
    """End a message; return what is stored."""
    stored: list[Recording] = []
    made.close(stored.append, kept=kept)
    return stored[0]


def channels(recording: bytes) -> tuple[Samples, Samples]:
    """Caller and agent of a recording, as samples."""
    with wave.open(io.BytesIO(recording)) as wav:
        assert (wav.getnchannels(), wav.getframerate(), wav.getsampwidth()) == (2, RATE_HZ, 2)
        samples = np.frombuffer(wav.readframes(wav.getnframes()), "<i2").reshape(-1, 2)
        assert len(samples) == wav.getnframes()
    return samples[:, 0], samples[:, 1]


def tone_ms(samples: Samples, hz: float) -> list[float]:
    """The starts of the 20 ms windows that are this tone, in ms."""
    size = RATE_HZ * WINDOW_MS // 1000
    phase = np.exp(-2j * np.pi * hz * np.arange(size) / RATE_HZ)
    starts = []
    for at in range(0, len(samples) - size + 1, size):
        window = samples[at : at + size].astype(float)
        power = float(np.mean(window**2))
        if power > 1e4 and abs(np.dot(window, phase) / size) ** 2 * 2 / power > 0.5:
            starts.append(at * 1000 / RATE_HZ)
    return starts
