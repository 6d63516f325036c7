"""WAV files that a caller plays."""

from pathlib import Path

from sandbox.speech import sound

TELEPHONE_HZ = 8_000


def read_ulaw(path: Path) -> bytes:
    """Read a WAV file of any kind; return mu-law at 8 kHz.  Raises OSError and ValueError, which name the file."""
    file = path.read_bytes()
    try:
        samples, rate_hz = sound.read_wav(file)
    except ValueError as error:
        raise ValueError(f"{path} can't be played: {error}") from error
    return sound.encode(sound.resample(samples, rate_hz, TELEPHONE_HZ))
