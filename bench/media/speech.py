"""Callers' speech: pieces of recorded prompts if they are installed, else of the sandbox's synthesized voice."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from realtime.audio import decode
from sandbox.speech import Speech, sound

#: Prompts read by a person, from Debian's package asterisk-core-sounds.
PROMPTS = Path("/usr/share/asterisk/sounds")
LINES = (
    "No, wait, I wanted to ask about Thursday instead.",
    "Sorry, could you say the price of that again?",
    "Actually my brother made the booking for me.",
    "Hold on, that is not the number I gave you.",
    "Can I speak with somebody about my invoice, please?",
    "Yes, the second one, near the station.",
)
RATE_HZ = 8_000
FRAME_SAMPLES = 160
FRAMES = 60
#: A telephone's nominal level (ITU-T G.712, P.56).
SPEECH_DBFS = -26.0
ONSET_DBFS = -42.0


def pieces() -> list[list[bytes]]:
    """Return pieces of 1.2 s of mu-law in 20 ms frames; each begins with the first 5 ms that are louder than -42 dBFS."""
    return [cut for samples in _sources() if (cut := _cut(samples)) is not None]


def noise(count: int = 64, dbfs: float = -62.0) -> list[bytes]:
    """Return frames of a quiet line."""
    random = np.random.default_rng(7)
    peak = 32_768 * 10 ** (dbfs / 20)
    return [sound.encode(random.normal(0, peak, FRAME_SAMPLES).astype(np.int16)) for _ in range(count)]


def _sources() -> Sequence[sound.Samples]:
    files = sorted(file for file in PROMPTS.glob("en*/*.wav") if not file.name.startswith("tt-"))  # novelty sounds
    if files:
        recordings = (sound.read_wav(file.read_bytes()) for file in files)
        return [samples for samples, rate_hz in recordings if rate_hz == RATE_HZ]
    return asyncio.run(_spoken())


async def _spoken() -> Sequence[sound.Samples]:
    speech = Speech()
    try:
        return [decode(await speech.say(line, "caller")) for line in LINES]
    finally:
        speech.close()


def _cut(samples: sound.Samples) -> list[bytes] | None:
    samples = _levelled(samples)
    windows = samples[: len(samples) // 40 * 40].reshape(-1, 40).astype(np.float64)
    loud = np.flatnonzero(np.sqrt((windows**2).mean(axis=1)) > 32_768 * 10 ** (ONSET_DBFS / 20))
    if not len(loud) or len(samples) < loud[0] * 40 + FRAMES * FRAME_SAMPLES:
        return None
    begun = samples[loud[0] * 40 :]
    return [sound.encode(begun[at : at + FRAME_SAMPLES]) for at in range(0, FRAMES * FRAME_SAMPLES, FRAME_SAMPLES)]


def _levelled(samples: sound.Samples) -> sound.Samples:
    """Scale samples to the nominal level, not counting pauses."""
    loud = samples[np.abs(samples.astype(np.int32)) > 200]
    if not len(loud):
        return samples
    gain = 10 ** ((SPEECH_DBFS - sound.level_dbfs(loud)) / 20)
    levelled: sound.Samples = np.clip(samples * gain, -32_768, 32_767).astype(np.int16)
    return levelled
