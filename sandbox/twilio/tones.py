"""Sounds of a telephone network: ringback, keys, beeps, fax, and voices without words.  Pure; μ-law at 8 kHz.

Ringback cadences are those of ITU-T E.180 supplement 2; keys are ITU-T Q.23; CED (2100 Hz) and CNG (1100 Hz) are ITU-T T.30.
"""

import functools
from collections.abc import Sequence

import numpy as np

from realtime.audio import Samples, decode, encode
from sandbox.audio import BYTES_PER_MS, FRAME_BYTES, FRAME_MS, SILENCE, is_audible

RATE_HZ = 8_000
LOUDNESS = 8_000  # a quarter of full scale
FAX_ANSWER_HZ, FAX_CALLER_HZ = 2_100, 1_100
VOICE_HZ, SYLLABLES_PER_S = 130, 4
PURE = 0.92
"""Share of a frame's energy in one peak, from which the frame is a tone; voices stay far below it."""

KEY_SHARE, LEAST_TWIST = 0.7, 0.25
"""Least share of a frame's energy in a key's two tones, and least ratio of their powers."""

#: Country → the tone's frequencies, and ms on, off, on, off.
CADENCES: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "us": ((440, 480), (2000, 4000)),
    "uk": ((400, 450), (400, 200, 400, 2000)),
    "au": ((400, 450), (400, 200, 400, 2000)),
    "de": ((425,), (1000, 4000)),
    "fr": ((440,), (1500, 3500)),
    "it": ((425,), (1000, 4000)),
    "jp": ((400,), (1000, 2000)),
}
OTHER_CADENCE: tuple[tuple[int, ...], tuple[int, ...]] = ((425,), (1000, 4000))
COUNTRIES = {"+1": "us", "+33": "fr", "+39": "it", "+44": "uk", "+49": "de", "+61": "au", "+81": "jp"}

KEY_ROWS, KEY_COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
KEYS = "123A456B789C*0#D"


def tone(frequencies_hz: Sequence[float], ms: float) -> bytes:
    """Return these sines together, as loud as one."""
    at = np.arange(round(ms * BYTES_PER_MS)) / RATE_HZ
    waves = [np.sin(2 * np.pi * hz * at) for hz in frequencies_hz]
    return encode((LOUDNESS * np.sum(waves, axis=0) / len(waves)).astype(np.int16))


def silence(ms: float) -> bytes:
    return bytes([SILENCE]) * round(ms * BYTES_PER_MS)


def country_of(e164: str) -> str:
    return next((country for prefix, country in COUNTRIES.items() if e164.startswith(prefix)), "")


@functools.cache
def ringback(country: str) -> bytes:
    """Return one whole period of a country's ringback."""
    frequencies_hz, cadence_ms = CADENCES.get(country, OTHER_CADENCE)
    pieces = [silence(ms) if number % 2 else tone(frequencies_hz, ms) for number, ms in enumerate(cadence_ms)]
    return b"".join(pieces)


def key(digit: str, ms: float = 100) -> bytes:
    """Return the tone of one key of the keypad."""
    row, column = divmod(KEYS.index(digit), 4)
    return tone((KEY_ROWS[row], KEY_COLUMNS[column]), ms)


def keys(digits: str) -> bytes:
    """Return a run of keys; `w` is half a second of pause, as in Twilio's <Play digits>."""
    return b"".join(silence(500) if digit in "wW" else key(digit) + silence(100) for digit in digits)


def voice(text: str, ms_per_char: float = 60.0) -> bytes:
    """Return voice-like sound without words, as long as `text` would take; detectors classify it as speech."""
    return murmur(len(text) * ms_per_char)


@functools.lru_cache(256)
def murmur(ms: float) -> bytes:
    """Return harmonics of one pitch under a syllable rhythm; never silent, never a pure tone."""
    at = np.arange(round(ms * BYTES_PER_MS)) / RATE_HZ
    harmonics = sum(np.sin(2 * np.pi * VOICE_HZ * n * at) / n**0.5 for n in range(2, 14))
    rhythm = 0.6 + 0.4 * np.sin(2 * np.pi * SYLLABLES_PER_S * at)
    samples: Samples = (LOUDNESS / 3 * harmonics * rhythm).astype(np.int16)
    return encode(samples)


def pitch_hz(frame: bytes) -> float | None:
    """Return the frequency of a frame that is one pure tone; None for anything else."""
    if len(frame) < FRAME_BYTES or not is_audible(frame):
        return None
    windowed = decode(frame).astype(np.float64) * np.hanning(len(frame))
    energy = np.abs(np.fft.rfft(windowed)) ** 2
    peak = int(np.argmax(energy))
    near = slice(max(0, peak - 2), peak + 3)
    if float(energy[near].sum()) < PURE * float(energy.sum()):
        return None
    bins = np.arange(len(energy))[near]
    return float((bins * energy[near]).sum() / energy[near].sum()) * 1000 / FRAME_MS


def key_of(frame: bytes) -> str | None:
    """Return the key whose tone fills a frame; None for anything else."""
    if len(frame) < FRAME_BYTES or not is_audible(frame):
        return None
    samples = decode(frame).astype(np.float64)
    powers = np.abs(_KEY_WAVES[:, : len(samples)] @ samples[: _KEY_WAVES.shape[1]]) ** 2
    row, column = int(np.argmax(powers[:4])), int(np.argmax(powers[4:]))
    tones_energy = 2 * (powers[row] + powers[4 + column]) / len(samples)
    twist = min(powers[row], powers[4 + column]) / max(powers[row], powers[4 + column])
    if tones_energy < KEY_SHARE * float(np.sum(samples * samples)) or twist < LEAST_TWIST:
        return None
    return KEYS[row * 4 + column]


_KEY_WAVES = np.exp(-2j * np.pi * np.outer((*KEY_ROWS, *KEY_COLUMNS), np.arange(FRAME_BYTES)) / RATE_HZ)
