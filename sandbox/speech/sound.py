"""Samples, and the tones that replace words without speech synthesis.  Pure; samples are mono int16."""

import io
import re
import wave
import zlib
from dataclasses import dataclass

import numpy as np
import soundfile
import soxr

from realtime.audio import Samples, encode
from realtime.sound import Word, level_dbfs, split_words

__all__ = [
    "Samples",
    "Utterance",
    "Word",
    "encode",
    "level_dbfs",
    "pitch_hz",
    "read_wav",
    "resample",
    "sine",
    "split_words",
    "spread",
    "tones",
    "write_wav",
]

LOUDNESS = 8_000  # a quarter of full scale
TONE_LOW_HZ, TONE_SPAN_HZ = 300, 2_700  # the telephone band
FADE_MS, GAP_MS = 5, 60
MIN_RATE_HZ, MAX_RATE_HZ = 1_000, 768_000


@dataclass(frozen=True, slots=True)
class Utterance:
    samples: Samples
    rate_hz: int
    words: list[Word]

    @property
    def ms(self) -> float:
        return len(self.samples) * 1000 / self.rate_hz


def resample(samples: Samples, from_hz: int, to_hz: int) -> Samples:
    if from_hz == to_hz or not len(samples):
        return samples
    moved = soxr.resample(samples.astype(np.float32), from_hz, to_hz)
    limited: Samples = np.clip(np.rint(moved), -32_768, 32_767).astype(np.int16)
    return limited


def sine(hz: float, ms: float, rate_hz: int) -> Samples:
    at = np.arange(round(ms * rate_hz / 1000)) / rate_hz
    return (LOUDNESS * np.sin(2 * np.pi * hz * at)).astype(np.int16)


def pitch_hz(word: str) -> int:
    """Return the pitch of a word, the same everywhere, regardless of case and punctuation."""
    return TONE_LOW_HZ + zlib.crc32(re.sub(r"\W", "", word).lower().encode()) % TONE_SPAN_HZ


def tones(text: str, rate_hz: int) -> Utterance:
    """Return one burst per word, longer for longer words, with a short gap after each."""
    pieces: list[Samples] = []
    words: list[Word] = []
    at_ms = 0.0
    for word in split_words(text):
        burst_ms = 80 + 30 * len(word.strip())
        burst = sine(pitch_hz(word), burst_ms, rate_hz)
        fade = np.linspace(0, 1, round(FADE_MS * rate_hz / 1000))
        shape = np.ones(len(burst))
        shape[: len(fade)], shape[-len(fade) :] = fade, fade[::-1]
        pieces += [(burst * shape).astype(np.int16), np.zeros(round(GAP_MS * rate_hz / 1000), np.int16)]
        words.append(Word(word, at_ms, at_ms + burst_ms))
        at_ms += burst_ms + GAP_MS
    return Utterance(np.concatenate(pieces) if pieces else np.zeros(0, np.int16), rate_hz, words)


def spread(text: str, samples: Samples, rate_hz: int) -> Utterance:
    """Return an utterance with estimated word times: each word lasts in proportion to its letters."""
    texts = split_words(text)
    letters = sum(len(word) for word in texts) or 1
    ms = len(samples) * 1000 / rate_hz
    words, letters_before = [], 0
    for word in texts:
        words.append(Word(word, letters_before * ms / letters, (letters_before + len(word)) * ms / letters))
        letters_before += len(word)
    return Utterance(samples, rate_hz, words)


def write_wav(samples: Samples, rate_hz: int) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate_hz)
        out.writeframes(samples.astype("<i2").tobytes())
    return file.getvalue()


def read_wav(file: bytes) -> tuple[Samples, int]:
    """Decode a WAV of any kind, or another file that libsndfile reads, into (mono samples, rate in Hz).

    Raises ValueError for any other file, and for one without sound.
    """
    try:
        channels, rate_hz = soundfile.read(io.BytesIO(file), dtype="float32", always_2d=True)
    except soundfile.SoundFileError as error:
        raise ValueError("the file is not a readable sound file, or it is damaged") from error
    if not len(channels) or not np.isfinite(channels).all():
        raise ValueError("the file contains no sound")
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise ValueError(f"the sampling rate of {rate_hz} Hz is out of range")
    mixed: Samples = np.clip(np.rint(channels.mean(axis=1) * 32_768), -32_768, 32_767).astype(np.int16)
    return mixed, rate_hz
