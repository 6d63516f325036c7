"""Peaks of a recording, for whoever draws it: twenty a second of each channel, each the height of the loudest sample, as a byte.

The media plane writes them beside a recording when it closes it, and control where it has none.
"""

import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hum.recordings import PEAKS

#: `HUMP`, the format's version, channels, peaks a second of each channel, and how many peaks each has.
HEADER = struct.Struct("<4sBBHI")
MAGIC, VERSION = b"HUMP", 1
PER_SECOND = 20
#: Milliseconds and samples (at 8 kHz) of a peak.
MS, SAMPLES = 1000 // PER_SECOND, 8_000 // PER_SECOND

Array = npt.NDArray[np.uint8]


def beside(recording: Path) -> Path:
    """Where the peaks of a recording are."""
    return recording.with_name(recording.name + PEAKS)


def of_pcm(pcm: npt.NDArray[np.int16]) -> Array:
    """The height of each sample: 0 for silence, 255 for the loudest there is."""
    heights: Array = np.minimum(np.abs(pcm.astype(np.int32)) >> 7, 255).astype(np.uint8)
    return heights


def count(samples: int) -> int:
    """How many peaks so many samples of a channel have; the last one may be of a part."""
    return -(-samples // SAMPLES)


def pack(peaks: Array) -> bytes:
    """Of an array [channels, peaks]: the header, and one channel after another."""
    channels, many = peaks.shape
    return HEADER.pack(MAGIC, VERSION, channels, PER_SECOND, many) + peaks.tobytes()


def unpack(data: bytes) -> Array | None:
    """The inverse of `pack`; None for anything else."""
    if len(data) < HEADER.size:
        return None
    magic, version, channels, per_second, many = HEADER.unpack_from(data)
    if (magic, version, per_second) != (MAGIC, VERSION, PER_SECOND) or len(data) != HEADER.size + channels * many:
        return None
    return np.frombuffer(data, np.uint8, offset=HEADER.size).reshape(channels, many)


class Peaks:
    """The peaks of sound that comes in pieces."""

    def __init__(self, channels: int) -> None:
        self._channels = channels
        self._done = [bytearray() for _ in range(channels)]
        self._rest = np.zeros((channels, 0), np.uint8)

    def add(self, heights: Array) -> None:
        """The heights of further samples, interleaved."""
        # One channel after the other: of what is side by side the maximum is found ten times as fast.
        waiting = np.concatenate((self._rest, heights.reshape(-1, self._channels).T), axis=1)
        whole = waiting.shape[1] // SAMPLES * SAMPLES
        for done, found in zip(
            self._done, waiting[:, :whole].reshape(self._channels, -1, SAMPLES).max(axis=2), strict=True
        ):
            done += found.tobytes()
        self._rest = waiting[:, whole:].copy()

    def all(self) -> Array:
        """An array [channels, peaks]."""
        rest = [self._rest.max(axis=1, keepdims=True)] if self._rest.shape[1] else []
        return np.concatenate((np.array([np.frombuffer(done, np.uint8) for done in self._done]), *rest), axis=1)
