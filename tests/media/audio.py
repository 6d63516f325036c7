"""Sounds of callers, and what they heard."""

import math
from random import Random

from media.core.audio import from_linear
from sandbox.twilio import Call
from tests.support.stalls import Stalls


def heard(call: Call) -> bytes:
    """The agent's audio that the caller heard, without the breaks that a busy machine puts into it."""
    return b"".join(bytes(each.payload) for each in call.stream.playout.segments)


def nearly_all(clip: bytes, stalls: Stalls) -> bytes:
    """As much of a clip as the caller certainly hears: the ledger is accurate to 20 ms (docs/benchmarks/ledger.md)
    and to what this process was late."""
    return clip[: max(len(clip) // 2, len(clip) - 160 - int(stalls.longest_ms * 8))]


def tone(ms: int, hz: int = 440, peak: int = 8_000) -> bytes:
    samples = (int(peak * math.sin(2 * math.pi * hz * n / 8000)) for n in range(ms * 8))
    return from_linear(b"".join(each.to_bytes(2, "little", signed=True) for each in samples)).replace(b"\xff", b"\xfe")


def voice(ms: int, seed: int = 3, peak: int = 9_000) -> bytes:
    """Noise that the detector takes for speech."""
    random = Random(seed)
    samples = (max(-30_000, min(30_000, int(random.gauss(0, peak / 2)))) for _ in range(ms * 8))
    return from_linear(b"".join(each.to_bytes(2, "little", signed=True) for each in samples)).replace(b"\xff", b"\xfe")
