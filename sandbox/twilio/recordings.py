"""Sound files that a <Play> fetches.  Pure."""

import io

import numpy as np
import soundfile
import soxr

from realtime.audio import encode

RATE_HZ = 8_000


def read(file: bytes) -> bytes:
    """Convert a sound file to μ-law at 8 kHz.  Raises ValueError for anything else."""
    try:
        samples, rate_hz = soundfile.read(io.BytesIO(file), dtype="float32", always_2d=True)
    except soundfile.SoundFileError as error:
        raise ValueError("the file is not a readable sound file") from error
    if not len(samples):
        raise ValueError("the file contains no sound")
    mixed = soxr.resample(samples.mean(axis=1), rate_hz, RATE_HZ)
    return encode(np.clip(np.rint(mixed * 32_768), -32_768, 32_767).astype(np.int16))
