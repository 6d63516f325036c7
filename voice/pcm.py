"""The sound that a speech server sends, checked and brought to the wire's format.  Pure."""

import struct

import numpy as np
import soxr

from realtime.audio import Samples
from realtime.codec import Codec
from realtime.mind import Voiced
from realtime.sound import Word, split_words

#: The longest sound of a text: a pause at both ends, and so much for each character.
SPARE_MS, MOST_MS_PER_CHARACTER = 2_500, 250
#: The least that a character takes; faster is no speech.
LEAST_MS_PER_CHARACTER = 8
_FORMATS = {b"ID3": "MP3", b"OggS": "Ogg", b"fLaC": "FLAC"}
_MP3_SYNC = (b"\xff\xfb", b"\xff\xf3", b"\xff\xf2")
_PCM_FORMATS = (1, 0xFFFE)


class BadSound(Exception):  # noqa: N818 - it says what it is
    """The server's sound can't be played; the message says why."""


def most_bytes(text: str, rate_hz: int) -> int:
    """Return how many bytes of sound, in stereo, a text can have."""
    return 4 * rate_hz * (SPARE_MS + MOST_MS_PER_CHARACTER * len(text)) // 1000 + 4_096


def voiced(content: bytes, rate_hz: int, text: str, codec: Codec) -> Voiced:
    """Return the sound of `text` on the wire, with the times of its words.  Raises BadSound.

    `content` is a WAV file, whose header has the rate, or bare samples at `rate_hz`.
    """
    samples, rate_hz = _samples(content, rate_hz)
    length_ms = len(samples) * 1000 / rate_hz
    if length_ms < LEAST_MS_PER_CHARACTER * len(text):
        raise BadSound(f"{length_ms:.0f} ms of sound for {len(text)} characters")
    if length_ms > SPARE_MS + MOST_MS_PER_CHARACTER * len(text):
        raise BadSound(f"{length_ms:.0f} ms of sound for {len(text)} characters")
    if rate_hz != codec.rate_hz:
        samples = soxr.resample(samples, rate_hz, codec.rate_hz)
    return Voiced(codec.encode(samples), spread(text, length_ms))


def spread(text: str, length_ms: float) -> list[Word]:
    """Return the words of a sound of which only the length is known: each takes its share by its letters, in whole ms."""
    words = split_words(text)
    weights = [len(word.strip()) + 1 for word in words]
    total, before = sum(weights), 0
    spread_words: list[Word] = []
    for word, weight in zip(words, weights, strict=True):
        start_ms, end_ms = before * length_ms // total, (before + weight) * length_ms // total
        spread_words.append(Word(word, start_ms, end_ms))
        before += weight
    return spread_words


def wav(samples: Samples, rate_hz: int) -> bytes:
    """Return samples as a WAV file."""
    content = samples.astype("<i2").tobytes()
    head = struct.pack(
        "<4sI4s4sIHHIIHH", b"RIFF", 36 + len(content), b"WAVE", b"fmt ", 16, 1, 1, rate_hz, rate_hz * 2, 2, 16
    )
    return head + struct.pack("<4sI", b"data", len(content)) + content


def _samples(content: bytes, rate_hz: int) -> tuple[Samples, int]:
    if not content:
        raise BadSound("no sound")
    for magic, name in _FORMATS.items():
        if content.startswith(magic):
            raise BadSound(f"{name} instead of PCM")
    if content.startswith(b"RIFF"):
        return _from_wav(content)
    if content.startswith(_MP3_SYNC) and len(content) % 2:
        raise BadSound("MP3 instead of PCM")
    return _from_pcm(content, 1), rate_hz


def _from_wav(content: bytes) -> tuple[Samples, int]:
    """Read a WAV file; the length in the header of a stream is often wrong, and is not believed."""
    at, rate_hz, channels = 12, 0, 0
    while at + 8 <= len(content):
        name, length = struct.unpack_from("<4sI", content, at)
        at += 8
        if name == b"data":
            break
        if name == b"fmt " and at + 16 <= len(content):
            kind, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", content, at)
            if kind not in _PCM_FORMATS or bits != 16:
                raise BadSound(f"a WAV file of format {kind} with {bits} bits")
        at += length + length % 2
    else:
        raise BadSound("a WAV file without data")
    if not 8_000 <= rate_hz <= 96_000 or channels not in {1, 2}:
        raise BadSound(f"a WAV file with {channels} channels at {rate_hz} Hz")
    end = at + length if 0 < length <= len(content) - at else len(content)
    return _from_pcm(content[at:end], channels), rate_hz


def _from_pcm(content: bytes, channels: int) -> Samples:
    samples = np.frombuffer(content[: len(content) // (2 * channels) * 2 * channels], dtype="<i2")
    if channels == 2:
        samples = samples.reshape(-1, 2).mean(axis=1)
    if not len(samples):
        raise BadSound("no sound")
    return samples.astype(np.int16)
