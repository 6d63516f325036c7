"""The peaks of a recording, from which its waveform is drawn: for each channel twenty bytes a second, the loudest
sample of 50 ms.

The media plane writes them beside a recording when it closes it; control computes them if they are missing.
"""

import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hum.recordings import PEAKS

#: `HUMP`, the format's version, channels, peaks per second of a channel, number of peaks of a channel.
HEADER = struct.Struct("<4sBBHI")
MAGIC, VERSION = b"HUMP", 1
PER_SECOND = 20
#: Milliseconds and samples (at 8 kHz) of a peak.
MS, SAMPLES = 1000 // PER_SECOND, 8_000 // PER_SECOND

Array = npt.NDArray[np.uint8]


def path_for(recording: Path) -> Path:
    """Return the path of a recording's peaks."""
    return recording.with_name(recording.name + PEAKS)


def of_pcm(pcm: npt.NDArray[np.int16]) -> Array:
    """Return the height of each sample, from 0 for silence to 255 for full scale."""
    heights: Array = np.minimum(np.abs(pcm.astype(np.int32)) >> 7, 255).astype(np.uint8)
    return heights


def count(samples: int) -> int:
    """Return the number of peaks of so many samples of a channel, with a partial last one."""
    return -(-samples // SAMPLES)


def pack(peaks: Array) -> bytes:
    """Encode an array [channels, peaks]: the header, then one channel after another."""
    channels, many = peaks.shape
    return HEADER.pack(MAGIC, VERSION, channels, PER_SECOND, many) + peaks.tobytes()


def unpack(data: bytes) -> Array | None:
    """Decode what `pack` encodes; return None for anything else."""
    if len(data) < HEADER.size:
        return None
    magic, version, channels, per_second, many = HEADER.unpack_from(data)
    if (magic, version, per_second) != (MAGIC, VERSION, PER_SECOND) or len(data) != HEADER.size + channels * many:
        return None
    return np.frombuffer(data, np.uint8, offset=HEADER.size).reshape(channels, many)


class Peaks:
    """The peaks of audio that arrives in pieces."""

    def __init__(self, channels: int) -> None:
        self._channels = channels
        self._done = [bytearray() for _ in range(channels)]
        self._rest = np.zeros((channels, 0), np.uint8)

    def add(self, heights: Array) -> None:
        """Add the heights of further samples, interleaved."""
        # One channel after the other: the maximum of contiguous samples is ten times as fast.
        samples = np.concatenate((self._rest, heights.reshape(-1, self._channels).T), axis=1)
        whole = samples.shape[1] // SAMPLES * SAMPLES
        for finished, maxima in zip(
            self._done, samples[:, :whole].reshape(self._channels, -1, SAMPLES).max(axis=2), strict=True
        ):
            finished += maxima.tobytes()
        self._rest = samples[:, whole:].copy()

    def all(self) -> Array:
        """Return all peaks as an array [channels, peaks]."""
        rest = [self._rest.max(axis=1, keepdims=True)] if self._rest.shape[1] else []
        return np.concatenate((np.array([np.frombuffer(done, np.uint8) for done in self._done]), *rest), axis=1)
